"""Rollouts: how far they are, and how many may be at a time."""

from typing import Any

import pytest

from rightarch.controller.rollout import Rollout, State, state
from rightarch.controller.rollouts import FORGOTTEN_SECONDS, PATIENCE_SECONDS, Rollouts
from rightarch.controller.workloads import KINDS, Key, Kind

DEPLOYMENT, STATEFUL_SET, DAEMON_SET, CRON_JOB = KINDS
A, B, C = (Key("Deployment", "shop", name) for name in "abc")
POLICY = "cap/move"


def thing(spec: dict[str, Any], status: dict[str, Any], generation: int = 2, rolled: int | None = 2) -> dict[str, Any]:
    """A workload with a generation, and the one that our annotation names."""
    notes = (
        {}
        if rolled is None
        else {"rightarch.dev/template": f'{{"reason":"Constrained","rolled":[{rolled},"{POLICY}"]}}'}
    )
    metadata = {"name": "a", "namespace": "shop", "generation": generation, "annotations": notes}
    return {"metadata": metadata, "spec": spec, "status": {"observedGeneration": generation} | status}


@pytest.mark.parametrize(
    ("kind", "spec", "status", "expected"),
    [
        (DEPLOYMENT, {"replicas": 2}, {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, State.DONE),
        (DEPLOYMENT, {"replicas": 2}, {"replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}, State.ROLLING),
        (DEPLOYMENT, {"replicas": 2}, {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}, State.ROLLING),
        (DEPLOYMENT, {"replicas": 2}, {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}, State.ROLLING),
        (DEPLOYMENT, {"replicas": 0}, {}, State.DONE),
        (DEPLOYMENT, {"replicas": 2}, {"observedGeneration": 1, "updatedReplicas": 2}, State.ROLLING),
        (DEPLOYMENT, {"replicas": 2, "paused": True}, {"observedGeneration": 1}, State.DONE),
        (DEPLOYMENT, {}, {"conditions": [{"reason": "ProgressDeadlineExceeded"}]}, State.STALLED),
        (STATEFUL_SET, {"replicas": 2}, {"updatedReplicas": 2, "availableReplicas": 2}, State.DONE),
        (STATEFUL_SET, {"replicas": 2}, {"updatedReplicas": 1, "availableReplicas": 2}, State.ROLLING),
        (
            STATEFUL_SET,
            {"replicas": 2, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
            {"updatedReplicas": 1, "availableReplicas": 2},
            State.DONE,
        ),
        (STATEFUL_SET, {"replicas": 2, "updateStrategy": {"type": "OnDelete"}}, {}, State.DONE),
        (
            DAEMON_SET,
            {},
            {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3},
            State.DONE,
        ),
        (
            DAEMON_SET,
            {},
            {"desiredNumberScheduled": 3, "updatedNumberScheduled": 2, "numberAvailable": 3},
            State.ROLLING,
        ),
        (CRON_JOB, {}, {}, State.DONE),
    ],
)
def test_how_far_a_workload_is(kind: Kind, spec: dict[str, Any], status: dict[str, Any], expected: State) -> None:
    """As ``kubectl rollout status`` tells it."""
    assert state(kind.name, thing(spec, status)) is expected


def test_a_rollout_is_ours_until_somebody_changes_the_spec() -> None:
    """The annotation names the generation that our change made."""
    begun = {"replicas": 2, "updatedReplicas": 1}
    assert Rollout.of(DEPLOYMENT.name, thing({}, begun)) == Rollout(2, POLICY, State.ROLLING)
    assert Rollout.of(DEPLOYMENT.name, thing({}, begun, generation=3)) == Rollout(2, POLICY, State.DONE)
    assert Rollout.of(DEPLOYMENT.name, thing({}, begun, rolled=None)) is None


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_no_more_than_the_limit_roll_at_a_time() -> None:
    """Who waits is told when it is its turn, in the order in which they came."""
    freed: list[Key] = []
    rollouts = Rollouts(freed.append, Clock())
    assert rollouts.begin(A, POLICY, 1, 2)
    assert not rollouts.begin(B, POLICY, 1, 2)
    assert not rollouts.begin(C, POLICY, 1, 2)
    assert rollouts.begin(C, "another", 1, 2)
    rollouts.observe(A, Rollout(1, POLICY, State.DONE))
    assert freed == [], "older than the change"
    rollouts.observe(A, Rollout(2, POLICY, State.ROLLING))
    rollouts.observe(A, Rollout(2, POLICY, State.DONE))
    assert freed == [B]
    assert rollouts.begin(B, POLICY, 1, 2)


def test_a_turn_that_is_not_taken_is_that_of_the_next() -> None:
    """Somebody may have changed or deleted the workload meanwhile."""
    freed: list[Key] = []
    rollouts = Rollouts(freed.append, Clock())
    assert rollouts.begin(A, POLICY, 1, 2)
    assert not rollouts.begin(B, POLICY, 1, 2)
    assert not rollouts.begin(C, POLICY, 1, 2)
    rollouts.observe(A, Rollout(2, POLICY, State.DONE))
    rollouts.pass_on(B)
    assert freed == [B, C]


def test_what_does_not_get_done_holds_back_all_others_of_its_policy() -> None:
    """However many may roll; until it is done after all."""
    rollouts = Rollouts(lambda _: None, Clock())
    assert rollouts.begin(A, POLICY, 1, 2)
    rollouts.observe(A, Rollout(2, POLICY, State.STALLED))
    assert not rollouts.begin(B, POLICY, 10, 2)
    assert rollouts.stalled(POLICY) == A
    assert rollouts.counts() == {("rolling",): 0, ("stalled",): 1, ("waiting",): 1}
    rollouts.observe(A, Rollout(2, POLICY, State.DONE))
    assert rollouts.begin(B, POLICY, 10, 2)


def test_what_sets_no_limit_itself_has_ten_minutes() -> None:
    """A StatefulSet waits for its pods for ever."""
    clock = Clock()
    rollouts = Rollouts(lambda _: None, clock)
    assert rollouts.begin(A, POLICY, 1, 2)
    clock.now = PATIENCE_SECONDS + 1
    assert rollouts.stalled(POLICY) == A


def test_a_new_leader_knows_what_rolls() -> None:
    """By what the workloads show of themselves."""
    rollouts = Rollouts(lambda _: None, Clock())
    rollouts.observe(A, Rollout(2, POLICY, State.ROLLING))
    assert not rollouts.begin(B, POLICY, 1, 2)


def test_what_shows_nothing_of_ours_any_more_is_not_waited_for() -> None:
    """Somebody has put another manifest in its place; but not at once: the news may be older than our change."""
    clock = Clock()
    rollouts = Rollouts(lambda _: None, clock)
    assert rollouts.begin(A, POLICY, 1, 2)
    rollouts.observe(A, None)
    assert not rollouts.begin(B, POLICY, 1, 2)
    clock.now = FORGOTTEN_SECONDS + 1
    rollouts.observe(A, None)
    assert rollouts.begin(B, POLICY, 1, 2)
