"""The Lease of the controllers: whether one of them works, so that a gate that is added now will be ended."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
"""The collection of a namespace."""
SECONDS: Final = 30.0
"""For how long after its last renewal somebody is taken to hold it: twice as long as another candidate waits."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A state of the Lease.

    Attributes:
        holder: the identity of the leader; empty where one has given it back.
        time: of the last renewal, in seconds since 1970 by the clock of who renewed; 0 where none can be read.
    """

    holder: str
    time: float

    @classmethod
    def of(cls, lease: Mapping[str, Any]) -> Self:
        """The state of a raw object."""
        spec = lease.get("spec") or {}
        try:
            renewed = datetime.fromisoformat(spec.get("renewTime") or "").timestamp()
        except ValueError:
            renewed = 0.0
        return cls(str(spec.get("holderIdentity") or ""), renewed)


class Lease:
    """Whether the Lease is held: a store of what is followed.

    A renewal that is seen as it happens counts from then on, whatever the clock says of who renewed. One that was there
    before counts from the time that it names, so that a Lease of last week makes nobody wait.

    Args:
        clock: seconds that pass.
        wall: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._clock, self._wall = clock, wall
        self._seen: Renewal | None = None
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether a controller renewed it lately."""
        return self._clock() < self._until

    def replace(self, listed: list[Renewal]) -> None:
        """Take what is there in place of what was known."""
        if not listed:
            self._seen, self._until = None, 0.0
        for renewal in listed:
            self._take(renewal, max(0.0, self._wall() - renewal.time))

    def put(self, renewal: Renewal) -> None:
        """Take a change as it happens."""
        self._take(renewal, 0.0)

    def remove(self, _: Renewal) -> None:
        """Take note that there is no Lease any more."""
        self.replace([])

    def _take(self, renewal: Renewal, age: float) -> None:
        """Who gives the Lease back renews nothing, and what is seen again is no news."""
        if renewal.holder and renewal != self._seen:
            self._until = self._clock() - age + SECONDS
        self._seen = renewal
