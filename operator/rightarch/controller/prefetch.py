"""Prefetch: images of templates are looked up before their pods come."""

import random
import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final

from rightarch.controller.queue import Within, soon
from rightarch.controller.workloads import Wanted
from rightarch.errors import ImageError
from rightarch.gather import parse
from rightarch.keychains import Keychains
from rightarch.reference import Reference
from rightarch.registry import Registry

CONFIRM_SECONDS: Final = 12 * 3600.0
"""How long an image that was found is not looked up again for its templates alone; admissions confirm it by use."""


class Prefetch:
    """Looks images up, and knows which ones were found.

    Args:
        registry: asks.
        keychains: tells in whose name.
        needed: tells whether anybody still needs an image.
    """

    def __init__(self, registry: Registry, keychains: Keychains, needed: Callable[[Wanted], bool]) -> None:
        self._registry, self._keychains, self._needed = registry, keychains, needed
        self._found: dict[Wanted, float] = {}

    def counts(self, images: Collection[Wanted]) -> dict[tuple[str, ...], float]:
        """How many of some images were found, and how many not, as a metric takes it."""
        found = sum(image in self._found for image in images)
        return {("true",): float(found), ("false",): float(len(images) - found)}

    def has(self, image: Wanted) -> bool:
        """Whether an image was found."""
        return image in self._found

    def due(self, images: Iterable[Wanted]) -> list[Wanted]:
        """Those of all images in use that are not found yet, or whose finding is to be confirmed."""
        used = set(images)
        self._found = {image: until for image, until in self._found.items() if image in used}
        now = time.monotonic()
        return [image for image in used if self._found.get(image, 0.0) <= now]

    async def look_up(self, wanted: Wanted) -> Within | None:
        """Look an image up.

        Returns:
            None where that is settled: found, not to be had, or not needed any more. Else when to try again.
        """
        reference = parse(wanted.image)
        if not isinstance(reference, Reference) or not self._needed(wanted):
            return None
        puller, known = wanted.puller, partial(self._registry.holds, reference)
        try:
            keys = await self._keychains.of_account(puller.namespace, puller.account, puller.secrets, known)
            await self._registry.platforms(reference, keys)
        except ImageError as error:
            return soon(error.retry_after) if error.transient else None
        self._found[wanted] = time.monotonic() + CONFIRM_SECONDS * random.uniform(0.75, 1.0)  # noqa: S311 - no secret
        return None
