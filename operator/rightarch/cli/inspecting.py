"""Runs ``rightarch image inspect``: asks registries, several images at a time, and prints what they tell."""

import asyncio
from dataclasses import dataclass
from typing import Final

from rightarch.cli import printing
from rightarch.cli.exits import FAILURE, FINDINGS
from rightarch.cli.output import show
from rightarch.cli.progress import Progress
from rightarch.cli.registries import Asking, keychain, opened, tell
from rightarch.errors import ImageError
from rightarch.inspection import Inspection, Inspector, Role
from rightarch.platforms import Platform
from rightarch.reasons import Reason
from rightarch.reference import Reference

_AT_A_TIME: Final = 8
"""Images that are inspected at the same time."""

Outcome = Inspection | ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        output: ``table``, ``json`` or ``yaml``.
    """

    references: tuple[Reference, ...]
    output: str
    verbose: bool
    raw: bool
    required: tuple[Platform, ...]
    asking: Asking


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
    show(text)
    for name, problem in dict.fromkeys(
        each
        for reference, outcome in zip(wanted.references, outcomes, strict=True)
        for each in _told(reference, outcome)
    ):
        tell(f"{name}: {problem}")
    return max((_status(outcome, wanted.required) for outcome in outcomes), key=_SEVERITY.index)


async def _print_raw(wanted: Wanted) -> int:
    """Print the bytes of a document as they are: their hash is the digest."""
    async with opened(wanted.asking) as registry:
        try:
            document = await registry.document(wanted.references[0], keychain())
        except ImageError as error:
            tell(f"{wanted.references[0]}: {error}")
            return _severity(error)
    show(document.body)
    return 0


async def _inspected(wanted: Wanted) -> list[Outcome]:
    async with opened(wanted.asking) as registry, Progress(dict.fromkeys(map(str, wanted.references))) as progress:
        inspector = Inspector(registry, keychain(), everything=wanted.verbose)
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


_SEVERITY: Final = (0, FINDINGS, FAILURE)
"""Statuses, the worst last: with an error, it is not known whether there would be findings."""


def _status(outcome: Outcome, required: tuple[Platform, ...]) -> int:
    found = [_severity(problem) for problem in _problems(outcome)]
    if isinstance(outcome, Inspection) and outcome.lacks(required):
        found.append(FINDINGS)
    return max(found, key=_SEVERITY.index, default=0)


def _severity(problem: ImageError) -> int:
    return FINDINGS if problem.reason is Reason.IMAGE_NOT_FOUND else FAILURE


def _told(reference: Reference, outcome: Outcome) -> list[tuple[str, str]]:
    """What is wrong with an image, or with an entry of its index: the name and the problem."""
    if isinstance(outcome, ImageError):
        return [(str(reference), str(outcome))]
    failed = [item for item in outcome.of(Role.IMAGE) if item.problem is not None]
    return [(f"{reference.name}@{item.part.digest}", str(item.problem)) for item in failed]


def _problems(outcome: Outcome) -> list[ImageError]:
    if isinstance(outcome, ImageError):
        return [outcome]
    return [item.problem for item in outcome.items if item.problem is not None and item.role is Role.IMAGE]
