"""What the cluster can offer a pod: of Nodes, NodePools and NodeClaims, and what is said where that is nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from rightarch.affinity import Constraints
from rightarch.capacity import Capacity, Demand, Offer
from rightarch.capacity import capacity as capacities
from rightarch.policy import Kind, Policy
from tests.controlplane import fake_node

Object = dict[str, Any]

ARCH, OS, ZONE = "kubernetes.io/arch", "kubernetes.io/os", "topology.kubernetes.io/zone"
BOTH = frozenset({"amd64", "arm64"})
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
YES, NO, UNKNOWN = Offer.YES, Offer.NO, Offer.UNKNOWN


def expression(text: str) -> Object:
    """A requirement, such as "kubernetes.io/arch In amd64 arm64"."""
    key, operator, *values = text.split()
    return {"key": key, "operator": operator} | ({"values": values} if values else {})


def taint(text: str) -> Object:
    """A taint, such as "dedicated=gpu:NoSchedule"."""
    entry, _, effect = text.partition(":")
    key, _, value = entry.partition("=")
    return {"key": key, "value": value, "effect": effect}


def pool(
    *requirements: str,
    name: str = "general",
    labels: Object | None = None,
    taints: tuple[str, ...] = (),
    startup: tuple[str, ...] = (),
    status: Object | None = None,
    **spec: object,
) -> Object:
    """A NodePool that is Ready."""
    template = {
        "metadata": {"labels": labels or {}},
        "spec": {
            "requirements": [expression(text) for text in requirements],
            "taints": [taint(text) for text in taints],
            "startupTaints": [taint(text) for text in startup],
        },
    }
    given = READY if status is None else status
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}, "status": given}


def used(resource: str, amount: str) -> Object:
    """The status of a NodePool that is Ready, and has so much of a resource."""
    return {**READY, "resources": {resource: amount}}


def claim(architecture: str, of: str = "general", os: str = "linux") -> Object:
    """A NodeClaim that was launched."""
    return {"metadata": {"name": "c", "labels": {"karpenter.sh/nodepool": of, ARCH: architecture, OS: os}}}


def demand(
    *terms: str,
    architectures: frozenset[str] = BOTH,
    os: str = "linux",
    tolerations: tuple[Object, ...] = (),
    selector: dict[str, str] | None = None,
    assumed: frozenset[str] = frozenset(),
) -> Demand:
    """A pod's demand; each of the terms is a list of requirements between semicolons."""
    raw = [{"matchExpressions": [expression(part) for part in term.split(";")]} for term in terms]
    return Demand(Constraints(selector or {}, raw or None), architectures, os, tolerations, assumed)  # type: ignore[arg-type]


def offers(capacity: Capacity, asked: Demand) -> tuple[Offer, Offer]:
    """What is offered of amd64 and arm64."""
    found = capacity.answer(asked).offers
    return found["amd64"], found["arm64"]


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        (["kubernetes.io/arch In amd64"], (YES, NO)),
        (["kubernetes.io/arch In amd64 arm64"], (YES, YES)),
        (["beta.kubernetes.io/arch In arm64"], (NO, YES)),
        (["kubernetes.io/arch In amd64 arm64", "kubernetes.io/arch NotIn amd64"], (NO, YES)),
        ([], (UNKNOWN, UNKNOWN)),
        (["kubernetes.io/arch Exists"], (UNKNOWN, UNKNOWN)),
        (["kubernetes.io/arch NotIn arm64"], (UNKNOWN, NO)),
        (["kubernetes.io/arch DoesNotExist"], (NO, NO)),
        (["kubernetes.io/arch Gt 3"], (NO, NO)),
        (["kubernetes.io/arch In amd64 arm64", "node.kubernetes.io/instance-type In m7g.large"], (UNKNOWN, UNKNOWN)),
        (["kubernetes.io/arch In amd64 arm64", "karpenter.k8s.aws/instance-family In m7g"], (UNKNOWN, UNKNOWN)),
        (["kubernetes.io/arch In arm64", "karpenter.k8s.aws/instance-family In m7g"], (NO, UNKNOWN)),
        (["kubernetes.io/arch In amd64 arm64", "karpenter.k8s.aws/instance-family NotIn t2"], (YES, YES)),
        (["kubernetes.io/arch In amd64 arm64", "karpenter.k8s.aws/instance-generation Gt 5"], (YES, YES)),
        (["kubernetes.io/arch In amd64 arm64", "karpenter.k8s.aws/ami-id In ami-1"], (UNKNOWN, UNKNOWN)),
        (["kubernetes.io/arch In amd64", "kubernetes.io/os In windows"], (NO, NO)),
        (["kubernetes.io/arch In amd64", "kubernetes.io/os Exists"], (UNKNOWN, NO)),
    ],
)
def test_a_nodepool_offers_what_its_requirements_name(requirements: list[str], expected: tuple[Offer, Offer]) -> None:
    """Yes where an architecture is named, no where it can't be, unknown where only a machine would tell."""
    assert offers(Capacity.of([], [pool(*requirements)]), demand()) == expected


