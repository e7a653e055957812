"""The queue: keys that are to be worked on, each by one worker at a time, again with growing pauses until done.

kopf never retries a handler of events, so handlers only put keys here. Use it in one event loop.
"""

import asyncio
import logging
import math
import random
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, NoReturn, TypeVar

from rightarch.logs import fields

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
WORKERS: Final = 16
PROBE_PAUSE: Final = 4.5
"""The longest pause, in seconds, while a registry fails: it is asked every five seconds at least."""
PROBE_SLACK: Final = 0.4
"""In how many seconds what waits for the same registry is spread."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Within:
    """When a key is tried again: ``least`` seconds from now at least, and ``most`` at most."""

    least: float
    most: float


Work = Callable[[Key], Awaitable[float | Within | None]]
"""Works on a key. None: it is done; else it is tried again, after so many seconds at least."""

log = logging.getLogger(__name__)


def backoff(attempts: int, least: float, chance: float) -> float:
    """Seconds to wait before the next attempt.

    Args:
        attempts: how many have failed, 1 or more.
        least: what the one who refused asked for.
        chance: between 0 and 1; the pause is between half of what is due and all of it, so that retries spread.
    """
    due = FIRST_PAUSE * 2.0 ** min(attempts - 1, 16)
    return max(least, min(due, LONGEST_PAUSE) * (0.5 + chance / 2))


def soon(retry_after: float | None) -> Within:
    """When to try again what a registry fails to tell: soon after it may be asked, and every five seconds at least.

    Args:
        retry_after: seconds until the registry may be asked again; None for at once.
    """
    return Within(0.0, PROBE_PAUSE) if retry_after is None else Within(retry_after, retry_after + PROBE_SLACK)


class Queue(Generic[Key]):
    """Keys in the order in which they came, each there once.

    A key that is added while it is worked on is worked on once more afterwards. A key that waits for its next
    attempt keeps waiting when it is added: what makes it fail has not gone because somebody mentions it.

    Attributes:
        outcomes: attempts by how they ended: ``done``, ``again`` or ``failed`` (an error of our own).
    """

    def __init__(
        self, work: Work[Key], *, workers: int = WORKERS, pause: Callable[[int, float], float] | None = None
    ) -> None:
        self.outcomes: Counter[str] = Counter(done=0, again=0, failed=0)
        self._work, self._workers = work, workers
        self._pause = pause or (lambda attempts, least: backoff(attempts, least, random.random()))  # noqa: S311 - jitter
        self._ready: OrderedDict[Key, None] = OrderedDict()
        self._running: set[Key] = set()
        self._waiting: dict[Key, asyncio.TimerHandle] = {}
        self._attempts: dict[Key, int] = {}
        self._filled = asyncio.Event()

    def counts(self) -> dict[tuple[str, ...], float]:
        """How many keys are ready, being worked on, and waiting for another attempt, as a metric takes it."""
        states = {"ready": self._ready, "running": self._running, "waiting": self._waiting}
        return {(state,): float(len(keys)) for state, keys in states.items()}

    def add(self, key: Key) -> None:
        """Have a key worked on, unless it waits for its next attempt."""
        if key not in self._waiting:
            self._push(key)

    def add_afresh(self, key: Key) -> None:
        """Have a key worked on at once, whatever became of it before: what it stands for has changed."""
        self.forget(key)
        self._push(key)

    def forget(self, key: Key) -> None:
        """Drop a key that is not worked on at the moment, and its attempts."""
        if timer := self._waiting.pop(key, None):
            timer.cancel()
        self._attempts.pop(key, None)
        self._ready.pop(key, None)

    async def run(self) -> NoReturn:
        """Work for ever, on as many keys at a time as there are workers."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._worker())
        raise AssertionError("workers never end")

    def _push(self, key: Key) -> None:
        self._ready.setdefault(key)
        self._filled.set()

    async def _worker(self) -> NoReturn:
        while True:
            key = await self._next()
            self._running.add(key)
            try:
                self._settle(key, await self._attempt(key))
            finally:
                self._running.discard(key)
            self._filled.set()  # for a key that came back meanwhile

    async def _next(self) -> Key:
        """The first key that nobody works on."""
        while True:
            for key in self._ready:
                if key not in self._running:
                    del self._ready[key]
                    return key
            self._filled.clear()
            await self._filled.wait()

    async def _attempt(self, key: Key) -> float | Within | None:
        try:
            return await self._work(key)
        except Exception:  # whatever it is, the other keys must not pay for it
            self.outcomes["failed"] += 1
            log.exception("failed on a key", extra=fields(key=str(key)))
            return 0.0

    def _settle(self, key: Key, again: float | Within | None) -> None:
        if again is None:
            self.outcomes["done"] += 1
            self._attempts.pop(key, None)
            return
        self.outcomes["again"] += 1
        self._attempts[key] = attempts = self._attempts.get(key, 0) + 1
        if key not in self._ready:
            within = again if isinstance(again, Within) else Within(again, math.inf)
            pause = min(self._pause(attempts, within.least), within.most)
            self._waiting[key] = asyncio.get_running_loop().call_later(pause, self._due, key)

    def _due(self, key: Key) -> None:
        del self._waiting[key]
        self._push(key)
