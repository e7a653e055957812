"""The command ``rightarch completion``: what a shell needs to complete commands and options."""

from enum import StrEnum
from typing import Annotated, Final

import typer
from typer._completion_shared import get_completion_script

EPILOG: Final = """[bold]Examples[/bold]

source <(rightarch completion bash)

rightarch completion zsh > "${fpath\\[1]}/_rightarch"

rightarch completion fish > ~/.config/fish/completions/rightarch.fish
"""


class Shell(StrEnum):
    """The shells for which there is a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell that is to read the script.")]) -> None:
    """Print the script by which a shell completes rightarch's commands and options."""
    typer.echo(get_completion_script(prog_name="rightarch", complete_var="_RIGHTARCH_COMPLETE", shell=shell.value))
