"""Placement by random policies, against a transcription of the scheduler's matching rules, on random pods."""

import copy
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rightarch.capacity import Capacity
from rightarch.placement import Decision, Failure, Input, Outcome, apply, decide, release
from rightarch.reasons import Note, Reason
from tests.support.json_patch import patched
from tests.support.random_pods import NODES, image, pod
from tests.support.random_policies import policy
from tests.support.scheduling import admits

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
OURS = {"name": "rightarch.dev/platforms"}
CAPACITY = Capacity.of_nodes(NODES.values())
FAILURES = (Reason.TIMED_OUT, Reason.REGISTRY_FAILED, Reason.IMAGE_NOT_FOUND, Reason.ACCESS_DENIED)
randoms = st.randoms(use_true_random=False)
many = settings(max_examples=150, deadline=None)


def a_case(random: Random, *, shares: bool = True) -> Input:
    """A pod, of whose images some are not known, under a policy."""
    made, images = pod(random)
    outcomes: dict[str, Outcome] = {
        name: Failure(random.choice(FAILURES), "as it happens") if random.random() < 0.15 else known
        for name, known in images.items()
    }
    counts = {"arm64": random.randrange(3), "others": random.randrange(3)}
    gating = random.random() < 0.5
    return Input(made, outcomes, CAPACITY, policy=policy(random, shares=shares), counts=counts, gating=gating)


def after(case: Input) -> dict[str, Any]:
    """The pod once it was decided on."""
    return patched(case.pod, apply(decide(case), case.pod))