@pytest.mark.parametrize(
    ("flexible", "asked", "expected"),
    [
        ({ARCH: 2}, demand(), YES),
        ({ARCH: 2}, demand(architectures=frozenset({"arm64"})), UNKNOWN),
        ({ARCH: 2}, demand("kubernetes.io/arch NotIn amd64"), UNKNOWN),
        ({ARCH: 1}, demand(architectures=frozenset({"arm64"})), YES),
        ({ARCH: 3}, demand(), UNKNOWN),
        ({"karpenter.k8s.aws/instance-category": 2}, demand(), UNKNOWN),
        ({"karpenter.k8s.aws/instance-category": 1}, demand(), YES),
        ({"beta.kubernetes.io/arch": 2}, demand(architectures=frozenset({"arm64"})), UNKNOWN),
    ],
)
def test_a_nodepool_that_wants_choice_is_sure_where_enough_is_left(
    flexible: dict[str, int], asked: Demand, expected: Offer
) -> None:
    """`minValues` counts what the machines that suit the pod have; whether it insists is a setting of Karpenter."""
    raw = pool("kubernetes.io/arch In amd64 arm64")
    raw["spec"]["template"]["spec"]["requirements"] += [
        {"key": key, "operator": "Exists", "minValues": least} for key, least in flexible.items()
    ]
    assert Capacity.of([], [raw]).answer(asked).offers["arm64"] is expected


