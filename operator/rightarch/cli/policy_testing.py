"""Runs ``rightarch policy test``: decides golden cases, and shows where they come out otherwise."""

from collections.abc import Sequence
from pathlib import Path

import typer

from rightarch.cases import BadCase, Case, differences, read
from rightarch.cli.exits import FINDINGS
from rightarch.cli.plain import plain
from rightarch.cli.surroundings import policies_of
from rightarch.policy import Policy


def run(folder: Path, policies: Sequence[Path], *, verbose: bool) -> int:
    """Run all cases, and return the exit status.

    Raises:
        RightarchError: a file can't be read.
    """
    holding = policies_of(policies, "default")
    cases = [case for file in _files(folder) for case in read(_text(file), str(file))]
    if not cases:
        raise BadCase(f"{folder}: there is no case in it; tests/cases of Rightarch's sources has some, and the format")
    failed = sum(not _is_right(case, holding, verbose=verbose) for case in cases)
    typer.echo(f"{len(cases)} cases, {failed} of them not as they say" if failed else f"{len(cases)} cases, all right")
    return FINDINGS if failed else 0


def _is_right(case: Case, policies: Sequence[Policy], *, verbose: bool) -> bool:
    difference = differences(case, policies)
    if difference:
        typer.echo(f"{case.place}: {plain(case.name)}\n{difference}")
    elif verbose:
        typer.echo(f"{case.place}: {plain(case.name)}: right")
    return not difference


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    return sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"})


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadCase(f"{file}: it can't be read: {error}") from None
