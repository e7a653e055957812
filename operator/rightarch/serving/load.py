"""Load: what all connections of a server hold together, and which of them gives way where it is too much.

Whoever reaches the port may open connections and leave them there. The API server's requests arrive whole within
milliseconds, so it is the others that give way: what was never used, what arrives slowly, what holds the most.
"""

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Final

from rightarch.serving.connection import Connection, State

MAX_CONNECTIONS: Final = 1000
"""Connections of a port. An API server opens one for each review that it sends at a time."""
MAX_HELD: Final = 64 * 1024 * 1024
"""Bytes of bodies in memory, of all connections of a port: of reviews that arrive or are answered."""

_FULL: Final = "too many connections are open; this one gives way"
_HELD: Final = f"requests of more than {MAX_HELD} bytes arrive at once; this one, the largest, gives way"


class Load:
    """What the connections of a server cost.

    Args:
        connections: of the server; it keeps them.
        refused: called with the status of each request that is refused before an application saw it.

    Attributes:
        held: bytes of bodies.
    """

    def __init__(self, connections: Collection[Connection], refused: Callable[[int], None]) -> None:
        self._connections, self.refused = connections, refused
        self.held = 0

    def join(self, connection: Connection) -> None:
        """Close one that is of less use if there is one too many: an unused one, or that which has waited longest."""
        if len(self._connections) <= MAX_CONNECTIONS:
            return
        others = (each for each in self._connections if each is not connection and _may_go(each))
        gone = min(others, key=lambda each: (each.used, each.since), default=connection)
        gone.refuse(HTTPStatus.SERVICE_UNAVAILABLE, _FULL)

    def hold(self, connection: Connection, size: int) -> None:
        """Count bytes; if they are too many, the largest request that still arrives gives way."""
        self.held += size
        if self.held > MAX_HELD:
            arriving = (each for each in self._connections if each.state is State.ARRIVING)
            largest = max(arriving, key=lambda each: each.held, default=connection)
            largest.refuse(HTTPStatus.SERVICE_UNAVAILABLE, _HELD)

    def release(self, size: int) -> None:
        """Count bytes no longer."""
        self.held -= size


def _may_go(connection: Connection) -> bool:
    return connection.state is not State.ANSWERING and not connection.transport.is_closing()