@pytest.mark.parametrize("requirements", [[], ["karpenter.k8s.aws/instance-family In m7g"]])
def test_a_node_or_a_nodeclaim_shows_what_a_nodepool_has(requirements: list[str]) -> None:
    """And nothing about another NodePool; what the NodePool no longer admits is not believed."""
    pools = [pool(*requirements)]
    node = fake_node("n", "arm64", labels={"karpenter.sh/nodepool": "general"}, taints=[taint("full=up:NoSchedule")])
    assert offers(Capacity.of([], pools, [claim("arm64")]), demand()) == (UNKNOWN, YES)
    assert offers(Capacity.of([node], pools), demand()) == (UNKNOWN, YES)
    assert offers(Capacity.of([], pools, [claim("arm64", of="other")]), demand()) == (UNKNOWN, UNKNOWN)
    assert offers(Capacity.of([], [pool("kubernetes.io/arch In amd64")], [claim("arm64")]), demand()) == (YES, NO)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (demand("topology.kubernetes.io/zone In a"), YES),
        (demand("topology.kubernetes.io/zone In c"), NO),
        (demand("failure-domain.beta.kubernetes.io/zone In c"), NO),
        (demand("topology.kubernetes.io/zone In c", "topology.kubernetes.io/zone In b"), YES),
        (demand("topology.kubernetes.io/zone In a;kubernetes.io/arch In amd64"), NO),
        (demand("topology.kubernetes.io/zone DoesNotExist"), NO),
        (demand("topology.kubernetes.io/region In x"), UNKNOWN),
        (demand("karpenter.k8s.aws/instance-cpu Gt 4"), NO),
        (demand("karpenter.k8s.aws/instance-cpu Gt 3"), YES),
        (demand("karpenter.k8s.aws/instance-memory Gt 3"), UNKNOWN),
        (demand("team In red"), YES),
        (demand("team In blue"), NO),
        (demand("stage In test"), NO),
        (demand("stage NotIn test"), YES),
        (demand("stage DoesNotExist"), YES),
        (demand(selector={"team": "red"}), YES),
        (demand(selector={"karpenter.sh/nodepool": "other"}), NO),
        (demand(selector={"kubernetes.io/hostname": "n"}), UNKNOWN),
    ],
)
def test_labels_are_held_against_those_of_a_nodepool(asked: Demand, expected: Offer) -> None:
    """As Karpenter does: what it knows of itself may be left out of a NodePool, other labels must be there."""
    arm = pool(
        "kubernetes.io/arch In arm64",
        "topology.kubernetes.io/zone In a b",
        "karpenter.k8s.aws/instance-cpu Lte 4",
        labels={"team": "red"},
    )
    assert Capacity.of([], [arm]).answer(asked).offers["arm64"] is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pool("kubernetes.io/arch In arm64", status={}), UNKNOWN),
        (pool("kubernetes.io/arch In arm64", replicas=3), UNKNOWN),
        (pool("kubernetes.io/arch In arm64", replicas=0), NO),
        (pool("kubernetes.io/arch In arm64", limits={"cpu": "0"}), NO),
        (pool("kubernetes.io/arch In arm64", limits={"cpu": "1k"}), YES),
        (
            pool(
                "kubernetes.io/arch In arm64",
                limits={"memory": "1Ti"},
                status={**READY, "resources": {"memory": "1024Gi"}},
            ),
            NO,
        ),
        (pool("kubernetes.io/arch In arm64", limits={"cpu": "what"}), YES),
        (pool("kubernetes.io/arch In arm64", limits={"nvidia.com/gpu": "0", "cpu": "100"}), YES),
        (pool("kubernetes.io/arch In arm64", limits={"nvidia.com/gpu": "4"}, status=used("nvidia.com/gpu", "4")), YES),
        (pool("kubernetes.io/arch In arm64", limits={"nvidia.com/gpu": "4"}, status=used("nvidia.com/gpu", "8")), NO),
        (pool("kubernetes.io/arch In arm64", limits={"nodes": "3"}, status=used("nodes", "3")), NO),
        (pool("kubernetes.io/arch In arm64", limits={"pods": "110"}, status=used("pods", "110")), NO),
        (pool("kubernetes.io/arch In arm64", startup=("cilium=starts:NoSchedule",)), YES),
        (pool("kubernetes.io/arch In arm64", taints=("dedicated=gpu:NoSchedule",)), NO),
        (pool("kubernetes.io/arch In arm64", taints=("dedicated=gpu:PreferNoSchedule",)), YES),
    ],
)
def test_what_a_nodepool_is_at_counts(given: Object, expected: Offer) -> None:
    """Not Ready, full, static or tainted; taints that a node has only at first keep nobody away."""
    assert Capacity.of([], [given]).answer(demand(architectures=frozenset({"arm64"}))).offers["arm64"] is expected


@pytest.mark.parametrize(
    ("node", "asked", "expected"),
    [
        (fake_node("n", "arm64"), demand(), YES),
        (fake_node("n", "amd64"), demand(), NO),
        (fake_node("n", "arm64", os="windows"), demand(), NO),
        (fake_node("n", "arm64", labels={"disk": "ssd"}), demand("disk In hdd"), NO),
        (fake_node("n", "arm64"), demand("disk In hdd"), NO),
        (fake_node("n", "arm64"), demand("disk NotIn hdd"), YES),
        (fake_node("n", "arm64", labels={"cores": "8"}), demand("cores Gt 7"), YES),
        (fake_node("n", "arm64", labels={"cores": "8"}), demand("cores Gt 8"), NO),
        (fake_node("n", "arm64", labels={"cores": "eight"}), demand("cores Lt 9"), NO),
        (fake_node("n", "arm64"), demand(selector={"kubernetes.io/hostname": "m"}), UNKNOWN),
        (fake_node("n", "arm64", taints=[taint("a=b:NoExecute")]), demand(), NO),
        (fake_node("n", "arm64", taints=[taint("a=b:NoExecute")]), demand(tolerations=({"operator": "Exists"},)), YES),
        (
            fake_node("n", "arm64", taints=[taint("a=b:NoSchedule")]),
            demand(tolerations=({"key": "a", "value": "c", "effect": "NoSchedule"},)),
            NO,
        ),
        (fake_node("n", "arm64", taints=[taint("node.kubernetes.io/not-ready:NoSchedule")]), demand(), UNKNOWN),
        (fake_node("n", "arm64", taints=[taint("node.kubernetes.io/unschedulable:NoSchedule")]), demand(), NO),
    ],
)
def test_labels_and_taints_of_nodes_are_held_against_the_pod(node: Object, asked: Demand, expected: Offer) -> None:
    """As the scheduler does; a node that is not ready yet may be soon, one that is cordoned stays so."""
    assert Capacity.of([node]).answer(asked).offers["arm64"] is expected


