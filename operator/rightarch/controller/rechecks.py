"""Rechecks: whether credentials may still read what they once read, although nobody asks.

What was found with a credential answers for as long as it is kept. Replicas confirm it when it is used; a digest seldom
is, since it can't change. A right that was taken away must end there too.
"""

import asyncio
import random
import time
from typing import Final, NoReturn

from rightarch.facts import Fact, Facts
from rightarch.keychains import Keychains
from rightarch.metrics import ProcessMetrics
from rightarch.reference import Reference
from rightarch.registry import Key, Registry, links

AT_A_TIME: Final = 8
SOON: Final = 3600.0
"""Seconds within which what is overdue is checked: after a start, that is most."""
_ROUNDS: Final = 200
"""How often in an interval is looked for what is due."""


class Rechecks:
    """Confirms what is kept of private images, one after the other, within each interval.

    Args:
        registry: asks.
        keychains: in whose name.
        facts: what is kept.
        interval: seconds.

    Attributes:
        done: how many were confirmed, or were not.
    """

    def __init__(self, registry: Registry, keychains: Keychains, facts: Facts, interval: float) -> None:
        self.done = 0
        self._registry, self._keychains, self._facts, self._interval = registry, keychains, facts, interval
        self._due: dict[Key, float] = {}

    def expose(self, metrics: ProcessMetrics) -> None:
        """Show how many were done."""
        meaning = "Private images that were asked for again."
        metrics.counter("rightarch_rechecks", meaning, (), lambda: {(): float(self.done)})

    async def run(self) -> NoReturn:
        """Check for ever, once all facts were seen."""
        await self._facts.wait()
        while True:
            due = self._take()
            for start in range(0, len(due), AT_A_TIME):
                await asyncio.gather(*map(self._check, due[start : start + AT_A_TIME]))
            await asyncio.sleep(min(60.0, self._interval / _ROUNDS))

    def _take(self) -> list[Key]:
        """Those that are due now; each gets its next time."""
        now, wall = time.monotonic(), time.time()
        facts = self._facts.narrow()
        self._due = {fact.key: self._due.get(fact.key) or self._first(fact, now, wall) for fact in facts}
        due = [key for key, at in self._due.items() if at <= now]
        for key in due:
            self._due[key] = now + self._interval * random.uniform(0.9, 1.0)  # noqa: S311 - jitter
        return due

    def _first(self, fact: Fact, now: float, wall: float) -> float:
        left = fact.learned_at + self._interval - wall
        return now + (left if left > 0 else random.uniform(0, min(SOON, self._interval)))  # noqa: S311 - jitter

    async def _check(self, key: Key) -> None:
        """Ask in the name of whoever found it, if there still is one."""
        scope, reference = key[0], Reference.parse(key[1])
        keys = self._keychains.of_scope(scope)
        if links(keys, reference)[0].scope == scope:
            await self._registry.confirm(reference, keys)
            self.done += 1
