"""Placement, against the real scheduler on random pods: it has the last word on where a pod may run."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import httpx
import pytest

from rightarch.capacity import Capacity
from rightarch.patches import GATE
from rightarch.placement import Decision, Failure, Input, apply, decide, release
from rightarch.policy import BUILT_IN, Effective
from rightarch.reasons import Reason
from tests.controlplane import ControlPlane, fake_node
from tests.support.json_patch import patched
from tests.support.random_pods import NODES, pod
from tests.support.random_policies import policy
from tests.support.scheduling import admits

SEED = int(os.environ.get("RIGHTARCH_TEST_SEED", "20260901"))
PODS = 600
RELEASED = 120
SECONDS = 120
CONTRADICTIONS = frozenset({Reason.NOT_ALLOWED, Reason.CONFLICTING_CONSTRAINT})


@dataclass(frozen=True)
class Case:
    """A random pod, what was decided, and where the scheduler put it without and with the patch (None: nowhere)."""

    pod: dict[str, Any]
    decision: Decision
    without: str | None
    with_patch: str | None
    spec_without: dict[str, Any]
    spec_with: dict[str, Any]

    @property
    def places(self) -> bool:
        """Whether the decision gives the pod a place."""
        placed = {Reason.CONSTRAINED, Reason.ALREADY_CONSTRAINED, Reason.EMULATED}
        return self.decision.reason in placed and not self.decision.audit

    @property
    def pending(self) -> bool:
        """Whether the policy keeps a pod from every node, since it contradicts what is allowed or supported."""
        enforced = self.decision.reason in CONTRADICTIONS and "stays Pending" in self.decision.message
        return enforced and not self.decision.audit

    @property
    def admitted(self) -> set[str]:
        """The nodes that the pod's own constraints admit."""
        return {name for name, labels in NODES.items() if admits(self.pod, name, labels)}

    @property
    def right(self) -> set[str]:
        """Those of them that have the OS and an architecture of the decision."""
        wanted = {(self.decision.os, architecture) for architecture in self.decision.architectures}
        labels = {name: (NODES[name]["kubernetes.io/os"], NODES[name]["kubernetes.io/arch"]) for name in self.admitted}
        return {name for name, pair in labels.items() if pair in wanted and self._emulates(NODES[name])}

    def _emulates(self, labels: Mapping[str, str]) -> bool:
        """Whether a node does for the pod what it needs: that only matters where something is emulated."""
        selectors = [each.node_selector.items() for each in self.decision.policy.facts.emulation]
        return self.decision.reason is not Reason.EMULATED or any(each <= labels.items() for each in selectors)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """The administrator's connection to a control plane of this module's own, with the random Nodes."""
    with ControlPlane() as plane, plane.client() as connection:
        _make_nodes(plane, connection)
        yield connection


@pytest.fixture(scope="module")
def cases(client: httpx.Client) -> list[Case]:
    """All the pods, scheduled twice: as they are, and patched; every other one under a policy of its own."""
    random = Random(SEED)
    capacity = Capacity.of_nodes(NODES.values())
    given = [pod(random, f"p{index}") for index in range(PODS)]
    policies = [BUILT_IN if index % 2 else policy(random) for index in range(PODS)]
    decisions = [
        decide(Input(each, images, capacity, policy=rules))
        for (each, images), rules in zip(given, policies, strict=True)
    ]
    changed = [patched(each, apply(decision, each)) for (each, _), decision in zip(given, decisions, strict=True)]
    without = _schedule(client, "without", [each for each, _ in given])
    with_patch = _schedule(client, "with", changed)
    return [
        Case(each, decision, _node(free), _node(led), free["spec"], led["spec"])
        for (each, _), decision in zip(given, decisions, strict=True)
        for free, led in [(without[each["metadata"]["name"]], with_patch[each["metadata"]["name"]])]
    ]


def test_the_transcription_agrees_with_the_scheduler(cases: list[Case]) -> None:
    """Without a patch a pod is bound to a node that the transcribed rules admit, and to none iff they admit none."""
    for case in cases:
        assert (case.without in case.admitted) if case.admitted else case.without is None, case


def test_a_pod_is_bound_only_where_it_was_admitted_and_its_images_run(cases: list[Case]) -> None:
    """Bound iff there is such a node, among those that the policy allows; Unschedulable iff there is none."""
    placed = [case for case in cases if case.places]
    for case in placed:
        assert (case.with_patch in case.right) if case.right else case.with_patch is None, case
    assert sum(case.with_patch is not None for case in placed) > PODS / 10
    assert sum(case.with_patch is None for case in placed) > PODS / 50


def test_what_a_policy_enforces_against_a_pod_keeps_it_pending(cases: list[Case]) -> None:
    """On no node, wherever it could run before."""
    pending = [case for case in cases if case.pending]
    assert {case.decision.reason for case in pending} == CONTRADICTIONS
    assert sum(case.without is not None for case in pending) > 5
    for case in pending:
        assert case.with_patch is None, case


def test_without_a_placement_the_spec_is_unchanged(cases: list[Case]) -> None:
    """No common architecture, what is not enforced, audits, and pods that are left alone: the spec is the same."""
    kept = [case for case in cases if not case.places and not case.pending]
    assert {case.decision.reason for case in kept} >= {Reason.NO_COMMON_ARCHITECTURE, Reason.SKIPPED, *CONTRADICTIONS}
    assert any(case.decision.audit for case in kept)
    for case in kept:
        assert _user_part(case.spec_with) == _user_part(case.spec_without), case


