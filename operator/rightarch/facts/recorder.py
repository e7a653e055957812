"""The recorder: what is worth writing, and when."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Final

from rightarch.errors import ImageError
from rightarch.facts.calendar import Calendar
from rightarch.facts.fact import Fact, storable
from rightarch.facts.memory import Held, Memory
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import Key

MAX_PENDING: Final = 10_000
MAX_PLANNED: Final = 100_000
"""Facts that wait to be written, and uses that wait for their moment; what is beyond is found again when it is used."""
CALM_SECONDS: Final = 600.0
"""How long one process leaves the class of a lasting failure alone: replicas that fail differently would take turns."""


@dataclass(frozen=True, slots=True)
class News:
    """What was learnt and is not written yet.

    Attributes:
        at: when, in seconds since 1970.
        image: what was read; None where there is only a failure, or a use.
        failure: why the last look-up failed, or None.
        looked: whether somebody looked it up; otherwise it was only used.
    """

    at: int
    image: ImagePlatforms | None = None
    failure: Reason | None = None
    looked: bool = False


class Recorder:
    """Told by the registry client of what is found and used, within admissions; keeps what the writer is to write.

    Attributes:
        dropped: news that found no room.
        planned: the number of uses that wait for their moment.
    """

    def __init__(self, memory: Memory, calendar: Calendar, clock: Callable[[], float] = time.monotonic) -> None:
        self.dropped = 0
        self._memory, self._calendar, self._clock = memory, calendar, clock
        self._pending: dict[Key, News] = {}
        self._some = asyncio.Event()
        self._plan: list[tuple[float, Key]] = []
        self._planned: set[Key] = set()
        self._failed: dict[Key, float] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def found(self, key: Key, outcome: ImagePlatforms | ImageError) -> None:
        """A look-up ended: worth writing where it changes what the cluster holds."""
        held = self._memory.get(key)
        if isinstance(outcome, ImageError):
            if held is not None or key in self._pending:  # what was never read is not kept
                self._failure(key, held, outcome.reason)
        elif held is None or held.fact.image != outcome or held.fact.last_failure is not None:
            self._want(key, News(self._now(), outcome, looked=True))
        else:
            held.image = outcome

    def used(self, key: Key, image: ImagePlatforms) -> None:
        """An answer was given: worth writing where nobody wrote it, or where it is the first use of the day."""
        held = self._memory.get(key)
        if held is None or held.image is not image or held.used != self._calendar.today:
            self._use(key, image, held)

    def turn(self) -> None:
        """Look at the clock: a new day may have begun, and planned uses may have their moment."""
        self._calendar.turn()
        now = self._clock()
        while self._plan and self._plan[0][0] <= now:
            key = heappop(self._plan)[1]
            self._planned.discard(key)
            self._want(key, News(self._now()))

    async def next(self) -> tuple[Key, News]:
        """The oldest news, once there is some."""
        await self._some.wait()
        key = next(iter(self._pending))
        news = self._pending.pop(key)
        if not self._pending:
            self._some.clear()
        return key, news

    def again(self, key: Key, news: News) -> None:
        """Take back what could not be written, unless there is newer news."""
        if key not in self._pending:
            self._want(key, news)

    def fact(self, key: Key, news: News) -> Fact | None:
        """What the cluster should hold, from what it holds and the news; None where that is the same."""
        held = self._memory.get(key)
        if held is None:
            return self._first(key, news)
        fact = replace(held.fact, last_used=max(held.used, held.fact.last_used))
        if news.at >= fact.learned_at:  # else somebody learnt better meanwhile
            fact = _updated(fact, news)
        return None if fact == held.fact else fact

    def _first(self, key: Key, news: News) -> Fact | None:
        if news.image is None:
            return None
        return Fact(key, news.image, _source(key), news.at, self._calendar.today, news.failure)

    def _use(self, key: Key, image: ImagePlatforms, held: Held | None) -> None:
        if held is None:
            if key not in self._pending:
                self._want(key, News(self._now(), image))
            return
        if held.fact.image != image:
            self._want(key, News(self._now(), image))
        held.image = image
        if held.used != self._calendar.today:
            held.used = self._calendar.today
            self._plan_use(key, held)

    def _plan_use(self, key: Key, held: Held) -> None:
        """A moment of the coming day, by chance: the first replica whose moment comes writes, the others see it."""
        if held.fact.last_used < held.used and key not in self._planned and len(self._plan) < MAX_PLANNED:
            self._planned.add(key)
            heappush(self._plan, (self._clock() + random.uniform(0, self._calendar.day), key))  # noqa: S311 - no secret

    def _failure(self, key: Key, held: Held | None, reason: Reason) -> None:
        before = self._pending.get(key)
        known = before.failure if before and before.looked else held.fact.last_failure if held else None
        if known == reason:
            return
        now = self._clock()
        if known is not None and now < self._failed.get(key, -CALM_SECONDS) + CALM_SECONDS:
            return
        if len(self._failed) >= MAX_PENDING:
            self._failed.clear()
        self._failed[key] = now
        self._want(key, News(self._now(), before.image if before else None, reason, looked=True))

    def _want(self, key: Key, news: News) -> None:
        if news.image is not None and not storable(key, news.image):
            return
        if key not in self._pending and len(self._pending) >= MAX_PENDING:
            self.dropped += 1
            return
        before = self._pending.get(key)
        if before is None or news.image is not None or news.looked:
            self._pending[key] = news
        self._some.set()

    def _now(self) -> int:
        return int(self._calendar.now())


def _updated(fact: Fact, news: News) -> Fact:
    ended = news.looked and news.failure is None and fact.last_failure is not None
    if news.looked:
        fact = replace(fact, last_failure=news.failure)
    if news.image is not None and (ended or news.image != fact.image):
        fact = replace(fact, image=news.image, source=_source(fact.key), learned_at=news.at)
    return fact


def _source(key: Key) -> str:
    """The host that was asked."""
    return Reference.parse(key[1]).host