def node_affinity(of: dict[str, Any], kind: str) -> Any:  # noqa: ANN401 - JSON
    """The required or preferred part of a pod's node affinity."""
    return ((of["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(kind)


def wanted(case: Input, decision: Decision, labels: dict[str, str]) -> bool:
    """Whether what the policy says lets a pod have a node, spelt out from the policy's own words."""
    choices = case.policy.choices
    architecture, right_os = labels["kubernetes.io/arch"], labels["kubernetes.io/os"] == decision.os
    enforced = {Reason.CONFLICTING_CONSTRAINT: choices.on_conflict, Reason.NOT_ALLOWED: choices.on_not_allowed}
    allowed = not choices.architectures.allowed or architecture in choices.architectures.allowed
    if choices.mode != "Enforce" or decision.denied:
        return True
    if decision.reason in enforced:
        return enforced[decision.reason] != "Enforce" or (
            right_os and allowed and architecture in decision.architectures
        )
    placed = decision.reason in {Reason.CONSTRAINED, Reason.ALREADY_CONSTRAINED, Reason.EMULATED}
    if not placed and Note.ASSUMED not in decision.notes:
        return True
    selectors = [each.node_selector for each in case.policy.facts.emulation]
    emulating = any(selector.items() <= labels.items() for selector in selectors)
    emulated = decision.reason is Reason.EMULATED or "is emulated" in decision.message
    return right_os and allowed and architecture in decision.architectures and (emulating or not emulated)


@many
@given(randoms)
def test_a_pod_is_admitted_where_it_was_and_the_policy_lets_it(random: Random) -> None:
    """After the patch a node admits the pod iff it did before and the policy, by its own words, wants it there."""
    case = a_case(random)
    decision, changed = decide(case), after(case)
    for name, labels in NODES.items():
        before = admits(case.pod, name, labels)
        assert admits(changed, name, labels) == (before and wanted(case, decision, dict(labels)))


@many
@given(randoms)
def test_a_second_invocation_changes_nothing(random: Random) -> None:
    """Deciding again on what was written gives no operation; a share choice is kept, whatever was counted since."""
    case = a_case(random)
    kept = copy.deepcopy(case.pod)
    once = after(case)
    assert case.pod == kept
    again = replace(case, pod=once, counts={"arm64": random.randrange(9)})
    assert decide(again).denied or apply(decide(again), once) == []


@many
@given(randoms)
@example(Random(771))  # the first one had assumed what the sidecar contradicts
@example(Random(3752))  # the first one had kept the pod Pending
def test_a_second_invocation_with_another_container_equals_a_first_one(random: Random) -> None:
    """A sidecar injected after the first call leads to the pod that one call on the whole pod gives."""
    case = a_case(random, shares=False)
    once = after(case)
    sidecar = {"name": "sidecar", "image": "example.com/sidecar:1"}
    images = {**case.images, "example.com/sidecar:1": image(random)}
    whole = {**case.pod, "spec": {**case.pod["spec"], "containers": [*case.pod["spec"]["containers"], sidecar]}}
    once["spec"]["containers"] = whole["spec"]["containers"]
    direct, twice = replace(case, pod=whole, images=images), replace(case, pod=once, images=images)
    if decide(case).denied or decide(direct).denied:
        return
    assert after(twice) == after(direct)


@many
@given(randoms)
def test_what_is_released_is_legal_on_a_stored_pod(random: Random) -> None:
    """KEP-3838: as many terms, old expressions a prefix, empty ones empty; and nobody is refused any more."""
    case = a_case(random)
    stored = after(replace(case, gating=True))
    stored["spec"]["schedulingGates"] = [{"name": "example.com/other"}, OURS]
    sidecar = {"name": "sidecar", "image": "example.com/sidecar:1"}
    stored["spec"]["containers"] = [*stored["spec"]["containers"], sidecar]
    images = {**case.images, "example.com/sidecar:1": image(random)}
    held = replace(case, pod=stored, images=images, gating=True, gated=True, overdue=True, policy=policy(random))
    decision = decide(held)
    assert not decision.denied
    assert not decision.gate
    freed = patched(stored, release(decision, stored))
    assert freed["spec"]["schedulingGates"] == [{"name": "example.com/other"}]
    assert "rightarch.dev/gated" not in freed["metadata"]["labels"]
    assert freed["spec"].get("nodeSelector") == stored["spec"].get("nodeSelector")
    tolerated = stored["spec"].get("tolerations", [])
    assert freed["spec"].get("tolerations", [])[: len(tolerated)] == tolerated
    old, new = node_affinity(stored, REQUIRED), node_affinity(freed, REQUIRED)
    if old is None:
        return
    assert len(old["nodeSelectorTerms"]) == len(new["nodeSelectorTerms"])
    for was, now in zip(old["nodeSelectorTerms"], new["nodeSelectorTerms"], strict=True):
        assert now.get("matchFields") == was.get("matchFields")
        expressions = was.get("matchExpressions", [])
        assert now.get("matchExpressions", [])[: len(expressions)] == expressions
        assert was or not now


@many
@given(randoms)
def test_a_pod_prefers_nothing_that_it_may_not(random: Random) -> None:
    """Only what it can run on, only where it prefers no architecture itself, and lighter than all that it prefers."""
    case = a_case(random)
    own, added = node_affinity(dict(case.pod), PREFERRED) or [], decide(case).preferences
    written = node_affinity(after(case), PREFERRED) or []
    assert written[: len(own)] == own
    if not added or decide(case).denied:
        assert written == own
        return
    assert all(0 < each.weight <= 100 for each in added)
    assert all(set(each.architectures) <= set(decide(case).architectures) for each in added)
    keys = {expression["key"] for term in own for expression in term["preference"].get("matchExpressions", [])}
    assert not keys & {"kubernetes.io/arch", "beta.kubernetes.io/arch"}
    assert max(each.weight for each in added) < min([term["weight"] for term in own], default=101)
    assert len(decide(case).architectures) > 1


@many
@given(randoms)
def test_tolerations_are_those_of_the_architectures_that_were_decided(random: Random) -> None:
    """Each stands in the policy for one of them; the pod's own come first, as they were."""
    case = a_case(random)
    decision, changed = decide(case), after(case)
    facts = case.policy.facts.tolerations
    possible = [
        each.toleration.model_dump(by_alias=True, exclude_none=True)
        for each in facts
        if each.architecture in decision.architectures
    ]
    own = case.pod["spec"].get("tolerations", [])
    written = changed["spec"].get("tolerations", [])
    assert written[: len(own)] == own
    assert all(each in possible for each in written[len(own) :])