def test_a_cordoned_node_offers_nothing() -> None:
    """Whether its taint was written already or not."""
    node = fake_node("n", "arm64")
    node["spec"] = {"unschedulable": True}
    capacity = Capacity.of([node])
    assert capacity.answer(demand()).offers["arm64"] is NO
    assert capacity.answer(demand(tolerations=({"operator": "Exists"},))).offers["arm64"] is YES


def test_what_a_policy_assumes_is_there() -> None:
    """Beside what is seen; and a cluster of which nothing is known refuses nobody."""
    capacity = Capacity.of([fake_node("n", "amd64")])
    assert offers(capacity, demand(assumed=frozenset({"arm64"}))) == (YES, YES)
    assert offers(Capacity(), demand()) == (UNKNOWN, UNKNOWN)


FULL = {**READY, "resources": {"cpu": "16"}}


@pytest.mark.parametrize(
    ("capacity", "asked", "wanted", "nearest"),
    [
        (Capacity.of([fake_node("n", "amd64")]), demand(), "arm64", "no Node has arm64, and there is no NodePool"),
        (
            Capacity.of([], [pool("kubernetes.io/arch In amd64")]),
            demand(),
            "arm64",
            "NodePool general allows only amd64",
        ),
        (
            Capacity.of([], [pool("kubernetes.io/arch DoesNotExist")]),
            demand(),
            "arm64",
            "NodePool general does not allow arm64 (kubernetes.io/arch DoesNotExist)",
        ),
        (
            Capacity.of([], [pool("kubernetes.io/arch NotIn arm64")]),
            demand(),
            "arm64",
            "NodePool general does not allow arm64 (kubernetes.io/arch NotIn [arm64])",
        ),
        (
            Capacity.of([], [pool("kubernetes.io/os NotIn linux")]),
            demand(),
            "arm64",
            "NodePool general does not allow linux (kubernetes.io/os NotIn [linux])",
        ),
        (
            Capacity.of([], [pool("kubernetes.io/arch In amd64", "kubernetes.io/arch In s390x")]),
            demand(),
            "arm64",
            "NodePool general allows nothing at all: its requirements on kubernetes.io/arch contradict each other",
        ),
        (
            Capacity.of([], [pool("kubernetes.io/arch In amd64", "topology.kubernetes.io/zone In a b")]),
            demand("topology.kubernetes.io/zone In c"),
            "amd64, arm64",
            f"NodePool general allows {ZONE} In [a, b], and the pod asks for {ZONE} In [c]",
        ),
        (
            Capacity.of([], [pool("kubernetes.io/arch In arm64", taints=("team=red:NoSchedule",))]),
            demand(),
            "arm64",
            "NodePool general has the taint team=red:NoSchedule, which the pod does not tolerate",
        ),
        (
            Capacity.of([], [pool("kubernetes.io/arch In arm64", limits={"cpu": "16"}, status=FULL)]),
            demand(),
            "arm64",
            "NodePool general is at its limit of 16 for cpu",
        ),
        (
            Capacity.of([fake_node("n", "amd64", labels={"disk": "ssd"})]),
            demand("disk In hdd"),
            "amd64, arm64",
            "the nearest amd64 Node has disk=ssd, and the pod asks for disk In [hdd]",
        ),
    ],
)
def test_the_message_names_what_is_asked_for_and_the_nearest_miss(
    capacity: Capacity, asked: Demand, wanted: str, nearest: str
) -> None:
    """The key, the values, and what would have to change."""
    asked = replace(asked, architectures=frozenset(wanted.split(", ")))
    answer = capacity.answer(asked)
    assert answer.nothing
    assert answer.message == f"no node can be had with kubernetes.io/arch In [{wanted}] (linux): {nearest}"
    assert capacity.refusal(asked) == answer.message


