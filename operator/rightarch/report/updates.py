"""Updates: newer tags of images that lack an architecture, as their registries tell them, in few requests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from rightarch.errors import ImageError
from rightarch.placement import Failure
from rightarch.reference import Reference
from rightarch.registry import Registry
from rightarch.report import tags
from rightarch.report.looking import Looking, Wanted

PAGES: Final = 10
"""Pages of tags of one repository that are read."""
AT_A_TIME: Final = 8


async def suggest(
    blocking: Iterable[Wanted], registry: Registry, architecture: str, os: str = "linux"
) -> Mapping[str, str]:
    """For images that lack an architecture, the first newer tag that has it.

    A list of tags for each repository, and a look at three of them at most; a repository that can't be read has none.

    Args:
        blocking: the images.
        registry: asked.
        architecture: the one that is wanted.
        os: the operating system to have it under.

    Returns:
        New names by all of the old ones.
    """
    slots = asyncio.Semaphore(AT_A_TIME)
    repositories: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def one(wanted: Wanted) -> Mapping[str, str]:
        async with slots:
            found = await _newer(wanted, registry, repositories, _has(registry, architecture, os))
        return {} if found is None else {name: _renamed(name, wanted.reference, found) for name in wanted.names}

    each = await asyncio.gather(*(one(wanted) for wanted in blocking if wanted.reference.tag))
    return {old: new for found in each for old, new in found.items()}


async def _newer(
    wanted: Wanted,
    registry: Registry,
    repositories: dict[str, asyncio.Task[tuple[str, ...]]],
    has: Callable[[Wanted], Awaitable[bool]],
) -> str | None:
    """The first of the candidates that has the architecture."""
    reference = wanted.reference
    if reference.name not in repositories:
        listing = registry.tags(reference, wanted.keys, pages=PAGES)
        repositories[reference.name] = asyncio.create_task(listing)
    try:
        listed = await asyncio.shield(repositories[reference.name])
    except ImageError:
        return None
    for tag in tags.newer(reference.tag or "", listed):
        if await has(replace(wanted, reference=replace(reference, tag=tag, digest=None))):
            return tag
    return None


def _has(registry: Registry, architecture: str, os: str) -> Callable[[Wanted], Awaitable[bool]]:
    """Tells whether an image has an architecture; one that can't be read has not."""
    looking = Looking(registry, lambda _: None)

    async def look(wanted: Wanted) -> bool:
        outcome = (await looking.look([wanted]))[wanted.names[0]]
        return not isinstance(outcome, Failure) and architecture in outcome.node_architectures(os)

    return look


def _renamed(name: str, reference: Reference, tag: str) -> str:
    """An image's name as its author wrote it, with another tag, and without the digest of the old one."""
    return f"{name.partition('@')[0].removesuffix(f':{reference.tag}')}:{tag}"
