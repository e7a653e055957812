"""The reconciler: templates of workloads that are there already, for policies that say ``when: Reconcile``.

To write a template rolls its pods. So few workloads roll at a time, none that is not well now, and none more under a
policy while one does not get done.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from rightarch import template
from rightarch.cluster import ClusterError
from rightarch.controller.desk import Desk
from rightarch.controller.events import Event, Events
from rightarch.controller.queue import Within
from rightarch.controller.retries import after, again
from rightarch.controller.rollout import Rollout, State, state
from rightarch.controller.rollouts import Rollouts
from rightarch.controller.workloads import Key, kind_of
from rightarch.patches import Patch
from rightarch.placement import Decision
from rightarch.policy import Effective

Object = Mapping[str, Any]

_FORBIDDEN: Final = (
    "The policy wants its template reconciled, and Rightarch has no right to change it: "
    "install the chart with controller.reconcileTemplates=true."
)
_NO_ROOM: Final = "Its annotations leave no room for what Rightarch would note: its template stays as it is."


class Reconciler:
    """Writes the templates of workloads, few at a time.

    Args:
        desk: reads, decides and writes.
        events: where what is done is said.
        free: called with each workload whose turn it is.
    """

    def __init__(self, desk: Desk, events: Events, free: Callable[[Key], None]) -> None:
        self.rollouts = Rollouts(free)
        self._desk, self._events = desk, events

    def observe(self, key: Key, rollout: Rollout | None) -> None:
        """Take what a workload shows of the rollout that we began, if any."""
        self.rollouts.observe(key, rollout)

    def forget(self, key: Key) -> None:
        """Forget a workload that is gone, or none of ours any more."""
        self.rollouts.forget(key)

    async def settle(self, key: Key, workload: Object, policy: Effective) -> float | Within | None:
        """Do what a workload needs.

        Returns:
            None where that is all, or where it waits for its turn; else when to try again.
        """
        decision = await self._desk.decide(workload, policy)
        if not template.is_decided(decision.reason):
            self.rollouts.pass_on(key)
            return again(decision)
        change = template.apply(decision, workload, rolls_for=policy.name)
        if not change:
            self.rollouts.pass_on(key)
            return None
        if template.changes_template(change) and not await self._is_its_turn(key, workload, policy):
            return None
        return await self._write(key, workload, change, decision, policy)

    async def _is_its_turn(self, key: Key, workload: Object, policy: Effective) -> bool:
        """Whether a workload may roll now. One that is not well now would not get done, and hold back all others."""
        kind = kind_of(key)
        rule = policy.choices.template(kind.name)
        if state(kind.name, workload) is not State.DONE:
            self.rollouts.pass_on(key)
            return False
        generation = workload["metadata"].get("generation", 0) + 1
        if self.rollouts.begin(key, policy.name, rule.max_unavailable_workloads, generation):
            return True
        if stalled := self.rollouts.stalled(policy.name):
            note = f"Its template waits to be written: the rollout of {stalled} does not get done."
            await self._events.tell(kind, workload, Event("Reconcile", "RolloutStalled", note, warns=True))
        return False

    async def _write(
        self, key: Key, workload: Object, change: Patch, decision: Decision, policy: Effective
    ) -> float | None:
        kind = kind_of(key)
        try:
            written = await self._desk.write(key, workload, change)
        except ClusterError as error:
            self.rollouts.forget(key)
            if error.status != 403:
                return after(error)
            await self._events.tell(kind, workload, Event("Reconcile", "Forbidden", _FORBIDDEN, warns=True))
            return None
        self.rollouts.observe(key, Rollout.of(kind.name, written))
        if template.changes_template(change):
            note = f"Its template was written, as {policy.name} says: {decision.message}."
            event = Event("WriteTemplate", decision.reason, note, warns=bool(decision.warnings))
            await self._events.tell(kind, workload, event)
        return None if await self._desk.repay(key, written) else 0.0
