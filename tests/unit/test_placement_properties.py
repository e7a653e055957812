"""Placement, against a transcription of the scheduler's matching rules, on random pods."""

import copy
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from rightarch.capacity import Capacity
from rightarch.placement import Input, apply, decide
from rightarch.reasons import Reason
from tests.support.json_patch import patched
from tests.support.random_pods import NODES, image, pod
from tests.support.scheduling import admits

randoms = st.randoms(use_true_random=False)
CAPACITY = Capacity.of_nodes(NODES.values())
many = settings(max_examples=500, deadline=None)


def terms(of: dict[str, object]) -> list[dict[str, list[object]]] | None:
    """The required terms of a pod, as they stand."""
    affinity = of["spec"].get("affinity", {}).get("nodeAffinity", {})  # type: ignore[attr-defined] # a raw pod
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required["nodeSelectorTerms"] if required else None


@many
@given(randoms)
def test_a_pod_is_admitted_where_it_was_and_its_images_run(random: Random) -> None:
    """After the patch a node admits the pod iff it did before and has the OS and an architecture of the decision."""
    before, images = pod(random)
    decision = decide(Input(before, images, CAPACITY))
    after = patched(before, apply(decision, before))
    for name, labels in NODES.items():
        was = admits(before, name, labels)
        right = labels["kubernetes.io/arch"] in decision.architectures and labels["kubernetes.io/os"] == decision.os
        assert admits(after, name, labels) == (
            was and right if decision.reason in {Reason.CONSTRAINED, Reason.ALREADY_CONSTRAINED} else was
        )


@many
@given(randoms)
def test_all_images_run_on_each_architecture_of_the_decision(random: Random) -> None:
    """S is the intersection over the images, spelled out from their platforms."""
    before, images = pod(random)
    decision = decide(Input(before, images, CAPACITY))
    if decision.reason is Reason.SKIPPED:
        return
    runs = {"386": "amd64"}
    per_image = [
        {
            runs.get(p.architecture, p.architecture)
            for p in i.platforms
            if p.os == decision.os and str(p) not in {"linux/amd64/v3", "linux/arm64/v9"}
        }
        for i in images.values()
    ]
    assert set(decision.architectures) == set.intersection(*per_image)


@many
@given(randoms)
def test_the_spec_is_unchanged_unless_constrained(random: Random) -> None:
    """Every other Reason leaves the spec as the user wrote it; deciding changes nothing that it was given."""
    before, images = pod(random)
    kept = copy.deepcopy(before)
    decision = decide(Input(before, images, CAPACITY))
    after = patched(before, apply(decision, before))
    assert before == kept
    assert (after["spec"] == before["spec"]) == (decision.reason is not Reason.CONSTRAINED)
    assert after["metadata"]["labels"] == {"rightarch.dev/decision": decision.reason}


@many
@given(randoms)
def test_the_patch_is_legal_on_a_gated_pod(random: Random) -> None:
    """Same number of terms, each old list of expressions a prefix of the new one, empty terms still empty."""
    before, images = pod(random)
    after = patched(before, apply(decide(Input(before, images, CAPACITY)), before))
    old, new = terms(before), terms(after)
    if old is None:
        return
    assert new is not None
    assert len(old) == len(new)
    for was, now in zip(old, new, strict=True):
        assert now.get("matchFields") == was.get("matchFields")
        expressions = was.get("matchExpressions", [])
        assert now.get("matchExpressions", [])[: len(expressions)] == expressions
        if not was:
            assert not now


@many
@given(randoms)
def test_a_second_invocation_changes_nothing(random: Random) -> None:
    """Deciding again on what was written gives no operation."""
    before, images = pod(random)
    after = patched(before, apply(decide(Input(before, images, CAPACITY)), before))
    assert apply(decide(Input(after, images, CAPACITY)), after) == []


@many
@given(randoms)
def test_a_second_invocation_with_another_container_equals_a_first_one(random: Random) -> None:
    """A sidecar injected after the first call leads to the spec that one call on the whole pod gives."""
    before, images = pod(random)
    once = patched(before, apply(decide(Input(before, images, CAPACITY)), before))
    sidecar = {"name": "sidecar", "image": "example.com/sidecar:1"}
    whole = images | {"example.com/sidecar:1": image(random)}
    for each in (before, once):
        each["spec"]["containers"] = [*each["spec"]["containers"], sidecar]
    twice = patched(once, apply(decide(Input(once, whole, CAPACITY)), once))
    direct = patched(before, apply(decide(Input(before, whole, CAPACITY)), before))
    assert twice["spec"] == direct["spec"]
    assert twice["metadata"]["labels"] == direct["metadata"]["labels"]
    assert twice["metadata"]["annotations"] == direct["metadata"]["annotations"]
