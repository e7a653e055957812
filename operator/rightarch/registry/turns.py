"""Turns: who begins next, where many want to begin at once.

To connect to a host takes a millisecond of work, most of it for TLS. Hundreds at once would keep the event loop from
everything else for as long; and whoever comes after them would wait for them all.
"""

import asyncio
from collections import OrderedDict, deque


class Turns:
    """Lets one begin in each turn of the event loop, askers one after the other. Use it in one event loop."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def wait(self, asker: str) -> None:
        """Return when it is the asker's turn: after others of the same asker, and one at most of each other."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._next)
        self._waiting.setdefault(asker, deque()).append(turn)
        await turn

    def _next(self) -> None:
        """Give a turn to who waits for the longest, and see to the next one."""
        asker, turns = self._waiting.popitem(last=False)
        turn = turns.popleft()
        if not turn.done():  # else it was cancelled
            turn.set_result(None)
        if turns:
            self._waiting[asker] = turns
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
