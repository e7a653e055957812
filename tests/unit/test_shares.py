"""Shares: what is counted of live pods, and until when a choice counts whose pod nobody saw."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightarch.placement import Input, decide
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.policy import Choices, Effective
from rightarch.shares import Choice, Shares, owner

BOTH = ImagePlatforms("sha256:0", (Platform("linux", "amd64"), Platform("linux", "arm64")), indexed=True)
POD = {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "app"}]}}
ARM, OTHERS = Choice("u", "arm64"), Choice("u", "others")


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def controlled(kind: str, uid: str, version: str = "apps/v1") -> dict[str, Any]:
    """A pod that a controller made."""
    owners = [{"kind": "Node", "uid": "n"}, {"kind": kind, "apiVersion": version, "uid": uid, "controller": True}]
    return {"metadata": {"ownerReferences": owners}}


def test_whose_pods_are_counted_together() -> None:
    """Those of a ReplicaSet; those of all Jobs of a namespace, and those of nobody, since each Job has but a few."""
    assert owner(controlled("ReplicaSet", "u"), "n") == "n/u"
    assert owner(controlled("Job", "u", "batch/v1"), "n") == owner(controlled("Job", "v", "batch/v1"), "n") == "n/Job"
    assert owner(controlled("Job", "u", "example.com/v1"), "n") == "n/u"
    assert owner({"metadata": {}}, "n") == "n/"


@pytest.mark.parametrize("uid", ["u", "n/u", "n/Job", "n/"])
def test_nobody_is_counted_with_pods_of_another_namespace(uid: str) -> None:
    """Whoever makes a pod chooses what it says of its owner, and could else choose for others by it."""
    others = {owner(controlled("ReplicaSet", "u"), "n"), owner(controlled("Job", "u", "batch/v1"), "n"), owner({}, "n")}
    assert owner(controlled("Foo", uid, "example.com/v1"), "m") not in others


def test_a_choice_counts_until_its_pod_is_seen_and_then_as_its_pod() -> None:
    """Never twice."""
    shares = Shares(Clock())
    shares.chose(ARM)
    assert shares.counts("u") == {"arm64": 1}
    shares.put(ARM)
    assert shares.counts("u") == {"arm64": 1}
    shares.remove(ARM)
    assert shares.counts("u") == {}


def test_a_choice_whose_pod_is_never_seen_counts_for_half_a_minute() -> None:
    """Another webhook, a quota, or the API server refused it."""
    clock = Clock()
    shares = Shares(clock)
    shares.chose(ARM)
    clock.now = 20.0
    shares.chose(OTHERS)
    clock.now = 29.9
    assert shares.counts("u") == {"arm64": 1, "others": 1}
    clock.now = 30.0
    assert shares.counts("u") == {"others": 1}
    clock.now = 50.0
    assert shares.counts("u") == {}


def test_owners_are_counted_apart() -> None:
    """And a list replaces all that was seen before, for all of them."""
    shares = Shares(Clock())
    shares.replace([ARM, ARM, Choice("v", "arm64")])
    assert (shares.counts("u"), shares.counts("v"), shares.counts("w")) == ({"arm64": 2}, {"arm64": 1}, {})
    shares.replace([OTHERS])
    assert (shares.counts("u"), shares.counts("v")) == ({"others": 1}, {})


def test_nothing_is_kept_of_owners_without_pods() -> None:
    """Each rollout makes a new one, for years."""
    clock = Clock()
    shares = Shares(clock)
    empty = repr(vars(Shares(clock)))
    for index in range(100):
        choice = Choice(str(index), "arm64")
        shares.chose(choice)
        shares.put(choice)
        shares.remove(choice)
        shares.chose(Choice(f"refused {index}", "arm64"))
    clock.now = 31.0
    assert shares.counts("u") == {}
    assert repr(vars(shares)) == empty


def test_what_was_never_seen_is_no_loss() -> None:
    """An edited label makes the watch tell of the end of a choice that nobody made; no count falls below none."""
    shares = Shares(Clock())
    shares.remove(ARM)
    shares.put(OTHERS)
    shares.remove(ARM)
    assert shares.counts("u") == {"others": 1}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 100), st.lists(st.sampled_from(["create", "create", "create", "delete", "refuse"]), max_size=60))
def test_the_part_of_each_choice_is_kept_whatever_happens(percent: int, steps: list[str]) -> None:
    """While pods are only created no choice is ever off by a whole pod; after deletions, later creates restore that."""
    architectures = {"share": [{"architecture": "arm64", "percent": percent}]}
    policy = Effective(Choices.model_validate({"architectures": architectures}))
    clock, live = Clock(), Counter[str]()
    shares = Shares(clock)

    def create(*, seen: bool = True) -> None:
        decision = decide(Input(POD, {"app": BOTH}, policy=policy, counts=shares.counts("u")))
        assert decision.share is not None
        shares.chose(Choice("u", decision.share))
        if seen:
            shares.put(Choice("u", decision.share))
            live[decision.share] += 1

    for step in steps:
        if step == "delete" and live:
            gone = max(live, key=lambda choice: live[choice])
            live[gone] -= 1
            live += Counter()
            shares.remove(Choice("u", gone))
        elif step != "delete":
            create(seen=step == "create")
    clock.now = 60.0
    for _ in range(200):
        create()
    assert abs(live["arm64"] - percent / 100 * live.total()) < 1


def test_choices_that_turn_out_to_be_none_are_spread_over_the_others() -> None:
    """Whoever releases pods counts nothing: all would else make the same choice."""
    share = [{"architecture": "arm64", "percent": 30}, {"architecture": "s390x", "percent": 30}]
    policy = Effective(Choices.model_validate({"architectures": {"share": share}}))
    chosen = Counter[str | None]()
    for number in range(500):
        pod = {**POD, "metadata": {"uid": f"u{number}", "labels": {"rightarch.dev/share": "s390x"}}}
        chosen[decide(Input(pod, {"app": BOTH}, policy=policy, gated=True)).share] += 1
    assert set(chosen) == {"arm64", "others"}
    assert 500 * 3 / 7 * 0.8 < chosen["arm64"] < 500 * 3 / 7 * 1.2
