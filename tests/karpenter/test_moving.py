"""Moving to arm64 step by step: what pods prefer, what Karpenter buys for it, and what that costs.

Everything starts at once, before Karpenter looks; then one workload after the other goes its way. A rollout here keeps
the old pods until all new ones have a node (surge of 100 %, and nobody is called available before it is said): that no
existing node has room is then no matter of luck. While Karpenter buys, the scheduler is paused: on a busy machine it
would give a node to a pod that came later than the one that it was bought for, and Karpenter buys once more.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.controlplane import wait_for
from tests.support.karpenter import PRICE, node_pool, requirement

from .arena import POLICIES, SCHEDULER
from .cases import ARCH, CAPACITY_TYPE, LABEL, OS, taint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .arena import Arena

    Object = dict[str, Any]

PAGE: Final = Path(__file__).parents[2] / "docs" / "moving-to-graviton.md"
ROW: Final = r"^\|.*\| \d+ \+ \d+ \| \d+ \+ \d+ \| [\d.]+ \|$"
NAMESPACE: Final = "with"
SHARE: Final = "rightarch.dev/share"
APPLICATION: Final = "spark-app-selector"
APPLICATIONS: Final = ("spark-a", "spark-b", "spark-c", "spark-d")
WHOLE: Final = "1500m"
"""Fills a machine of 2 vCPU."""
NODES: Final = 10 + 1 + 6 + 6 + 2 + 12
"""That Karpenter buys at the beginning: all but those with room have a machine for each pod."""
STEPS: Final = (20, 50, 100, 50, 0)
SECONDS: Final = 120
LOOK_SECONDS: Final = 0.5
HELD_SECONDS: Final = 600

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class State:
    """What is there of a workload when it has come to rest.

    Attributes:
        percent: of the pods shall prefer arm64, by the policy.
        shares: pods by their label.
        preferred: pods by the architecture that their preferred term names; "" for none.
        bound: pods by the architecture of their node.
        claims: NodeClaims by architecture.
        price: of these, in dollars per hour.
    """

    percent: int
    shares: Mapping[str, int]
    preferred: Mapping[str, int]
    bound: Mapping[str, int]
    claims: Mapping[str, int]
    price: float

    def row(self, case: str) -> str:
        """As the page shows it, in a table."""
        pods, nodes = (f"{each.get('arm64', 0)} + {each.get('amd64', 0)}" for each in (self.preferred, self.claims))
        return f"| {case} | {pods} | {nodes} | {self.price:.2f} |"


class Mover:
    """A workload with NodePools of its own.

    Args:
        arena: where.
        key: what its objects are named and told apart by.
    """

    def __init__(self, arena: Arena, key: str) -> None:
        self.arena, self.key = arena, key

    def pods(self) -> list[Object]:
        """Those that nobody deletes."""
        listed = self.arena.pods(NAMESPACE, labelSelector=f"{LABEL}={self.key}")
        return [each for each in listed if not each["metadata"].get("deletionTimestamp")]

    def claims(self) -> list[Object]:
        """Its NodeClaims."""
        return self.arena.claims_of(self.key)

    def state(self, percent: int = 0) -> State:
        """What is there."""
        pods = self.pods()
        nodes = {each["metadata"]["name"]: each["metadata"]["labels"] for each in self.arena.listed("/api/v1/nodes")}
        labels = [each["metadata"]["labels"] for each in self.claims()]
        return State(
            percent,
            Counter(each["metadata"]["labels"].get(SHARE, "") for each in pods),
            Counter(map(preference, pods)),
            Counter(nodes[each["spec"]["nodeName"]][ARCH] for each in pods if is_bound(each)),
            Counter(each.get(ARCH, "not launched") for each in labels),
            round(sum(float(each.get(PRICE, 0)) for each in labels), 4),
        )

    def share(self, percent: int) -> None:
        """Have the policy say another share, and wait until it is known that it does."""
        self.kubectl(
            "patch", "cap", self.key, "--type=merge", "-p", json.dumps({"spec": {"architectures": shares(percent)}})
        )
        self.heeded()

    def heeded(self) -> None:
        """Wait until Rightarch has said of the policy as it is that it is obeyed."""

        def is_obeyed() -> bool:
            policy = self.arena.client.get(f"{POLICIES}/{self.key}").raise_for_status().json()
            return bool(policy.get("status", {}).get("observedGeneration") == policy["metadata"]["generation"])

        wait_for(is_obeyed, SECONDS)

    def roll(self) -> None:
        """Restart the rollout, and keep the old pods until all new ones have a node; Karpenter sees those at once."""
        before = {each["metadata"]["name"] for each in self.pods()}
        self._hold(HELD_SECONDS)
        nodes = len(self.claims()) + len(before)
        with self.arena.paused():
            self.restart()
            wait_for(lambda: self._new(before, is_spoken_of), SECONDS, pause=LOOK_SECONDS)
            self.arena.plane.pause(SCHEDULER)
        with self.arena.scheduler_awake():
            wait_for(lambda: self.arena.ready(self.key) >= nodes, SECONDS, pause=LOOK_SECONDS)
        wait_for(lambda: self._new(before, is_bound), SECONDS, pause=LOOK_SECONDS)
        self._hold(0)
        self.finished()

    def restart(self) -> None:
        """Restart the rollout."""
        self.kubectl("rollout", "restart", f"deployment/{self.key}")

    def finished(self) -> None:
        """Wait until the rollout is over, and none of the old pods is left."""
        self.kubectl("rollout", "status", f"deployment/{self.key}", f"--timeout={SECONDS}s")
        wait_for(lambda: len(self.pods()) == self.replicas, SECONDS, pause=LOOK_SECONDS)

    def sweep(self) -> None:
        """Delete the NodeClaims of empty nodes: Karpenter does so by itself, but takes half a minute each time."""
        used = {each["spec"]["nodeName"] for each in self.pods()}
        empty = [each["metadata"]["name"] for each in self.claims() if each["status"].get("nodeName") not in used]
        self.arena.plane.kubectl("delete", "nodeclaim", "--ignore-not-found", *empty)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace."""
        return self.arena.plane.kubectl("--namespace", NAMESPACE, *arguments)

    @property
    def replicas(self) -> int:
        """How many the Deployment wants."""
        return int(self.kubectl("get", "deployment", self.key, "--output=jsonpath={.spec.replicas}"))

    def _hold(self, seconds: int) -> None:
        change = {"spec": {"minReadySeconds": seconds}}
        self.kubectl("patch", "deployment", self.key, "--type=merge", "-p", json.dumps(change))

    def _new(self, before: Iterable[str], is_so: Callable[[Object], bool]) -> bool:
        """Whether as many new pods are there as old ones were, and it is so of each."""
        new = [each for each in self.pods() if each["metadata"]["name"] not in before]
        return len(new) == len(set(before)) and all(map(is_so, new))


