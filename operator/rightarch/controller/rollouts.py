"""Rollouts: how many workloads may be at a template that Rightarch gave them at a time."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rightarch.controller.rollout import Rollout, State
from rightarch.controller.workloads import Key

PATIENCE_SECONDS: Final = 600.0
"""How long a rollout may take where the workload itself sets no limit; Deployments' own default is the same."""
FORGOTTEN_SECONDS: Final = 30.0
"""After which a workload that says nothing of our change any more is not waited for."""


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

    def begin(self, key: Key, policy: str, limit: int, generation: int) -> bool:
        """Let a workload roll from now on, or have it wait: one that waits is freed later.

        Args:
            key: the workload.
            policy: under which policy.
            limit: how many workloads of it may roll at a time.
            generation: of the workload, that the change is going to make.
        """
        others = [each for other, each in self._running.items() if each.policy == policy and other != key]
        if len(others) >= limit or any(map(self._is_stalled, others)):
            self._waiting.setdefault(key, policy)
            return False
        self._waiting.pop(key, None)
        self._running[key] = _Running(policy, generation, self._clock())
        return True

    def pass_on(self, key: Key) -> None:
        """Note that a workload does not roll after all: if it was its turn, it is that of the next."""
        policy = self._waiting.pop(key, None)
        if policy is not None:
            self._free_next(policy)

    def stalled(self, policy: str) -> Key | None:
        """A workload that does not get done, because of which no other one of a policy may roll; or None."""
        return next((k for k, each in self._running.items() if each.policy == policy and self._is_stalled(each)), None)

    def observe(self, key: Key, rollout: Rollout | None) -> None:
        """Take what a workload shows of itself: a rollout of ours, if it ever had one."""
        running = self._running.get(key)
        if rollout is None:
            if running and self._clock() - running.since > FORGOTTEN_SECONDS:
                self._end(key)
        elif running and rollout.generation < running.generation:
            return  # the news is older than our change
        elif rollout.state is State.DONE:
            self._end(key)
        else:
            running = self._running.setdefault(key, _Running(rollout.policy, rollout.generation, self._clock()))
            running.stalled = rollout.state is State.STALLED

    def forget(self, key: Key) -> None:
        """Forget a workload that is gone, or does not roll after all."""
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
