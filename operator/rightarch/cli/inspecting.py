"""Runs ``rightarch image inspect``: asks registries, several images at a time, and prints what they tell."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from rightarch.cli import printing
from rightarch.cli.exits import FAILURE, FINDINGS
from rightarch.cli.progress import Progress
from rightarch.errors import ImageError
from rightarch.inspection import Inspection, Inspector, Role
from rightarch.platforms import Platform
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import Keychain, Registry, RegistryOptions
from rightarch.registry.dockerconfig import Malformed
from rightarch.registry.login import Login, LoginKeychain, config_file, parse
from rightarch.registry.proxies import Proxies

_AT_A_TIME: Final = 8
"""Images that are inspected at the same time."""

Outcome = Inspection | ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        output: ``table``, ``json`` or ``yaml``.
        token_realms: for a registry's host, hosts of token services that may see the user's credentials.
        timeout: seconds to wait for one document.
    """

    references: tuple[Reference, ...]
    output: str
    verbose: bool
    raw: bool
    required: tuple[Platform, ...]
    ca_file: Path | None
    token_realms: Mapping[str, frozenset[str]]
    timeout: float


def run(wanted: Wanted) -> int:
    """Ask, print, and return the exit status.

    Raises:
        RightarchError: nothing can be asked, or with ``raw``: there is nothing to print.
    """
    if wanted.raw:
        return asyncio.run(_print_raw(wanted))
    outcomes = asyncio.run(_inspected(wanted))
    text = printing.text(
        list(zip(wanted.references, outcomes, strict=True)), wanted.required, wanted.output, verbose=wanted.verbose
    )
    typer.echo(text, nl=False)
    for problem in (each for outcome in outcomes for each in _problems(outcome)):
        _tell(str(problem))
    return max((_status(outcome, wanted.required) for outcome in outcomes), key=_SEVERITY.index)


async def _print_raw(wanted: Wanted) -> int:
    """Print the bytes of a document as they are: their hash is the digest."""
    async with _registry(wanted) as registry:
        try:
            document = await registry.document(wanted.references[0], _keychain())
        except ImageError as error:
            _tell(str(error))
            return _severity(error)
    sys.stdout.buffer.write(document.body)
    sys.stdout.buffer.flush()
    return 0


async def _inspected(wanted: Wanted) -> list[Outcome]:
    async with _registry(wanted) as registry, Progress(dict.fromkeys(map(str, wanted.references))) as progress:
        inspector = Inspector(registry, _keychain(), everything=wanted.verbose)
        slots = asyncio.Semaphore(_AT_A_TIME)

        async def outcome(reference: Reference) -> Outcome:
            async with slots:
                try:
                    return await inspector.inspect(reference)
                except ImageError as error:
                    return error
                finally:
                    progress.done(str(reference))

        unique = list(dict.fromkeys(wanted.references))
        found = dict(zip(unique, await asyncio.gather(*map(outcome, unique)), strict=True))
        return [found[reference] for reference in wanted.references]


@asynccontextmanager
async def _registry(wanted: Wanted) -> AsyncIterator[Registry]:
    registry = Registry(
        RegistryOptions(
            allow_loopback=True,
            ca_file=wanted.ca_file,
            token_realms=wanted.token_realms,
            lookup_timeout=wanted.timeout,
            proxies=Proxies.of(os.environ),
        )
    )
    try:
        yield registry
    finally:
        await registry.aclose()


def _keychain() -> Keychain:
    """The user's credentials. A file that can't be read is told of; what is public can be asked for without it."""
    path = config_file(os.environ, Path.home())
    if path is None:
        return LoginKeychain(Login(), _tell)
    try:
        return LoginKeychain(parse(path.read_bytes()), _tell)
    except (OSError, Malformed) as error:
        _tell(f"{path} can't be read as a configuration of credentials: {error}; registries are asked without any")
        return LoginKeychain(Login(), _tell)


_SEVERITY: Final = (0, FINDINGS, FAILURE)
"""Statuses, the worst last: with an error, it is not known whether there would be findings."""


def _status(outcome: Outcome, required: tuple[Platform, ...]) -> int:
    found = [_severity(problem) for problem in _problems(outcome)]
    if isinstance(outcome, Inspection) and outcome.lacks(required):
        found.append(FINDINGS)
    return max(found, key=_SEVERITY.index, default=0)


def _severity(problem: ImageError) -> int:
    return FINDINGS if problem.reason is Reason.IMAGE_NOT_FOUND else FAILURE


def _problems(outcome: Outcome) -> list[ImageError]:
    if isinstance(outcome, ImageError):
        return [outcome]
    return [item.problem for item in outcome.items if item.problem is not None and item.role is Role.IMAGE]


def _tell(text: str) -> None:
    typer.echo(f"rightarch: {text}", err=True)
