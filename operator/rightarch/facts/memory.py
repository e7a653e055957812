"""Memory: which facts the cluster holds, as far as they were seen."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from rightarch import crds
from rightarch.facts.calendar import Calendar
from rightarch.facts.fact import Fact, Untrusted, name_of
from rightarch.logs import fields
from rightarch.platforms import ImagePlatforms
from rightarch.reference import Reference
from rightarch.registry import Key, Registry

if TYPE_CHECKING:
    from collections.abc import Callable

PATH: Final = f"/apis/{crds.GROUP}/{crds.VERSION}/{crds.IMAGE_PLATFORMS['plural']}"
"""The collection of all facts."""
LONG_AGO: Final = 10 * 365 * 86400.0
"""The age of what was learnt at no time that can be believed."""
_SKEW: Final = 300.0
"""Seconds by which clocks may differ."""
_MAX_UNTRUSTED: Final = 50_000
_MAX_TOLD: Final = 10
"""Objects of which the log tells: after a step back to this version there may be thousands of a newer one's."""

log = logging.getLogger(__name__)

Read = Fact | Untrusted


@dataclass(slots=True)
class Held:
    """A fact that the cluster holds.

    Attributes:
        fact: as it was last seen.
        image: its image, as the registry client answers with it.
        used: the last day on which this process saw it used, or the one that the fact names.
    """

    fact: Fact
    image: ImagePlatforms
    used: date


class Memory:
    """The facts that the cluster holds, told to the registry client as they come and go.

    Attributes:
        seen: set once all facts were seen, or there is no way to see them.
        refused: whether there is no such collection, or no right to it.
        gone: told the name of each object that was there, or was not trusted, and is not so any more.
    """

    def __init__(self, registry: Registry, calendar: Calendar) -> None:
        self.seen = asyncio.Event()
        self.refused = False
        self.gone: Callable[[str], None] = _nobody
        self._registry, self._calendar = registry, calendar
        self._held: dict[Key, Held] = {}
        self._untrusted: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def untrusted(self) -> int:
        """The number of objects that were passed over."""
        return len(self._untrusted)

    def get(self, key: Key) -> Held | None:
        """The fact about a reference in a scope, or None where the cluster holds none."""
        return self._held.get(key)

    def facts(self) -> list[Fact]:
        """All of them, as they are now."""
        return [held.fact for held in self._held.values()]

    def replace(self, objects: list[Read]) -> None:
        """Take a complete list in place of all that was known."""
        gone = self._held.keys() - {each.key for each in objects if isinstance(each, Fact)}
        trusted = self._untrusted - {each.name for each in objects if isinstance(each, Untrusted)}
        self._untrusted -= trusted
        for name in trusted:
            self.gone(name)
        for each in objects:
            self.put(each)
        for key in gone:
            self._forget(key)
        self.refused = False
        self.seen.set()

    def put(self, thing: Read) -> None:
        """Take an object that is new or has changed."""
        if isinstance(thing, Untrusted):
            self._pass_over(thing)
            return
        held = self._held.get(thing.key)
        if held is None or held.fact != thing:
            used = max(held.used, thing.last_used) if held else thing.last_used
            self._held[thing.key] = Held(thing, self._teach(thing), used)

    def remove(self, thing: Read) -> None:
        """Forget an object that is gone."""
        if isinstance(thing, Untrusted):
            self._untrusted.discard(thing.name)
        if thing.key is not None:
            self._forget(thing.key)
        self.gone(thing.name if isinstance(thing, Untrusted) else name_of(thing.key))

    def refuse(self) -> None:
        """There is nothing to be seen: not waited for any longer. What was seen before stays."""
        self.refused = True
        self.seen.set()

    def _teach(self, fact: Fact) -> ImagePlatforms:
        if not fact.answers:
            return fact.image
        age = self._calendar.now() - fact.learned_at
        age = LONG_AGO if age < -_SKEW else max(age, 0.0)
        return self._registry.learn(Reference.parse(fact.key[1]), fact.key[0], fact.image, age)

    def _forget(self, key: Key) -> None:
        if self._held.pop(key, None):
            self._registry.forget(Reference.parse(key[1]), key[0])

    def _pass_over(self, thing: Untrusted) -> None:
        """Once a name is enough: whoever wrote it may go on writing it."""
        if thing.key is not None:
            self._forget(thing.key)
        if thing.name not in self._untrusted and len(self._untrusted) < _MAX_UNTRUSTED:
            self._untrusted.add(thing.name)
            level = logging.WARNING if len(self._untrusted) <= _MAX_TOLD else logging.DEBUG
            log.log(level, "passed over an ImagePlatforms", extra=fields(name=thing.name, problem=str(thing)))


def _nobody(_: str) -> None:
    """Hears of what is gone as long as nobody else does."""
