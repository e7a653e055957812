"""Lists: every few minutes all workloads are read anew, which heals what the watches missed, and finds watches out.

kopf looks for the kinds that it serves once, at its start: one that starts while the API server does may find none of
them, say so in a line of its log, and watch nothing for ever. Its liveness does not look at its watches.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from rightarch.cluster import Cluster
from rightarch.controller.workloads import KINDS, Key, Kind, Workload, Workloads
from rightarch.errors import RightarchError

LAG_SECONDS: Final = 10.0
"""How long a watch may take to tell of what a list found: the next list may come at once, when a policy changes."""

Take = Callable[[Key, Workload | None], None]
"""Takes a workload that is new or has changed; None: it is gone."""
See = Callable[[Kind, Mapping[str, Any]], None]
"""Sees an object of a kind."""


class WatchesBlind(RightarchError):
    """What a list found was not told by any watch until the next list: the process must end, and be restarted."""


class Lists:
    """Compares full lists with what the watches told.

    Args:
        cluster: whose workloads.
        workloads: what is known of them.
        take: what becomes of each difference.
        see: called with each object, whether or not it differs.
        clock: monotonic seconds.

    Attributes:
        missed: differences found so far.
        taken: whether all kinds were read once.
    """

    def __init__(
        self,
        cluster: Cluster,
        workloads: Workloads,
        take: Take,
        see: See = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.missed, self.taken = 0, False
        self._cluster, self._workloads, self._take, self._see = cluster, workloads, take, see
        self._clock = clock
        self._told: set[Key] = set()
        self._untold: dict[Key, float] = {}

    def told(self, key: Key) -> None:
        """Note that a watch told of a workload: what a list says that began earlier may be older."""
        self._told.add(key)
        self._untold.pop(key, None)

    async def take(self) -> None:
        """Read all workloads, and take what differs.

        Raises:
            WatchesBlind: a difference of an earlier list was not told by a watch in time.
            ClusterError: what the API server answered.
        """
        blind = [key for key, found in self._untold.items() if self._clock() - found > LAG_SECONDS]
        if blind:
            raise WatchesBlind(f"no watch told of {min(blind)}, nor of {len(blind) - 1} others, in time")
        for kind in KINDS:
            await self._list(kind)
        self.taken = True

    async def _list(self, kind: Kind) -> None:
        """Take a list of one kind. A page shows the moment of the first one, and what was told since is newer."""
        before, listed = self._workloads.keys(kind), set()
        self._told.clear()
        async for page, _ in self._cluster.pages(kind.path):
            for thing in page:
                listed.add(key := Key.of(kind, thing))
                self._compare(key, Workload.of(kind, thing))
                self._see(kind, thing)
        for key in before - listed:
            self._compare(key, None)

    def _compare(self, key: Key, workload: Workload | None) -> None:
        if key in self._told or self._workloads.get(key) == workload:
            return
        self.missed += 1
        self._untold.setdefault(key, self._clock())
        self._take(key, workload)
