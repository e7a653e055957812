"""Exit statuses: alike in all commands."""

from collections.abc import Callable
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


def leave(work: Callable[[], int]) -> NoReturn:
    """Do what a command is for, and exit with the status that it returns; or say what is wrong, and exit."""
    try:
        status = work()
    except RightarchError as error:
        fail(error)
    raise typer.Exit(status)


def misused(problem: str) -> NoReturn:
    """Say what is wrong with how a command was called, and exit."""
    typer.echo(f"rightarch: {problem}", err=True)
    raise typer.Exit(USAGE)
