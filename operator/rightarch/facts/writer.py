"""The writer: puts facts into the cluster, at a pace, with patience."""

import asyncio
import logging
import random
from collections import Counter
from typing import Final, NoReturn

from rightarch.cluster import Cluster, ClusterError, Object
from rightarch.facts import fact as facts
from rightarch.facts.fact import Fact, Untrusted, name_of
from rightarch.facts.memory import PATH, Memory
from rightarch.facts.recorder import News, Recorder
from rightarch.following import REFUSALS, REFUSED_PAUSE
from rightarch.logs import fields
from rightarch.registry import Key

PACE: Final = 0.05
"""Seconds between writes of one process, at least."""
SETTLE_SECONDS: Final = 0.5
"""How long to wait for the watch to show what somebody else wrote at the same time."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
_UNFIT: Final = frozenset({400, 405, 413, 422})
"""Statuses that say that this fact will never be taken as it is."""
_MAX_GIVEN_UP: Final = 10_000
"""Objects that are not tried again; beyond that, those that were given up first are."""

log = logging.getLogger(__name__)


class Writer:
    """Writes what the recorder thinks worth it.

    Attributes:
        writes: facts written, by what changed: ``created``, ``changed``, ``used``.
        failures: writes that failed, by the API server's status, or ``error``.
        writing: whether one is under way.
    """

    def __init__(self, cluster: Cluster, memory: Memory, recorder: Recorder) -> None:
        self.writes: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.writing = False
        self._cluster, self._memory, self._recorder = cluster, memory, recorder
        self._given_up: dict[str, None] = {}  # names, in order: of what is gone, no more than that may be known
        memory.gone = self._hope
        self._pause = FIRST_PAUSE
        self._refused = False

    async def run(self) -> NoReturn:
        """Write for ever, once the facts that there are were seen."""
        await self._memory.seen.wait()
        while True:
            key, news = await self._recorder.next()
            await asyncio.sleep(await self._tried(key, news))

    async def flush(self) -> None:
        """Write what waits, at once, for a process that is about to end, as long as that succeeds."""
        while len(self._recorder) and await self._tried(*await self._recorder.next()) == PACE:
            pass

    async def _tried(self, key: Key, news: News) -> float:
        """Try to write; gives the seconds to wait before the next."""
        self.writing = True
        try:
            await self._write(key, news)
        except asyncio.CancelledError:
            self._recorder.again(key, news)
            raise
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            return self._failed(key, news, error)
        finally:
            self.writing = False
        self._pause, self._refused = FIRST_PAUSE, False
        return PACE

    async def _write(self, key: Key, news: News) -> None:
        fact, held = self._recorder.fact(key, news), self._memory.get(key)
        if fact is None or name_of(key) in self._given_up:
            return
        if held is None:
            await self._create(fact, news)
        else:
            await self._change(held.fact, fact, news)

    async def _create(self, fact: Fact, news: News) -> None:
        try:
            stored = await self._cluster.create(PATH, facts.manifest(fact))
        except ClusterError as error:
            if error.status != 409:
                raise
            await self._merge(fact, news)
        else:
            self._done(fact, "created", stored)

    async def _merge(self, fact: Fact, news: News) -> None:
        """Somebody wrote the same fact first: most often nothing is left to do once the watch shows it."""
        await asyncio.sleep(SETTLE_SECONDS)
        held = self._memory.get(fact.key)
        if held is None:  # what is there can't be seen, or is not trusted
            await self._patch(fact, facts.whole(fact), "changed")
        elif wanted := self._recorder.fact(fact.key, news):
            await self._change(held.fact, wanted, news)

    async def _change(self, held: Fact, fact: Fact, news: News) -> None:
        change = facts.changes(held, fact)
        try:
            await self._patch(fact, change, "used" if set(change["status"]) == {"lastUsed"} else "changed")
        except ClusterError as error:
            if error.status != 404:
                raise
            await self._create(fact, news)

    async def _patch(self, fact: Fact, change: Object, kind: str) -> None:
        self._done(fact, kind, await self._cluster.patch(f"{PATH}/{name_of(fact.key)}", "merge-patch", change))

    def _done(self, fact: Fact, kind: str, stored: Object) -> None:
        """What was written is known at once: the watch may tell late, or not at all."""
        self.writes[kind] += 1
        read = facts.read(stored)
        self._memory.put(read)
        if isinstance(read, Untrusted):  # somebody holds the name with a spec that says otherwise, and can't change
            self._give_up(fact.key, read)

    def _failed(self, key: Key, news: News, error: Exception) -> float:
        status = error.status if isinstance(error, ClusterError) else None
        self.failures[str(status or "error")] += 1
        if status in _UNFIT:
            self._give_up(key, error)
            return PACE
        self._recorder.again(key, news)
        warned, self._refused = self._refused, status in REFUSALS
        if not (warned and self._refused):
            log.warning("could not write an ImagePlatforms", extra=fields(reference=key[1], error=str(error)))
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return random.uniform(0.5, 1.0) * (REFUSED_PAUSE if self._refused else self._pause)  # noqa: S311 - no secret

    def _give_up(self, key: Key, error: Exception) -> None:
        self._given_up[name_of(key)] = None
        if len(self._given_up) > _MAX_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]
        log.warning("an ImagePlatforms can't be written", extra=fields(reference=key[1], error=str(error)))

    def _hope(self, name: str) -> None:
        """Try again what was given up: the object that stood in the way is gone."""
        self._given_up.pop(name, None)