def preference(pod: Object) -> str:
    """The architecture that its preferred term names; "" for none."""
    terms = pod["spec"]["affinity"]["nodeAffinity"].get("preferredDuringSchedulingIgnoredDuringExecution", [])
    if not terms:
        return ""
    [term] = terms
    [expression] = term["preference"]["matchExpressions"]
    assert (expression["key"], expression["operator"], len(expression["values"])) == (ARCH, "In", 1)
    return str(expression["values"][0])


def is_bound(pod: Object) -> bool:
    """Whether it has a node."""
    return "nodeName" in pod["spec"]


def is_spoken_of(pod: Object) -> bool:
    """Whether the scheduler has spoken of it."""
    reasons = {each.get("reason") for each in pod.get("status", {}).get("conditions", ())}
    return is_bound(pod) or "Unschedulable" in reasons


def shares(percent: int) -> Object:
    """The part of a policy that says how much shall prefer arm64."""
    return {"share": [{"architecture": "arm64", "percent": percent}]}


def policy(key: str, architectures: Object) -> Object:
    """A policy for the pods of one workload."""
    spec = {"podSelector": {"matchLabels": {LABEL: key}}, "architectures": architectures}
    metadata = {"name": key}
    return {
        "apiVersion": "rightarch.dev/v1alpha1",
        "kind": "ClusterArchitecturePolicy",
        "metadata": metadata,
        "spec": spec,
    }


def pool(
    key: str,
    architectures: Sequence[str] = ("amd64", "arm64"),
    *,
    vcpu: int = 2,
    weight: int | None = None,
    limit: str | None = None,
) -> Object:
    """A NodePool of machines of one size, whose empty nodes alone may be taken away."""
    made = node_pool(
        f"{key}-{'-'.join(architectures)}",
        requirement(ARCH, "In", *architectures),
        requirement(OS, "In", "linux"),
        requirement(CAPACITY_TYPE, "In", "on-demand"),
        requirement("karpenter.kwok.sh/instance-cpu", "In", str(vcpu)),
        labels={LABEL: key},
        taints=[taint(f"{LABEL}={key}:NoSchedule")],
        weight=weight,
        limits={"cpu": limit} if limit else None,
    )
    made["spec"]["disruption"]["consolidationPolicy"] = "WhenEmpty"
    return made