def test_the_nearest_nodepool_is_the_one_with_least_in_the_way() -> None:
    """Of two that are as near, the one of more weight, which Karpenter asks first; any is that has the architecture."""
    far = pool("kubernetes.io/arch In amd64", name="far", taints=("a=b:NoSchedule",), weight=90)
    near = pool("kubernetes.io/arch In amd64", name="near")
    heavy = pool("kubernetes.io/arch In s390x", name="heavy", weight=10)
    asked = demand(architectures=frozenset({"arm64"}))
    assert "NodePool near allows only amd64" in Capacity.of([], [far, near]).answer(asked).message
    assert "NodePool heavy allows only s390x" in Capacity.of([], [far, near, heavy]).answer(asked).message
    arm = pool("kubernetes.io/arch In arm64", name="tainted", taints=("a=b:NoSchedule", "c=d:NoSchedule"))
    assert "NodePool tainted has the taint a=b" in Capacity.of([], [near, heavy, arm]).answer(asked).message


def test_where_a_node_may_be_had_nothing_is_said() -> None:
    """For one architecture of several is enough."""
    capacity = Capacity.of([fake_node("n", "amd64")])
    assert capacity.refusal(demand()) is None
    assert capacity.answer(demand()).message == ""
    assert capacity.refusal(demand(architectures=frozenset())) is None


def test_an_architecture_behind_its_taint_comes_with_the_lines_to_add() -> None:
    """GKE taints its Arm nodes so: a policy is what tolerates that. A taint that reserves nodes is no such."""
    arm = "kubernetes.io/arch=arm64:NoSchedule"
    answer = Capacity.of([fake_node("a", "amd64"), fake_node("n", "arm64", taints=[taint(arm)])]).answer(demand())
    assert answer.offers == {"amd64": YES, "arm64": NO}
    assert [str(each) for each in answer.missing("arm64")] == [arm]
    toleration = {"key": "kubernetes.io/arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"}
    lines = yaml.safe_load(answer.toleration_lines())
    assert lines == {"tolerations": [{"architecture": "arm64", "toleration": toleration}]}
    tolerated = Capacity.of([fake_node("n", "arm64", taints=[taint(arm)])]).answer(demand(tolerations=(toleration,)))
    assert (tolerated.offers["arm64"], tolerated.toleration_lines()) == (YES, "")
    reserved = Capacity.of([], [pool("kubernetes.io/arch In arm64", taints=("team=red:NoSchedule",))])
    assert reserved.answer(demand()).toleration_lines() == ""


MARK, TEAM = "kubernetes.io/arch=arm64:NoSchedule", "team=ml:NoSchedule"


