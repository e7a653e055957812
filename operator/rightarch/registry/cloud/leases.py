"""Leases: what was obtained, as long as it is good. One exchange at a time for each, renewed before it is missed."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from rightarch.registry.cloud.exchange import Lease, NoCredential
from rightarch.registry.memory import Recent

Value = TypeVar("Value")
Obtain = Callable[[], Coroutine[Any, Any, Lease[Value]]]
"""Gets a new lease, or raises NoCredential."""

_log = logging.getLogger(__name__)
_SIZE: Final = 1024
_RENEWED: Final = 0.75  # of its life has passed
_MARGIN: Final = 60.0
_FIRST_WAIT: Final = 5.0
_LAST_WAIT: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Held(Generic[Value]):
    """A value, or why there is none; since when, when to ask for another, and until when to use this one.

    ``wait`` is how long was waited after the last failure, 0 if there was none.
    """

    outcome: Value | NoCredential = field(repr=False)
    begin: float
    renew: float
    end: float
    wait: float = 0.0


class Leases(Generic[Value]):
    """Values by key. A failure is remembered too: for 5 seconds at first, for a minute if there are more.

    A service that hangs costs those who wait its time-out once in that while; a pod's first seconds, in which the
    metadata service of some clouds is not there yet, don't cost a minute. Use it in one event loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: Recent[Hashable, _Held[Value]] = Recent(_SIZE)
        self._flights: dict[Hashable, asyncio.Task[Value | NoCredential]] = {}

    async def get(self, key: Hashable, obtain: Obtain[Value]) -> Value:
        """The value. Cancelling a wait leaves the exchange running, for the others and for the memory.

        Raises:
            NoCredential: there is none, or was none a moment ago.
        """
        held, now = self._held.get(key), self._clock()
        if held is None or now >= held.end:
            outcome = await asyncio.shield(self._flight(key, obtain))
        else:
            outcome = held.outcome
            if now >= held.renew:
                self._flight(key, obtain)
        if isinstance(outcome, NoCredential):
            raise outcome.again()
        return outcome

    def drop(self, key: Hashable) -> None:
        """Forget a value that was found to be good no more, if it is a minute old: new ones are not to blame.

        Otherwise whoever names registries that refuse it could have it obtained anew for each of them.
        """
        held = self._held.get(key)
        if held is not None and self._clock() >= held.begin + _LAST_WAIT:
            self._held.drop(key)

    async def aclose(self) -> None:
        """End the exchanges that are running."""
        running = list(self._flights.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _flight(self, key: Hashable, obtain: Obtain[Value]) -> asyncio.Task[Value | NoCredential]:
        """The exchange that is running for a key, or a new one."""
        task = self._flights.get(key)
        if task is None:
            task = self._flights[key] = asyncio.create_task(self._renewed(key, obtain))
            task.add_done_callback(lambda _: self._flights.pop(key, None))
        return task

    async def _renewed(self, key: Hashable, obtain: Obtain[Value]) -> Value | NoCredential:
        try:
            lease = await obtain()
        except NoCredential as problem:
            _log.debug("no cloud credential: %s", problem)
            return self._failed(key, problem.again())
        now = self._clock()
        end = now + lease.life - min(_MARGIN, lease.life / 4)
        self._held.put(key, _Held(lease.value, now, min(now + lease.life * _RENEWED, end), end))
        return lease.value

    def _failed(self, key: Hashable, problem: NoCredential) -> Value | NoCredential:
        """Keep what is still good, and wait before the next exchange."""
        held, now = self._held.get(key), self._clock()
        wait = min(held.wait * 2, _LAST_WAIT) if held and held.wait else _FIRST_WAIT
        if held is None or isinstance(held.outcome, NoCredential) or now >= held.end:
            self._held.put(key, _Held(problem, now, now + wait, now + wait, wait))
            return problem
        self._held.put(key, _Held(held.outcome, held.begin, min(now + wait, held.end), held.end, wait))
        return held.outcome