def template(key: str, image: str, cpu: str, labels: Mapping[str, str]) -> Object:
    """Metadata and spec of a pod that goes to the nodes of its key alone."""
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": cpu}}}
    spec = {
        "nodeSelector": {LABEL: key},
        "tolerations": [taint(f"{LABEL}={key}:NoSchedule") | {"operator": "Equal"}],
        "containers": [container],
    }
    return {"metadata": {"labels": {LABEL: key, **labels}}, "spec": spec}


def deployment(key: str, image: str, replicas: int, cpu: str = WHOLE) -> Object:
    """A Deployment whose new pods are all there before the first old one goes."""
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {LABEL: key}},
        "template": template(key, image, cpu, {}),
        "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
        "progressDeadlineSeconds": 2 * HELD_SECONDS,
    }
    metadata = {"name": key, "namespace": NAMESPACE}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def application(arena: Arena, name: str) -> None:
    """Create a driver and its executors, which it owns, as Spark does."""
    made = template("spark", arena.images["multi-arch"], WHOLE, {APPLICATION: name})
    metadata = made["metadata"] | {"namespace": NAMESPACE}
    driver = {"apiVersion": "v1", "kind": "Pod", **made, "metadata": metadata | {"name": f"{name}-driver"}}
    [there] = arena.plane.apply(driver)
    owner = {"apiVersion": "v1", "kind": "Pod", "name": f"{name}-driver", "uid": there["metadata"]["uid"]}
    owned = metadata | {"ownerReferences": [owner | {"controller": True}]}
    arena.create(driver | {"metadata": owned | {"name": f"{name}-exec-{number}"}} for number in (1, 2))


def pools() -> Iterator[Object]:
    """All NodePools."""
    yield pool("moving")
    yield pool("spark")
    yield pool("room", vcpu=16)
    yield pool("weight", ["amd64"], weight=50)
    yield pool("weight", ["arm64"])
    for scarce, ample in (("arm64", "amd64"), ("amd64", "arm64")):
        yield pool(f"few-{scarce}", [scarce], limit="4")
        yield pool(f"few-{scarce}", [ample])


POLICIES_OF: Final[Mapping[str, Object]] = {
    "moving": shares(0),
    "room": shares(0),
    "few-arm64": shares(100),
    "few-amd64": shares(0),
    "spark": shares(50) | {"sameFor": APPLICATION},
}


@pytest.fixture(scope="module")
def begun(arena: Arena) -> Arena:
    """All workloads, on the nodes that Karpenter bought for them when it saw them at once."""
    both = arena.images["multi-arch"]
    arena.create(pools())
    arena.create(policy(key, architectures) for key, architectures in POLICIES_OF.items())
    for key in POLICIES_OF:
        Mover(arena, key).heeded()
    counts = {"moving": 10, "room": 10, "few-arm64": 6, "few-amd64": 6, "weight": 2}
    keys = [*counts, "spark"]

    def all_of_them(is_so: Callable[[Object], bool]) -> bool:
        pods = [each for each in arena.pods(NAMESPACE) if each["metadata"]["labels"].get(LABEL) in keys]
        return len(pods) == sum(counts.values()) + 3 * len(APPLICATIONS) and all(map(is_so, pods))

    with arena.paused():
        arena.create(deployment(key, both, count, "700m" if key == "room" else WHOLE) for key, count in counts.items())
        for name in APPLICATIONS:
            application(arena, name)
        wait_for(lambda: all_of_them(is_spoken_of), SECONDS, pause=LOOK_SECONDS)
        arena.plane.pause(SCHEDULER)
    with contextlib.suppress(TimeoutError), arena.scheduler_awake():  # each test tells of its own
        wait_for(lambda: sum(map(arena.ready, keys)) >= NODES, SECONDS, pause=LOOK_SECONDS)
    with contextlib.suppress(TimeoutError):
        wait_for(lambda: all_of_them(is_bound), SECONDS, pause=LOOK_SECONDS)
    return arena


@pytest.fixture(scope="module")
def steps(begun: Arena) -> list[State]:
    """The way to 100 % and back: a patch of the policy and a restart each, from nodes without room."""
    mover = Mover(begun, "moving")
    states = [mover.state(0)]
    for percent in STEPS:
        mover.share(percent)
        mover.roll()
        mover.sweep()
        states.append(mover.state(percent))
    return states


