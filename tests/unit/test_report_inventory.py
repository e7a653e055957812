"""The inventory: which pods are alike to a report, and that many which are not stay affordable."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.policy import Choices, Kind, Policies, Policy
from rightarch.report.inventory import Inventory
from tests.support.calls import growth

if TYPE_CHECKING:
    from collections.abc import Callable

    from rightarch.report.workload import Workload

TEAM = frozenset({"team"})


def pod(number: int, labels: dict[str, str], **annotations: str) -> dict[str, Any]:
    """One of the pods of an owner."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "driver", "uid": "driver", "controller": True}
    name = {"name": f"executor-{number}", "namespace": "spark", "uid": f"{number}", "ownerReferences": [owner]}
    spec = {"nodeName": "a", "containers": [{"name": "c", "image": "app", "resources": {"requests": {"cpu": "1"}}}]}
    return {"metadata": name | {"labels": labels, "annotations": annotations}, "spec": spec}


def inventory(*pods: dict[str, Any], selecting: frozenset[str] = TEAM) -> Inventory:
    """An inventory of pods."""
    made = Inventory(selecting=selecting)
    for each in pods:
        made.add_pod(each)
    return made


def only(made: Inventory) -> Workload:
    """The only workload."""
    (found,) = made.workloads()
    return found


def test_pods_are_told_apart_by_what_policies_select_by() -> None:
    """With all pods of each kind counted; labels that no policy looks at, such as a pod's own number, tell nothing."""
    many = [pod(number, {"team": "ab"[number % 2], "spark-exec-id": str(number)}) for number in range(6)]
    found = only(inventory(*many))
    assert [shape.pod["metadata"] for shape in found.shapes] == [{"labels": {"team": "a"}}, {"labels": {"team": "b"}}]
    assert [(placed.shape, placed.pods, placed.requests.cpu) for placed in found.placed] == [(0, 3, 3000), (1, 3, 3000)]


def test_what_rightarch_labels_tells_no_pods_apart() -> None:
    """A pod has none of it when its policy is found."""
    ours = "rightarch.dev/decision"
    two = (pod(1, {ours: "Constrained"}), pod(2, {ours: "Emulated"}))
    assert len(only(inventory(*two, selecting=frozenset({ours}))).shapes) == 1


def test_a_pod_that_asks_for_a_policy_is_told_apart() -> None:
    """Its policy may say something else than that of its like."""
    asking = pod(2, {}, **{"rightarch.dev/policy": "legacy", "other.example.com/number": "2"})
    shapes = only(inventory(pod(1, {}), asking)).shapes
    assert [shape.pod["metadata"] for shape in shapes] == [{}, {"annotations": {"rightarch.dev/policy": "legacy"}}]


def test_policies_name_the_labels_of_pods_that_they_select_by() -> None:
    """Those of both kinds, however they ask; a policy that can't be obeyed selects nothing."""

    def policy(kind: Kind, name: str, **selector: object) -> Policy:
        metadata = {"name": name, "namespace": "shop", "uid": name}
        return Policy.of(kind, {"metadata": metadata, "spec": {"podSelector": selector}})

    expression = {"key": "canary", "operator": "DoesNotExist"}
    each = [
        policy(Kind.CLUSTER, "a", matchLabels={"team": "x"}),
        policy(Kind.NAMESPACED, "b", matchExpressions=[expression]),
        policy(Kind.CLUSTER, "c", matchLabels=7),
    ]
    assert Policies.of(each, Choices()).pod_labels == {"team", "canary"}
    assert Policies.of([], Choices()).pod_labels == frozenset()


KINDS = st.tuples(st.sampled_from(["a", "b", ""]), st.sampled_from(["app", "mesh"]), st.sampled_from(["x", "y", ""]))


@given(st.lists(KINDS, min_size=1, max_size=30))
def test_every_pod_is_counted_once_where_it_is(kinds: list[tuple[str, str, str]]) -> None:
    """Whatever they have in common: each shape is there once, and each pod is under its own and on its node."""
    pods = [pod(number, {"team": team} if team else {}) for number, (team, _, _) in enumerate(kinds)]
    for each, (_, image, node) in zip(pods, kinds, strict=True):
        each["spec"] |= {"nodeName": node, "containers": [{"name": "c", "image": image}]}
    found = only(inventory(*pods))
    counted = Counter[tuple[str, str, str]]()
    for placed in found.placed:
        shape = found.shapes[placed.shape].pod
        team = shape["metadata"].get("labels", {}).get("team", "")
        counted[team, shape["spec"]["containers"][0]["image"], placed.node] += placed.pods
    assert counted == Counter(kinds)
    assert len(found.shapes) == len({(team, image) for team, image, _ in kinds})


@pytest.mark.parametrize("label", ["team", "spark-exec-id"])
def test_the_work_grows_with_the_pods_and_no_faster(label: str) -> None:
    """Of one owner whose pods all differ, be it in what policies select by or not."""

    def prepare(count: int) -> Callable[[], object]:
        pods = [pod(number, {label: str(number)}) for number in range(count)]
        return lambda: inventory(*pods).workloads()

    assert growth(prepare) < 2.2