@pytest.mark.parametrize(
    ("nodes", "pools"),
    [
        ([(MARK,)], [pool("kubernetes.io/arch In amd64")]),
        ([(TEAM,), (MARK,)], []),
        ([(TEAM,), (MARK, "arch=arm:NoSchedule")], []),
        ([(MARK,)], [pool("kubernetes.io/arch In arm64", taints=(TEAM,))]),
        ([(MARK,)], [pool("kubernetes.io/arch In arm64", limits={"cpu": "16"}, status=FULL)]),
        ([*((f"team=t{index}:NoSchedule",) for index in range(2 * capacities.MAX_MISSES)), (MARK,)], []),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_taint_of_an_architecture_is_the_nearest_miss_whatever_else_there_is(
    nodes: list[tuple[str, ...]], pools: list[Object], *, backwards: bool
) -> None:
    """Since a policy opens it: NodePools of another architecture don't hide it, nor do Nodes that others reserved."""
    tainted = [
        fake_node(f"n{index}", "arm64", taints=[taint(text) for text in texts]) for index, texts in enumerate(nodes)
    ]
    capacity = Capacity.of([fake_node("a", "amd64"), *(reversed(tainted) if backwards else tainted)], pools)
    answer = capacity.answer(demand(architectures=frozenset({"arm64"})))
    assert MARK in {str(each) for each in answer.missing("arm64")}
    assert answer.message.partition(": ")[2].startswith("the nearest arm64 Node has the taint")


@pytest.mark.parametrize("backwards", [False, True])
def test_a_taint_that_the_pod_might_tolerate_is_nearer_than_a_label_that_a_node_lacks(*, backwards: bool) -> None:
    """Whichever Node is listed first, and however many taints there are."""
    tainted = fake_node("one", "arm64", labels={"disk": "ssd"}, taints=[taint(TEAM), taint("gpu=a:NoSchedule")])
    nodes = [fake_node("other", "arm64", labels={"disk": "hdd"}), tainted]
    answer = Capacity.of(reversed(nodes) if backwards else nodes).answer(demand("disk In ssd"))
    assert len(answer.verdicts["arm64"].missing) == 2
    assert answer.missing("arm64") == ()


@pytest.mark.parametrize("value", ["true", "1", "1e3", "arm64", ""])
@pytest.mark.parametrize("key", ["arm64", "example.com/arch"])
def test_the_lines_to_add_are_what_a_policy_takes(key: str, value: str) -> None:
    """Texts that YAML would take for a boolean or a number are quoted: the API server refuses these."""
    pools = [pool("kubernetes.io/arch In arm64", taints=(f"{key}={value}:NoSchedule",))]
    answer = Capacity.of([], pools).answer(demand(architectures=frozenset({"arm64"})))
    spec = yaml.safe_load(answer.toleration_lines())
    policy = Policy.of(Kind.CLUSTER, {"metadata": {"name": "p", "uid": "u"}, "spec": spec})
    assert not policy.problem
    [given] = spec["tolerations"]
    tolerant = demand(architectures=frozenset({"arm64"}), tolerations=(given["toleration"],))
    assert Capacity.of([], pools).answer(tolerant).offers["arm64"] is YES


@pytest.mark.parametrize(
    ("value", "expected"), [("950", UNKNOWN), ("900", NO), ("1000", UNKNOWN)], ids=["above", "equal", "well above"]
)
def test_what_a_comparison_alone_tolerates_is_not_sure(value: str, expected: Offer) -> None:
    """Not every scheduler makes comparisons, and nothing in the API tells: of a Node, and of a NodePool."""
    asked = demand(tolerations=({"key": "sla", "operator": "Gt", "value": "900", "effect": "NoSchedule"},))
    node = fake_node("n", "arm64", taints=[taint(f"sla={value}:NoSchedule")])
    assert Capacity.of([node]).answer(asked).offers["arm64"] is expected
    arm = pool("kubernetes.io/arch In arm64", taints=(f"sla={value}:NoSchedule",))
    assert Capacity.of([], [arm]).answer(asked).offers["arm64"] is expected


def test_nodes_of_a_kind_are_looked_at_once() -> None:
    """What tells single Nodes apart is not kept; what may be chosen by is."""
    nodes = [fake_node(f"n{number}", "arm64", labels={"zone": str(number % 2)}) for number in range(20)]
    assert len(Capacity.of(nodes).nodes) == 2


def test_the_platforms_that_nodepools_may_have_count() -> None:
    """An operating system that Karpenter might choose must be ruled out by the pod; a Node is not needed for that."""
    capacity = Capacity.of([fake_node("n", "amd64")], [pool()])
    assert capacity.oses == {"linux", "windows"}
    assert capacity.architectures("linux") == {"amd64", "arm64"}
    linux = Capacity.of([], [pool("kubernetes.io/os In linux", "kubernetes.io/arch In arm64")])
    assert linux.oses == {"linux"}
    assert linux.architectures("linux") == {"arm64"}
    assert not linux.architectures("windows")


def test_an_unreasonable_pod_costs_no_more_than_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of terms of a pod's author against thousands of kinds of nodes: then nothing is claimed."""
    monkeypatch.setattr(capacities, "MAX_LOOKS", 100)
    capacity = Capacity.of([fake_node(f"n{n}", "amd64", labels={"n": str(n)}) for n in range(10)])
    assert capacity.answer(demand("n In x")).offers["amd64"] is NO
    assert capacity.answer(demand(*["n In x"] * 10)).offers["amd64"] is UNKNOWN


def test_what_was_told_of_one_pod_is_not_told_of_another() -> None:
    """Constraints alike, tolerations not: whoever comes first changes nothing for the next, in any order."""
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}
    taint = {"key": "arm", "effect": "NoSchedule"}
    node = {"metadata": {"name": "n", "labels": labels}, "spec": {"taints": [taint]}}
    bare = Demand(Constraints({}, None), frozenset({"arm64"}), "linux")
    tolerant = Demand(Constraints({}, None), frozenset({"arm64"}), "linux", ({"key": "arm", "operator": "Exists"},))
    for first, second in ((bare, tolerant), (tolerant, bare)):
        capacity = Capacity.of([node])
        told = {id(each): capacity.refusal(each) for each in (first, second, first)}
        assert told[id(tolerant)] is None
        assert "arm" in (told[id(bare)] or "")