@pytest.fixture(scope="module")
def room(begun: Arena) -> tuple[State, State]:
    """Before and after a step from 0 % to 50 % where the amd64 node has room for twice the pods."""
    mover = Mover(begun, "room")
    before = mover.state(0)
    mover.share(50)
    mover.restart()
    mover.finished()
    return before, mover.state(50)


@pytest.fixture(scope="module")
def weighed(begun: Arena) -> tuple[State, State]:
    """Before and after arm64 gets the NodePool of more weight; no policy says anything."""
    mover = Mover(begun, "weight")
    before = mover.state()
    begun.plane.kubectl("patch", "nodepool", "weight-arm64", "--type=merge", "-p", '{"spec": {"weight": 100}}')
    mover.roll()
    mover.sweep()
    return before, mover.state()


def test_each_step_is_what_the_policy_says(steps: list[State]) -> None:
    """Labels and preferred terms: exactly so, for one replica answers, and a new ReplicaSet starts with no deficit."""
    for state in steps:
        arm = state.percent // 10
        assert dict(state.shares) == whole({"arm64": arm, "others": 10 - arm})
        assert dict(state.preferred) == whole({"arm64": arm, "amd64": 10 - arm})


def test_karpenter_buys_what_pods_prefer_where_no_node_has_room(steps: list[State]) -> None:
    """A machine each, of the preferred architecture; the bound pods have the share of the policy too."""
    for state in steps:
        arm = state.percent // 10
        assert dict(state.claims) == dict(state.bound) == whole({"arm64": arm, "amd64": 10 - arm})
        assert state.price == pytest.approx(0.08 * arm + 0.10 * (10 - arm))


def test_a_preference_buys_nothing_while_there_is_room(room: tuple[State, State]) -> None:
    """Half of the pods prefer arm64, all are on the amd64 node that has room, and the price stays."""
    before, after = room
    assert dict(before.claims) == {"amd64": 1}
    assert dict(after.shares) == {"arm64": 5, "others": 5}
    assert dict(after.preferred) == {"arm64": 5, "amd64": 5}
    assert dict(after.bound) == {"amd64": 10}
    assert (after.claims, after.price) == (before.claims, before.price)


@pytest.mark.parametrize(("scarce", "ample"), [("arm64", "amd64"), ("amd64", "arm64")])
def test_pods_go_to_the_other_architecture_where_theirs_runs_out(begun: Arena, scarce: str, ample: str) -> None:
    """All prefer that whose NodePool may have two machines; four of six get the other."""
    state = Mover(begun, f"few-{scarce}").state()
    assert dict(state.preferred) == {scarce: 6}
    assert dict(state.bound) == dict(state.claims) == {scarce: 2, ample: 4}


def test_driver_and_executors_make_the_same_choice(begun: Arena) -> None:
    """By the label that `sameFor` names, in both directions; Karpenter buys as many machines of each."""
    mover = Mover(begun, "spark")
    chosen = {
        name: {preference(each) for each in mover.pods() if each["metadata"]["labels"][APPLICATION] == name}
        for name in APPLICATIONS
    }
    assert all(len(each) == 1 for each in chosen.values()), chosen
    assert set.union(*chosen.values()) == {"amd64", "arm64"}
    state = mover.state()
    assert dict(state.claims) == dict(state.bound) == dict(state.preferred)


def test_weight_moves_pods_with_nothing_written_on_them(weighed: tuple[State, State]) -> None:
    """Until arm64 has more weight it is not bought; one patch and one restart, and there is nothing else."""
    before, after = weighed
    assert dict(before.claims) == dict(before.bound) == {"amd64": 2}
    assert dict(after.claims) == dict(after.bound) == {"arm64": 2}
    assert dict(after.shares) == dict(after.preferred) == {"": 2}


def test_the_page_shows_what_was_measured(
    begun: Arena, steps: list[State], room: tuple[State, State], weighed: tuple[State, State]
) -> None:
    """Each row of its tables, in this order."""
    measured = [
        *(state.row(f"{state.percent} %") for state in steps),
        *(state.row(f"{state.percent} %, one amd64 machine with room") for state in room),
        Mover(begun, "few-arm64").state().row("100 %, no more than two arm64 machines"),
        Mover(begun, "few-amd64").state().row("0 %, no more than two amd64 machines"),
        weighed[0].row("no policy, more weight for amd64"),
        weighed[1].row("no policy, more weight for arm64"),
    ]
    assert re.findall(ROW, PAGE.read_text(), re.MULTILINE) == measured


def whole(counts: Mapping[str, int]) -> dict[str, int]:
    """Those that there are any of."""
    return {name: count for name, count in counts.items() if count}
