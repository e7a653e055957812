"""Policies: what becomes of each is told in its status, for whoever wrote it.

Policies are few: each round reads them all, and writes the statuses that are not as they should be. Pods are counted by
a list of their metadata every few minutes, a page at a time: no pod is kept, and none is watched.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from rightarch.cluster import ALIVE, Cluster, ClusterError
from rightarch.controller.census import PODS
from rightarch.following import REFUSALS
from rightarch.logs import fields
from rightarch.metrics import ProcessMetrics
from rightarch.placement import APPLIED
from rightarch.policy import Kind, Policy, conflicts
from rightarch.rulebook import DEFINITIONS, Rulebook

CHANGES_SECONDS: Final = 0.5
"""Between two looks whether the policies have changed."""
RETRY_SECONDS: Final = 5.0
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"

log = logging.getLogger(__name__)

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is said of a policy: as conditions of Kubernetes say it."""

    kind: str
    holds: bool
    reason: str
    message: str

    def raw(self, generation: int, before: Object | None, now: datetime) -> dict[str, Any]:
        """The condition as the API has it, said of a generation. One that stays what it is keeps its time."""
        status = str(self.holds)
        stays = before is not None and before["status"] == status
        return {
            "type": self.kind,
            "status": status,
            "observedGeneration": generation,
            "lastTransitionTime": before["lastTransitionTime"] if before and stays else now.strftime(_TIME),
            "reason": self.reason,
            "message": self.message,
        }


def conditions(policy: Policy, winner: str | None) -> tuple[Condition, ...]:
    """What is said of a policy.

    Args:
        policy: which.
        winner: the title of one to which it loses by its name alone.
    """
    if policy.spec is None:
        return (Condition("Ready", False, "Invalid", f"It counts as absent: {policy.problem}."),)
    ready = Condition("Ready", True, "Valid", "It is obeyed.")
    if winner is None:
        return ready, Condition("Conflicted", False, "Distinct", "It loses to no other by its name alone.")
    lost = f"{winner} goes before it by its name alone, for pods that both are for: give one another priority."
    return ready, Condition("Conflicted", True, "EqualPriority", lost)


def status(policy: Policy, winner: str | None, pods: int | None, before: Object, now: datetime) -> dict[str, Any]:
    """The status of a policy, as it should be.

    Args:
        policy: whose.
        winner: the title of one to which it loses by its name alone.
        pods: how many pods it decided; None before they were counted: then what was counted stays.
        before: the status as it is.
        now: the time.
    """
    since = {each["type"]: each for each in before.get("conditions") or ()}
    said = conditions(policy, winner)
    told = [each.raw(policy.generation, since.get(each.kind), now) for each in said]
    counted = before.get("pods") if pods is None else pods
    return {"observedGeneration": policy.generation, "conditions": told} | (
        {} if counted is None else {"pods": counted}
    )


class PolicyStatuses:
    """Tells, for as long as this replica leads.

    Args:
        cluster: whose policies.
        rulebook: tells when they have changed.
        interval: seconds between two counts of pods.
        metrics: where failures are counted.

    Attributes:
        written: statuses that were written.
    """

    def __init__(self, cluster: Cluster, rulebook: Rulebook, interval: float, metrics: ProcessMetrics) -> None:
        self.written = 0
        self._cluster, self._rulebook, self._interval, self._metrics = cluster, rulebook, interval, metrics
        self._pods: Counter[str] | None = None
        meaning = "Statuses of policies written."
        metrics.counter("rightarch_policy_statuses_written", meaning, (), lambda: {(): self.written})

    async def run(self) -> NoReturn:
        """Count and tell, for ever; what has changed is told at once."""
        while True:
            until = time.monotonic() + self._interval
            await self._tried(self._count, "could not count the pods of policies")
            while time.monotonic() < until:
                policies = self._rulebook.policies
                done = await self._tried(self._tell, "could not tell what becomes of policies")
                await self._changed(policies if done else None, until)

    async def _changed(self, policies: object, until: float) -> None:
        """Wait until the policies are others, or for the next try where the last one failed; at most until a time."""
        if policies is None:
            until = min(until, time.monotonic() + RETRY_SECONDS)
        while policies in {None, self._rulebook.policies}:  # a store of what is followed tells nobody
            if (left := until - time.monotonic()) <= 0:
                return
            await asyncio.sleep(min(CHANGES_SECONDS, left))

    async def _count(self) -> None:
        counts: Counter[str] = Counter()
        selectors = {"labelSelector": APPLIED, "fieldSelector": ALIVE}
        async with aclosing(self._cluster.pages(PODS, selectors, metadata=True)) as pages:
            async for page, _ in pages:
                counts.update(pod["metadata"]["labels"][APPLIED] for pod in page)
        self._pods = counts

    async def _tell(self) -> None:
        """Read all policies, and write the statuses that are not as they should be."""
        read = [(Policy.of(kind, thing), thing) for kind in Kind for thing in await self._list(kind)]
        winners = conflicts(policy for policy, _ in read)
        for policy, thing in read:
            pods = None if self._pods is None else self._pods[policy.label]
            before = thing.get("status") or {}
            wanted = status(policy, winners.get(policy.title), pods, before, datetime.now(UTC))
            if wanted != before:
                await self._write(policy, wanted)

    async def _list(self, kind: Kind) -> list[Object]:
        """All of a kind; none where there is no such collection."""
        found: list[Object] = []
        try:
            async with aclosing(self._cluster.pages(DEFINITIONS[kind].path)) as pages:
                async for page, _ in pages:
                    found += page
        except ClusterError as error:
            if error.status not in REFUSALS:
                raise
        return found

    async def _write(self, policy: Policy, wanted: Object) -> None:
        """Write a status whole; one that is gone meanwhile, or was made anew, needs none."""
        definition = DEFINITIONS[policy.kind]
        collection = definition.path_in(policy.namespace) if policy.namespace else definition.path
        change = {"metadata": {"uid": policy.uid}, "status": wanted}
        try:
            await self._cluster.patch(f"{collection}/{policy.name}/status", "merge-patch", change)
        except ClusterError as error:
            if error.status not in {404, 409}:
                raise
        else:
            self.written += 1

    async def _tried(self, task: Callable[[], Awaitable[None]], failure: str) -> bool:
        """Whether a task was done; a failure is no end: the next one comes."""
        try:
            await task()
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            self._metrics.watch_failed()
            log.warning(failure, extra=fields(error=str(error) or type(error).__name__))
            return False
        return True
