"""Templates: which workloads' are to be written, as the policies say, and by whom."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from rightarch import template
from rightarch.controller.daemonsets import DaemonSets
from rightarch.controller.desk import Desk
from rightarch.controller.events import Events
from rightarch.controller.queue import Within
from rightarch.controller.reconciler import Reconciler
from rightarch.controller.workloads import DAEMON_SET, Key, Kind, Workload
from rightarch.gather import recall
from rightarch.keychains import Keychains
from rightarch.placement import decide
from rightarch.policy import Effective
from rightarch.registry import Registry
from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes

Object = Mapping[str, Any]

_LISTING: Final = Within(1.0, 1.0)
"""How soon a workload is settled again that may not roll before all others were seen."""


class Templates:
    """Settles workloads: a DaemonSet whose images are known late, and what policies want reconciled.

    Args:
        desk: reads, decides and writes.
        registry: what is known of images.
        keychains: in whose name.
        nodes: what the cluster has.
        rulebook: what the policies say.
        events: where what is done is said.
        free: called with each workload whose turn it is to be settled again.
        listed: whether all workloads were seen once: those may be rolling that an earlier leader wrote.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what decides on a workload
        self,
        desk: Desk,
        registry: Registry,
        keychains: Keychains,
        nodes: Nodes,
        rulebook: Rulebook,
        events: Events,
        free: Callable[[Key], None],
        listed: Callable[[], bool],
    ) -> None:
        self._desk, self._registry, self._keychains = desk, registry, keychains
        self._nodes, self._rulebook, self._listed = nodes, rulebook, listed
        self._daemon_sets = DaemonSets(desk, nodes, events)
        self._reconciler = Reconciler(desk, events, free)

    def rollouts(self) -> dict[tuple[str, ...], float]:
        """How many workloads roll because of a policy, don't get done, and wait for their turn."""
        return self._reconciler.rollouts.counts()

    def observe(self, key: Key, workload: Workload | None) -> None:
        """Take what became of a workload; None: it is gone."""
        if workload is None:
            self._forget(key)
        else:
            self._reconciler.observe(key, workload.rollout)

    def is_due(self, kind: Kind, thing: Object) -> bool:
        """Whether a workload of a list is to be reconciled: its template is not what would be decided now."""
        policy = self._effective(thing)
        if not self._is_ready or template.when(kind.name, thing, policy) != "Reconcile":
            return False
        pod, namespace = template.pod_of(thing), thing["metadata"]["namespace"]
        keys = self._keychains.of_pod(namespace, pod)
        given = recall(pod, self._nodes.capacity, self._registry, keys, policy)
        decision = decide(replace(given, written=template.written(thing, policy), namespace=namespace))
        return not template.is_decided(decision.reason) or bool(template.apply(decision, thing, rolls_for=policy.name))

    async def settle(self, key: Key) -> float | Within | None:
        """Do what a workload needs.

        Returns:
            None where that is all; else when to try again.
        """
        if not self._is_ready:
            return 0.0
        workload = await self._desk.read(key)
        if workload is None:
            self._forget(key)
            return None
        if not await self._desk.repay(key, workload):
            return 0.0
        policy = self._effective(workload)
        match template.when(key.kind, workload, policy):
            case "Reconcile":
                return await self._reconciler.settle(key, workload, policy) if self._listed() else _LISTING
            case "OnAdmission" if key.kind == DAEMON_SET.name:
                return await self._daemon_sets.settle(key, workload, policy)
        self._reconciler.forget(key)
        return None

    @property
    def _is_ready(self) -> bool:
        return self._desk.ready and self._rulebook.missing is None

    def _effective(self, workload: Object) -> Effective:
        return self._rulebook.effective(workload["metadata"]["namespace"], template.pod_of(workload))

    def _forget(self, key: Key) -> None:
        self._desk.forget(key)
        self._daemon_sets.forget(key)
        self._reconciler.forget(key)