def test_a_contradiction_means_that_no_node_could_be_right(cases: list[Case]) -> None:
    """ConflictingConstraint is never said of a pod that some node of the cluster could run rightly."""
    for case in cases:
        if case.decision.reason is Reason.CONFLICTING_CONSTRAINT:
            assert not case.right, case


def test_the_api_server_takes_what_is_released(client: httpx.Client) -> None:
    """Pods that our gate holds, some of which an earlier call wrote to: constraints may only be tightened there."""
    random, capacity = Random(SEED), Capacity.of_nodes(NODES.values())
    released = [_released(client, random, f"p{index}", capacity) for index in range(RELEASED)]
    assert {reason for reason, _, _ in released} >= {
        Reason.CONSTRAINED,
        Reason.SKIPPED,
        Reason.EMULATED,
        *CONTRADICTIONS,
    }
    for _, expected, stored in released:
        for kind in ("affinity", "nodeSelector", "schedulingGates"):
            assert stored["spec"].get(kind) == expected["spec"].get(kind)


def _released(
    client: httpx.Client, random: Random, name: str, capacity: Capacity
) -> tuple[Reason, dict[str, Any], dict[str, Any]]:
    """A random pod that is held, under a random policy: its Reason, how it should be once released, and how it is."""
    made, images = pod(random, name)
    first = {each: Failure(Reason.TIMED_OUT, "not yet") for each in images} if random.random() < 0.5 else images
    made = patched(made, apply(decide(Input(made, first, capacity, policy=_lenient(random))), made))
    made["spec"]["schedulingGates"] = [{"name": GATE}, {"name": "example.com/other"}]
    stored = client.post("/api/v1/namespaces/released/pods", json=made)
    assert stored.status_code == 201, stored.text
    held = stored.json()
    decision = decide(Input(held, images, capacity, policy=policy(random), gating=True, gated=True))
    change = release(decision, held)
    headers = {"Content-Type": "application/json-patch+json"}
    answer = client.patch(f"/api/v1/namespaces/released/pods/{name}", json=change, headers=headers)
    assert answer.is_success, (answer.text, made, change)
    return decision.reason, patched(held, change), answer.json()


def _lenient(random: Random) -> Effective:
    """A policy that refuses nobody, as it must be of pods that are stored."""
    found = policy(random)
    warn = {"on_conflict": "Warn", "on_not_allowed": "Warn", "on_no_common_architecture": "Warn"}
    unresolved = found.choices.on_unresolved.model_copy(update={"action": "Fallback"})
    update = {**warn, "on_unreadable": "Allow", "on_unresolved": unresolved}
    return replace(found, choices=found.choices.model_copy(update=update))


def _make_nodes(plane: ControlPlane, client: httpx.Client) -> None:
    plane.apply(
        *(
            fake_node(name, labels["kubernetes.io/arch"], labels["kubernetes.io/os"], labels=labels, pods="5000")
            for name, labels in NODES.items()
        )
    )
    _wait(lambda: all(not n["spec"].get("taints") and _ready(n) for n in _list(client, "/api/v1/nodes")), "Nodes")
    for namespace in ("probes", "without", "with", "released"):
        plane.kubectl("create", "namespace", namespace)
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        _wait(lambda path=account: client.get(path).status_code == 200, account)  # type: ignore[misc] # binds the loop's value
    _schedule(client, "probes", [_only_on(name) for name in NODES])
    _wait(lambda: all(map(_node, _list(client, "/api/v1/namespaces/probes/pods"))), "the scheduler to know all Nodes")


def _only_on(node: str) -> dict[str, Any]:
    """A pod that can be on one node alone; named like it."""
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    required = {"nodeSelectorTerms": [{"matchFields": fields}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    spec = {"containers": [{"name": "c", "image": "probe"}], "affinity": affinity}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": node}, "spec": spec}


def _schedule(client: httpx.Client, namespace: str, pods: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Create pods, wait until the scheduler has spoken on each, and return them by name."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(lambda each: client.post(path, json=each), pods):
            assert answer.status_code == 201, answer.text
    _wait(lambda: all(_decided(each) for each in _list(client, path)), f"the pods of {namespace}")
    return {each["metadata"]["name"]: each for each in _list(client, path)}


def _list(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(path).raise_for_status().json()["items"]
    return items


def _wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline, f"not in {SECONDS} s: {what}"
        time.sleep(0.3)


def _ready(node: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", ()))


def _decided(each: dict[str, Any]) -> bool:
    reasons = (c.get("reason") for c in each["status"].get("conditions", ()) if c["type"] == "PodScheduled")
    return bool(_node(each)) or "Unschedulable" in reasons


def _node(each: dict[str, Any]) -> str | None:
    name: str | None = each["spec"].get("nodeName")
    return name


def _user_part(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec without what the API server and the scheduler filled in, differently for each pod."""
    return {key: value for key, value in spec.items() if key not in {"nodeName", "volumes"}} | {
        kind: [{k: v for k, v in container.items() if k != "volumeMounts"} for container in spec.get(kind, ())]
        for kind in ("containers", "initContainers")
    }
