"""Exit statuses: alike in all commands."""

from typing import Final, NoReturn

import typer

from rightarch.cli.plain import plain
from rightarch.errors import RightarchError, SettingsError

FAILURE: Final = 1
USAGE: Final = 2
FINDINGS: Final = 3


def fail(error: RightarchError) -> NoReturn:
    """Say what is wrong, one line a problem, and exit."""
    for line in str(error).splitlines():
        typer.echo(f"rightarch: {plain(line)}", err=True)
    raise typer.Exit(USAGE if isinstance(error, SettingsError) else FAILURE)


def misused(problem: str) -> NoReturn:
    """Say what is wrong with how a command was called, and exit."""
    typer.echo(f"rightarch: {problem}", err=True)
    raise typer.Exit(USAGE)
