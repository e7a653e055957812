"""The election: of all replicas, one holds the Lease and works.

Our own, on the API itself: ``kubernetes.aio.leaderelection`` of version 37 stamps local time as UTC, ends with the
first lost connection while what it led goes on, bounds no request by the deadline that it is meant to keep, and gives
nothing back at the end, so that each rollout would wait for the Lease to run out. The rules and the figures are those
of client-go's leaderelection.
"""

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rightarch.cluster import Cluster, ClusterError
from rightarch.errors import RightarchError
from rightarch.logs import fields

LEASE_SECONDS: Final = 15
"""How long a leader that is not heard of keeps the Lease."""
RENEW_SECONDS: Final = 10
"""How long a leader tries to renew before it gives up; shorter, so that it has ended when another begins."""
RETRY_SECONDS: Final = 2.0

log = logging.getLogger(__name__)

Lease = Mapping[str, Any]


class LeadershipLost(RightarchError):
    """This replica leads no more, and must end at once what only a leader does."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A state of the Lease, and when it was first seen: clocks of others are not compared with ours."""

    lease: Lease
    since: float

    def held_by_other(self, identity: str, now: float) -> bool:
        """Whether somebody else holds it and was heard of lately."""
        spec = self.lease.get("spec") or {}
        holder = spec.get("holderIdentity") or identity
        seconds = spec.get("leaseDurationSeconds") or LEASE_SECONDS
        return holder != identity and now < self.since + float(seconds)


class Election:
    """One candidate.

    Args:
        cluster: the API server that keeps the Lease.
        namespace: of the Lease.
        name: of the Lease.
        identity: of this candidate, unlike all others.

    Attributes:
        heard: whether the state of the Lease was ever learnt.
        leading: whether this candidate holds the Lease.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str, identity: str) -> None:
        self.heard = False
        self.leading = False
        self.identity = identity
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._seen: Seen | None = None

    async def win(self) -> None:
        """Return when this candidate has become the leader."""
        while not await self._tried():  # noqa: ASYNC110 - nothing of ours says when a Lease of others ends
            await asyncio.sleep(RETRY_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
        self.leading = True
        log.info("leading", extra=fields(identity=self.identity))

    async def keep(self) -> None:
        """Renew the Lease for as long as this candidate leads.

        Raises:
            LeadershipLost: it could not be renewed in time, or somebody else has it.
        """
        renewed = time.monotonic()
        while time.monotonic() < renewed + RENEW_SECONDS:
            begun = time.monotonic()
            if await self._tried(renewed + RENEW_SECONDS - begun):
                renewed = begun
            elif self._seen and self._seen.held_by_other(self.identity, time.monotonic()):
                break
            await asyncio.sleep(RETRY_SECONDS)
        self.leading = False
        raise LeadershipLost(
            f"the Lease {self._namespace}/{self._name} could not be renewed within {RENEW_SECONDS} s or was taken: "
            "this replica ends, and is a candidate again when it is restarted"
        )

    async def resign(self) -> None:
        """Give the Lease back, so that another candidate need not wait for its end."""
        if not self.leading or self._seen is None:
            return
        self.leading = False
        spec = {**self._seen.lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._store(self._seen.lease, spec)
        except Exception as error:  # noqa: BLE001 - the Lease ends by itself
            log.warning("could not give the Lease back", extra=fields(error=_text(error)))

    async def _tried(self, seconds: float = RENEW_SECONDS) -> bool:
        """Whether this candidate has the Lease after one attempt, which takes at most so long."""
        try:
            async with asyncio.timeout(seconds):
                return await self._attempt()
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            if not (isinstance(error, ClusterError) and error.status == 409):  # another one was faster: as it should be
                log.warning("no word from the Lease", extra=fields(lease=self._name, error=_text(error)))
            return False

    async def _attempt(self) -> bool:
        lease = await self._read()
        self.heard = True
        if lease is None:
            await self._create()
            return True
        if self._seen is None or self._seen.lease.get("spec") != lease.get("spec"):
            self._seen = Seen(lease, time.monotonic())
        if self._seen.held_by_other(self.identity, time.monotonic()):
            return False
        await self._store(lease, self._spec(lease.get("spec") or {}))
        return True

    async def _read(self) -> Lease | None:
        try:
            return await self._cluster.read(f"{self._collection}/{self._name}")
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    async def _create(self) -> None:
        metadata = {"name": self._name, "namespace": self._namespace}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": self._spec({})}
        self._seen = Seen(await self._cluster.create(self._collection, lease), time.monotonic())

    async def _store(self, lease: Lease, spec: Mapping[str, Any]) -> None:
        """Put a spec in the place of the one that was read; a conflict means that somebody was faster."""
        stored = await self._cluster.replace(f"{self._collection}/{self._name}", {**lease, "spec": spec})
        self._seen = Seen(stored, time.monotonic())

    def _spec(self, before: Mapping[str, Any]) -> dict[str, Any]:
        now = _now()
        ours = before.get("holderIdentity") == self.identity
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": before.get("acquireTime") if ours else now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if ours or not before else 1),
        }


def _now() -> str:
    """This moment as the API writes times with microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
