"""A rollout: how far a workload is with a template that Rightarch gave it. Pure.

Which rollouts are ours stands in the annotation of the workload, as the generation that our change made: a leader that
has just begun knows as much as the one before. Whoever changes the spec afterwards takes the rollout over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from rightarch import template

Object = Mapping[str, Any]


class State(Enum):
    """How far a rollout is."""

    DONE = auto()
    ROLLING = auto()
    STALLED = auto()


@dataclass(frozen=True, slots=True)
class Rollout:
    """The rollout of a template that was ours.

    Attributes:
        generation: of the workload that our change made.
        policy: because of which.
        state: how far it is.
    """

    generation: int
    policy: str
    state: State

    @classmethod
    def of(cls, kind: str, thing: Object) -> "Rollout | None":
        """The rollout of a workload, if we ever rolled it."""
        if (rolled := template.rolled(thing)) is None:
            return None
        ours = rolled.generation == thing["metadata"].get("generation")
        return cls(rolled.generation, rolled.policy, state(kind, thing) if ours else State.DONE)


def state(kind: str, thing: Object) -> State:
    """How far a workload is with its present template, as ``kubectl rollout status`` tells."""
    status, spec = thing.get("status") or {}, thing.get("spec") or {}
    if kind not in _COMPLETE or _is_idle(spec):
        return State.DONE
    if _exceeded(status):
        return State.STALLED
    seen = status.get("observedGeneration", 0) >= thing["metadata"].get("generation", 0)
    return State.DONE if seen and _COMPLETE[kind](spec, status) else State.ROLLING


def _is_idle(spec: Object) -> bool:
    """Whether a new template waits for somebody: for a Deployment to go on, or for pods to be deleted."""
    return bool(spec.get("paused")) or (spec.get("updateStrategy") or {}).get("type") == "OnDelete"


def _exceeded(status: Object) -> bool:
    """Whether a Deployment gave up waiting (``progressDeadlineSeconds``)."""
    conditions = status.get("conditions") or ()
    return any(each.get("reason") == "ProgressDeadlineExceeded" for each in conditions)


def _deployment(spec: Object, status: Object) -> bool:
    wanted, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    total, available = status.get("replicas", 0), status.get("availableReplicas", 0)
    return bool(updated >= wanted and total <= updated and available >= updated)


def _stateful_set(spec: Object, status: Object) -> bool:
    wanted = spec.get("replicas", 1)
    partition = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0
    updated = status.get("updatedReplicas", 0) >= wanted - partition
    return bool(updated and status.get("availableReplicas", 0) >= wanted)


def _daemon_set(_: Object, status: Object) -> bool:
    wanted = status.get("desiredNumberScheduled", 0)
    return bool(status.get("updatedNumberScheduled", 0) >= wanted and status.get("numberAvailable", 0) >= wanted)


_COMPLETE: Final[Mapping[str, Callable[[Object, Object], bool]]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
}
