"""DaemonSets: templates whose images were not known in time are written once they are."""

import logging
import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, Final

from rightarch import template
from rightarch.cluster import Cluster, ClusterError
from rightarch.controller.events import Event, Events
from rightarch.controller.managers import Owed, is_applied
from rightarch.controller.queue import Within, soon
from rightarch.controller.workloads import DAEMON_SET, Key
from rightarch.gather import all_known, gather
from rightarch.keychains import Keychains
from rightarch.logs import fields
from rightarch.patches import Patch
from rightarch.placement import Decision, Failure, decide
from rightarch.reasons import Reason
from rightarch.registry import Registry
from rightarch.snapshot import Nodes
from rightarch.template import Standing

LOOKUP_SECONDS: Final = 15.0
"""How long a template's images are waited for: longer than any look-up takes."""
REPORT_SECONDS: Final = 3600.0
"""How often a template that is left alone is reported: the API server keeps Events for an hour."""

_SEEN_BY_A_ROLLOUT: Final = "Unless its namespace is excluded, `kubectl rollout restart` lets Rightarch decide on it."
_LEFT_ALONE: Final = {
    Standing.UNSEEN: f"Rightarch never decided on this template, and leaves it as it is. {_SEEN_BY_A_ROLLOUT}",
    Standing.OUTDATED: f"This template got other images while Rightarch did not look. {_SEEN_BY_A_ROLLOUT}",
    Standing.WAITING: "Its annotations leave no room for what Rightarch would note: its template stays as it is.",
}

log = logging.getLogger(__name__)


