"""Rollouts: how far workloads are with a template that Rightarch gave them, and how many may be at it at a time.

Which rollouts are ours stands in the annotation of the workload, as the generation that our change made: a leader that
has just begun knows as much as the one before. Whoever changes the spec afterwards takes the rollout over.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from rightarch import template
from rightarch.controller.workloads import Key, Kind

PATIENCE_SECONDS: Final = 600.0
"""How long a rollout may take where the workload itself sets no limit; Deployments' own default is the same."""
FORGOTTEN_SECONDS: Final = 30.0
"""After which a workload that says nothing of our change any more is not waited for."""

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
        state: how far it is.
    """

    generation: int
    state: State

    @classmethod
    def of(cls, kind: Kind, thing: Object) -> "Rollout | None":
        """The rollout of a workload, if we ever rolled it."""
        rolled = template.rolled(thing)
        if rolled is None:
            return None
        ours = rolled == thing["metadata"].get("generation")
        return cls(rolled, state(kind, thing) if ours else State.DONE)


def state(kind: Kind, thing: Object) -> State:
    """How far a workload is with its present template, as ``kubectl rollout status`` tells."""
    status, spec = thing.get("status") or {}, thing.get("spec") or {}
    if kind.name not in _COMPLETE or _is_idle(spec):
        return State.DONE
    if _exceeded(status):
        return State.STALLED
    seen = status.get("observedGeneration", 0) >= thing["metadata"].get("generation", 0)
    return State.DONE if seen and _COMPLETE[kind.name](spec, status) else State.ROLLING


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


@dataclass(slots=True)
class _Running:
    """A rollout that was begun and is not known to have ended."""

    policy: str
    generation: int
    since: float
    stalled: bool = False


class Rollouts:
    """Lets few workloads roll at a time, and none more under a policy where one does not get done.

    Args:
        free: called with the workload whose turn it is, since another one is done.
        clock: monotonic seconds.
    """

    def __init__(self, free: Callable[[Key], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._free, self._clock = free, clock
        self._running: dict[Key, _Running] = {}
        self._waiting: OrderedDict[Key, str] = OrderedDict()

    def counts(self) -> dict[tuple[str, ...], float]:
        """How many workloads roll, don't get done, and wait for their turn, as a metric takes it."""
        stalled = sum(self._is_stalled(each) for each in self._running.values())
        rolling = len(self._running) - stalled
        counts = {"rolling": rolling, "stalled": stalled, "waiting": len(self._waiting)}
        return {(state,): float(count) for state, count in counts.items()}

    def may_begin(self, key: Key, policy: str, limit: int) -> bool:
        """Whether a workload may roll now; one that may not is freed later.

        Args:
            key: the workload.
            policy: under which policy.
            limit: how many workloads of it may roll at a time.
        """
        others = [each for other, each in self._running.items() if each.policy == policy and other != key]
        if len(others) < limit and not any(map(self._is_stalled, others)):
            self._waiting.pop(key, None)
            return True
        self._waiting.setdefault(key, policy)
        return False

    def pass_on(self, key: Key) -> None:
        """Note that a workload does not roll after all: if it was its turn, it is that of the next."""
        policy = self._waiting.pop(key, None)
        if policy is not None:
            self._free_next(policy)

    def begun(self, key: Key, policy: str, generation: int) -> None:
        """Note that a workload rolls from now on, to a generation."""
        self._running[key] = _Running(policy, generation, self._clock())

    def stalled(self, policy: str) -> Key | None:
        """A workload that does not get done, because of which no other one of a policy may roll; or None."""
        return next((k for k, each in self._running.items() if each.policy == policy and self._is_stalled(each)), None)

    def observe(self, key: Key, rollout: Rollout | None, policy: str = "") -> None:
        """Take what a workload shows of itself.

        Args:
            key: the workload.
            rollout: ours, if it shows one.
            policy: under which it is, for those that an earlier leader began.
        """
        running = self._running.get(key)
        if rollout is None:
            if running and self._clock() - running.since > FORGOTTEN_SECONDS:
                self._end(key)
        elif running and rollout.generation < running.generation:
            return  # the news is older than our change
        elif rollout.state is State.DONE:
            self._end(key)
        else:
            running = self._running.setdefault(key, _Running(policy, rollout.generation, self._clock()))
            running.stalled = rollout.state is State.STALLED

    def forget(self, key: Key) -> None:
        """Forget a workload that is gone."""
        self.pass_on(key)
        self._end(key)

    def _end(self, key: Key) -> None:
        if running := self._running.pop(key, None):
            self._free_next(running.policy)

    def _free_next(self, policy: str) -> None:
        waiting = next((key for key, each in self._waiting.items() if each == policy), None)
        if waiting is not None:
            self._free(waiting)

    def _is_stalled(self, running: _Running) -> bool:
        return running.stalled or self._clock() - running.since > PATIENCE_SECONDS
