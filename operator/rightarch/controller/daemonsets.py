"""DaemonSets: templates whose images were not known in time are written once they are."""

import time
from collections.abc import Mapping
from typing import Any, Final

from rightarch import template
from rightarch.cluster import ClusterError
from rightarch.controller.desk import Desk
from rightarch.controller.events import Event, Events
from rightarch.controller.queue import Within
from rightarch.controller.retries import after, again
from rightarch.controller.workloads import DAEMON_SET, Key
from rightarch.placement import Decision
from rightarch.policy import Effective
from rightarch.reasons import Reason
from rightarch.snapshot import Nodes
from rightarch.template import Standing

REPORT_SECONDS: Final = 3600.0
"""How often a template that is left alone is reported: the API server keeps Events for an hour."""

_SEEN_BY_A_ROLLOUT: Final = "Unless its namespace is excluded, `kubectl rollout restart` lets Rightarch decide on it."
_LEFT_ALONE: Final = {
    Standing.UNSEEN: f"Rightarch never decided on this template, and leaves it as it is. {_SEEN_BY_A_ROLLOUT}",
    Standing.OUTDATED: f"This template got other images while Rightarch did not look. {_SEEN_BY_A_ROLLOUT}",
    Standing.WAITING: "Its annotations leave no room for what Rightarch would note: its template stays as it is.",
}

Object = Mapping[str, Any]


class DaemonSets:
    """Writes a DaemonSet's template once its images are known, or says why not.

    Args:
        desk: reads, decides and writes.
        nodes: what the cluster has.
        events: where what is done is said.
    """

    def __init__(self, desk: Desk, nodes: Nodes, events: Events) -> None:
        self._desk, self._nodes, self._events = desk, nodes, events
        self._reported: dict[Key, float] = {}

    def forget(self, key: Key) -> None:
        """Forget one that is gone."""
        self._reported.pop(key, None)

    async def settle(self, key: Key, workload: Object, policy: Effective) -> float | Within | None:
        """Do what a DaemonSet needs.

        Returns:
            None where that is all; else when to try again.
        """
        match template.standing(workload):
            case Standing.WAITING:
                return await self._resolve(key, workload, policy)
            case (Standing.UNSEEN | Standing.OUTDATED) as standing:
                return await self._report(key, workload, policy, standing)
        return None

    async def _resolve(self, key: Key, workload: Object, policy: Effective) -> float | Within | None:
        """Write the template, once its images are known and if nobody has changed it since it was read.

        An image that can't be had is asked for again too: somebody may push it, or let it be read.
        """
        decision = await self._desk.decide(workload, policy)
        if not template.is_decided(decision.reason):
            return again(decision)
        if not (change := template.apply(decision, workload)):
            await self._report_once(key, workload, "NoRoom", decision)
            return None
        try:
            written = await self._desk.write(key, workload, change)
        except ClusterError as error:
            return after(error)
        is_settled = await self._desk.repay(key, written)
        await self._events.tell(DAEMON_SET, workload, _written(decision))
        return None if is_settled else 0.0

    async def _report(self, key: Key, workload: Object, policy: Effective, standing: Standing) -> float | None:
        """Say that a template is left alone, where that matters."""
        if self._was_reported(key):
            return None
        decision = await self._desk.decide(workload, policy)
        if not template.is_decided(decision.reason):
            return None  # the next list asks again
        if self._matters(decision):
            await self._report_once(key, workload, standing, decision)
        self._reported[key] = time.monotonic() + REPORT_SECONDS
        return None

    async def _report_once(self, key: Key, workload: Object, reason: str, decision: Decision) -> None:
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


def _left_alone(workload: Object, decision: Decision) -> str:
    return f"{_LEFT_ALONE[template.standing(workload)]} Decided, it would be {decision.reason}: {decision.message}."


def _written(decision: Decision) -> Event:
    note = f"Its images became known after it was admitted: {decision.message}."
    return Event("WriteTemplate", decision.reason, note, warns=bool(decision.warnings))