class DaemonSets:
    """Reads a DaemonSet anew, decides, and writes its template or says why not.

    Args:
        cluster: whose DaemonSets.
        registry: where images are looked up.
        keychains: in whose name.
        nodes: what the cluster has.
        events: where what is done is said.

    Attributes:
        patched: templates that were written.
    """

    def __init__(
        self, cluster: Cluster, registry: Registry, keychains: Keychains, nodes: Nodes, events: Events
    ) -> None:
        self.patched = 0
        self._cluster, self._nodes, self._events = cluster, nodes, events
        self._registry, self._keychains = registry, keychains
        self._reported: dict[Key, float] = {}
        self._owed: dict[Key, Owed] = {}

    async def settle(self, key: Key) -> float | Within | None:
        """Do what a DaemonSet needs.

        Returns:
            None where that is all; else when to try again.
        """
        if not self._nodes.listed:
            return 0.0
        workload = await self._read(key)
        if workload is None:
            self._reported.pop(key, None)
            self._owed.pop(key, None)
            return None
        if key in self._owed and not await self._give_back(key, workload):
            return 0.0
        match template.standing(workload):
            case Standing.WAITING:
                return await self._resolve(key, workload)
            case (Standing.UNSEEN | Standing.OUTDATED) as standing:
                return await self._report(key, workload, standing)
        return None

    async def _read(self, key: Key) -> Mapping[str, Any] | None:
        """The object as it is now. By a list of one: the right to list is there anyway, that to get need not be."""
        path, selector = DAEMON_SET.path_in(key.namespace), {"fieldSelector": f"metadata.name={key.name}"}
        async with aclosing(self._cluster.pages(path, selector)) as pages:
            async for page, _ in pages:
                for found in page:
                    return found if not found["metadata"].get("deletionTimestamp") else None
        return None

    async def _decide(self, workload: Mapping[str, Any]) -> Decision:
        pod, namespace = template.pod_of(workload), workload["metadata"]["namespace"]
        keys = await self._keychains.of_template(namespace, pod, partial(all_known, pod, self._registry))
        given = await gather(pod, self._nodes.capacity, self._registry, keys, LOOKUP_SECONDS)
        return decide(replace(given, written=template.written(workload)))

    async def _resolve(self, key: Key, workload: Mapping[str, Any]) -> float | Within | None:
        """Write the template, once its images are known and if nobody has changed it since it was read.

        An image that can't be had is asked for again too: somebody may push it, or let it be read.
        """
        decision = await self._decide(workload)
        if not template.is_decided(decision.reason):
            return _again(decision)
        if not (change := template.apply(decision, workload)):
            await self._report_once(key, workload, "NoRoom", decision)
            return None
        try:
            written = await self._patch(workload, change)
        except ClusterError as error:
            return _after(error)
        self.patched += 1
        if is_applied(workload):
            self._owed[key] = Owed(workload, written)
        is_settled = key not in self._owed or await self._give_back(key, written)
        await self._events.tell(DAEMON_SET, workload, _written(decision))
        return None if is_settled else 0.0

    async def _give_back(self, key: Key, workload: Mapping[str, Any]) -> bool:
        """Take no field from who applies the workload; tells whether nothing is left to do.

        What is written after admission is ours in the API server's books, and its author's next server-side apply
        would be refused for the conflict.
        """
        change = self._owed[key].repayment(workload)
        try:
            if change is not None:
                await self._patch(workload, [{"op": "replace", "path": "/metadata/managedFields", "value": change}])
        except ClusterError as error:
            if error.status in {409, 429} or error.status >= 500:
                return False
            log.warning("could not give fields of a DaemonSet back", extra=fields(key=str(key), error=str(error)))
        del self._owed[key]
        return True

    async def _patch(self, workload: Mapping[str, Any], change: Patch) -> Mapping[str, Any]:
        """Change a workload, if nobody has since it was read."""
        version = workload["metadata"]["resourceVersion"]
        condition = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        return await self._cluster.patch(_path(workload), "json-patch", [condition, *change])

    async def _report(self, key: Key, workload: Mapping[str, Any], standing: Standing) -> float | None:
        """Say that a template is left alone, where that matters."""
        if self._was_reported(key):
            return None
        decision = await self._decide(workload)
        if not template.is_decided(decision.reason):
            return None  # the next list asks again
        if self._matters(decision):
            await self._report_once(key, workload, standing, decision)
        self._reported[key] = time.monotonic() + REPORT_SECONDS
        return None

    async def _report_once(self, key: Key, workload: Mapping[str, Any], reason: str, decision: Decision) -> None:
        """Say that a template is left alone, unless that was said lately."""
        if not self._was_reported(key):
            self._reported[key] = time.monotonic() + REPORT_SECONDS
            event = Event("Report", reason, _left_alone(workload, decision), warns=True)
            await self._events.tell(DAEMON_SET, workload, event)

    def _was_reported(self, key: Key) -> bool:
        return time.monotonic() < self._reported.get(key, 0.0)

    def _matters(self, decision: Decision) -> bool:
        """Whether some node would get a pod that it can't run."""
        offered = self._nodes.capacity.architectures(decision.os)
        constrained = decision.reason is Reason.CONSTRAINED and not offered <= set(decision.architectures)
        return constrained or decision.reason is Reason.NO_COMMON_ARCHITECTURE


def _again(decision: Decision) -> float | Within:
    """When to look up images again that were not known: soon those whose registry fails, ever later all others."""
    failures = [image for image in decision.images.values() if isinstance(image, Failure) and image.reason.transient]
    return min((soon(failure.retry_after) for failure in failures), key=lambda each: each.most, default=0.0)


def _after(error: ClusterError) -> float | None:
    """When to try again what the API server refused: at once where somebody was first, never where nothing is left.

    Raises:
        ClusterError: any other refusal.
    """
    if error.status not in {404, 409}:
        raise error
    return 0.0 if error.status == 409 else None


def _left_alone(workload: Mapping[str, Any], decision: Decision) -> str:
    return f"{_LEFT_ALONE[template.standing(workload)]} Decided, it would be {decision.reason}: {decision.message}."


def _path(workload: Mapping[str, Any]) -> str:
    metadata = workload["metadata"]
    return f"{DAEMON_SET.path_in(metadata['namespace'])}/{metadata['name']}"


def _written(decision: Decision) -> Event:
    note = f"Its images became known after it was admitted: {decision.message}."
    return Event("WriteTemplate", decision.reason, note, warns=bool(decision.warnings))
