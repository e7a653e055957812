"""Awaited images: looked up for pods that wait for them, each once for all that do."""

from collections.abc import Callable, Iterable
from typing import Final, NoReturn

from rightarch.controller.queue import Queue, Within, soon
from rightarch.controller.workloads import Key, Wanted
from rightarch.errors import ImageError
from rightarch.gather import parse
from rightarch.keychains import Keychains
from rightarch.reference import Reference
from rightarch.registry import Registry

SEEKERS: Final = 256
"""How many are looked up at a time: twice what the registry client looks up at one registry, which may hang."""
_SPARED: Final = Within(1.0, 1.0)
"""An image that is not to be had is not looked up again within a second, should memory have no room for that."""


class Awaited:
    """Looks images up, with pauses of five seconds at most, for as long as somebody waits for them.

    Args:
        registry: asks.
        keychains: tells in whose name.
        told: called for each pod that waited, when an image is known or is not to be had.
    """

    def __init__(self, registry: Registry, keychains: Keychains, told: Callable[[Key], None]) -> None:
        self._registry, self._keychains, self._told = registry, keychains, told
        self._waiting: dict[Wanted, set[Key]] = {}
        self._wanted: dict[Key, frozenset[Wanted]] = {}
        self._queue: Queue[Wanted] = Queue(self._look_up, workers=SEEKERS)

    def __len__(self) -> int:
        return len(self._waiting)

    async def run(self) -> NoReturn:
        """Look up for ever."""
        await self._queue.run()

    def wait(self, key: Key, images: Iterable[Wanted]) -> None:
        """Let a pod wait for images, in place of those that it waited for."""
        wanted = frozenset(images)
        self._leave(key, self._wanted.get(key, frozenset()) - wanted)
        self._wanted[key] = wanted
        for each in wanted:
            self._waiting.setdefault(each, set()).add(key)
            self._queue.add(each)

    def leave(self, key: Key) -> None:
        """Let a pod wait no more."""
        self._leave(key, self._wanted.pop(key, frozenset()))

    def _leave(self, key: Key, images: Iterable[Wanted]) -> None:
        """What nobody waits for is not looked up again."""
        for wanted in images:
            keys = self._waiting.get(wanted, set())
            keys.discard(key)
            if not keys and self._waiting.pop(wanted, None) is not None:
                self._queue.forget(wanted)

    async def _look_up(self, wanted: Wanted) -> Within | None:
        reference = parse(wanted.image)
        if wanted not in self._waiting or not isinstance(reference, Reference):
            return None
        puller, again = wanted.puller, None
        try:
            await self._registry.platforms(reference, self._keychains.of_names(puller.namespace, puller.secrets))
        except ImageError as error:
            if error.transient:
                return soon(error.retry_after)
            again = _SPARED
        for key in self._waiting.pop(wanted, ()):
            self._told(key)
        return again
