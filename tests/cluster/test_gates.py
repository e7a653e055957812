"""Gated pods on the real control plane: each is released, whatever fails, and none is changed in any other way."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rightarch.controller.gates import RECHECK
from tests.cluster.test_registry_faults import Refusing
from tests.controlplane import wait_for
from tests.images import RegistryServer, attested, single
from tests.support.asking import review
from tests.support.controller import ControllerServer
from tests.support.sidecar import SidecarInjector
from tests.support.ticks import Ticks
from tests.support.webhook import COMMAND, WebhookServer, configuration
from tests.support.world import World, world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.images.registry import Request

Object = dict[str, Any]

GATE = "rightarch.dev/platforms"
GATED = "rightarch.dev/gated"
DECISION = "rightarch.dev/decision"
SHARE = "rightarch.dev/share"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ADMITTED = 'rightarch_admissions_total{reason="Unresolved"}'
ASKED = "default"
NAMESPACE = "kube-system"
"""Which no webhook is asked about: the pods there are gated by hand."""
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
ARM = single("linux/arm64", "gates")
MERGE = {"Content-Type": "application/merge-patch+json"}
PROBED_SECONDS = 15
"""After which it shows how often a registry is probed: two pauses that grow would be longer than 5 s by then."""
EDIT_SECONDS = 0.02
"""Between two edits of a pod: others are in time for one in between, also where they are slower."""


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    """A cluster of its own, for its API server is restarted."""
    with world(gating=True) as running:
        yield running


@pytest.fixture(scope="module")
def replica(made: World) -> Iterator[ControllerServer]:
    """A controller that lists every second."""
    with ControllerServer(made.plane.kubeconfig, options=["--list-interval=1"]) as running:
        yield running


@pytest.fixture
def controller(replica: ControllerServer) -> ControllerServer:
    """A controller that leads; one that lost its Lease, on a machine that stalls, is restarted as by a kubelet."""
    wait_for(lambda: tended(replica) and leads(replica))
    return replica


@pytest.fixture(autouse=True)
def tidied(made: World) -> Iterator[None]:
    """Leave no pod to the next test, however this one ends."""
    yield
    for namespace in (NAMESPACE, ASKED):
        path = f"/api/v1/namespaces/{namespace}/pods"
        made.client.delete(path, params={"gracePeriodSeconds": 0}).raise_for_status()
        wait_for(partial(is_empty, made, path))


def is_empty(made: World, collection: str) -> bool:
    """Whether nothing is left of a collection."""
    return not made.client.get(collection).raise_for_status().json()["items"]


def leads(controller: ControllerServer) -> bool:
    """Whether a controller, which may be about to start, holds the Lease."""
    with contextlib.suppress(httpx.TransportError):
        return controller.leads
    return False


@pytest.fixture
def late() -> Iterator[RegistryServer]:
    """A registry that has an image, late/app:1, and is away until it is started."""
    with RegistryServer() as registry:
        registry.push("late/app", "1", ARM)
        registry.process.kill()
        yield registry


def start(registry: RegistryServer) -> None:
    """Let a registry answer again."""
    registry.process.start()
    registry.process.wait_ready()


def gated(name: str, *images: str, labels: Mapping[str, str] | None = None, **spec: object) -> Object:
    """A pod with our gate."""
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(images)]
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {GATED: "true"} if labels is None else dict(labels)}
    spec = {"containers": containers, "schedulingGates": [{"name": GATE}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def get(made: World, name: str) -> Object:
    """A pod as it is now."""
    found: Object = made.client.get(f"{PODS}/{name}").raise_for_status().json()
    return found


def gates(pod: Object) -> list[str]:
    """The names of the gates of a pod."""
    return [gate["name"] for gate in pod["spec"].get("schedulingGates", [])]


def terms(pod: Object) -> list[Any]:
    """The required terms of a pod."""
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    return list(affinity.get(REQUIRED, {}).get("nodeSelectorTerms", []))


def arch(*values: str) -> Object:
    """The expression that is written."""
    return {"key": "kubernetes.io/arch", "operator": "In", "values": list(values)}


def released(made: World, name: str) -> Object:
    """A pod once our gate and label are off; and they go together."""

    def look() -> Object | None:
        pod = get(made, name)
        held = GATE in gates(pod)
        assert held == (GATED in pod["metadata"].get("labels", {}))
        return None if held else pod

    found = wait_for(look)
    assert found
    return found


def gained(controller: ControllerServer, name: str, before: float, count: int = 1) -> bool:
    """Whether a counter has risen by so much: a release is counted a moment after it is seen."""
    return controller.metrics()[name] - before == count


def lands(made: World, name: str, node: str) -> None:
    """Wait until a pod runs, on this node."""
    wait_for(lambda: get(made, name)["status"]["phase"] == "Running")
    assert get(made, name)["spec"]["nodeName"] == node


@contextlib.contextmanager
def hanging() -> Iterator[str]:
    """A registry that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def constraints_refused(made: World) -> Iterator[None]:
    """Somebody's policy in the cluster: nobody changes the affinity of a pod."""
    name, group = "no-affinity", "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["UPDATE"]}
    same = "has(object.spec.affinity) == has(oldObject.spec.affinity)"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": same, "message": "nobody changes affinity here"}],
    }
    policy = {"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec}
    binding = {"kind": "ValidatingAdmissionPolicyBinding", "spec": {"policyName": name, "validationActions": ["Deny"]}}
    made.plane.apply(policy, {**policy, **binding})
    try:
        made.create(gated("tried", "probe", labels={}, schedulingGates=[{"name": "example.com/never"}]))
        wait_for(lambda: _is_refused(made, "tried"))
        yield
    finally:
        made.plane.kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)


def _is_refused(made: World, name: str) -> bool:
    """Whether the affinity of a pod can't be changed: the API server takes a moment to know a policy."""
    required = {"nodeSelectorTerms": [{"matchExpressions": [arch("arm64")]}]}
    change = {"spec": {"affinity": {"nodeAffinity": {REQUIRED: required}}}}
    answer = made.client.patch(f"{PODS}/{name}", json=change, headers=MERGE, params={"dryRun": "All"})
    return "nobody changes affinity" in answer.text


def test_a_pod_is_released_when_its_registry_is_back(
    made: World, controller: ControllerServer, late: RegistryServer
) -> None:
    """Held while the registry is away, then constrained and released in one update; and it runs where it can."""
    resolved = 'rightarch_gate_releases_total{outcome="Resolved"}'
    before = controller.metrics()[resolved]
    made.create(gated("back", f"{late.host}/late/app:1"))
    wait_for(lambda: controller.metrics()["rightarch_gated_pods"] == 1)
    time.sleep(2)
    assert gates(get(made, "back")) == [GATE]
    start(late)
    pod = released(made, "back")
    assert terms(pod) == [{"matchExpressions": [arch("arm64")]}]
    assert pod["metadata"]["labels"][DECISION] == "Constrained"
    lands(made, "back", "node-arm64")
    wait_for(lambda: gained(controller, resolved, before))
    after = controller.metrics()
    assert after["rightarch_gated_pods"] == after["rightarch_awaited_images"] == 0


@pytest.mark.usefixtures("controller")
def test_what_the_author_wrote_stays(made: World, late: RegistryServer) -> None:
    """Terms, fields and other gates: ours is appended to each term that is not empty, and only our gate goes."""
    own = [
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]},
        {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["nowhere"]}]},
    ]
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": own}}}
    others = [{"name": "example.com/quota"}, {"name": GATE}, {"name": "example.com/volume"}]
    made.create(gated("own", f"{late.host}/late/app:1", affinity=affinity, schedulingGates=others))
    start(late)
    pod = released(made, "own")
    assert gates(pod) == ["example.com/quota", "example.com/volume"]
    assert terms(pod) == [
        {"matchExpressions": [*own[0]["matchExpressions"], arch("arm64")]},
        {"matchExpressions": [arch("arm64")], "matchFields": own[1]["matchFields"]},
    ]


def delete(made: World, *names: str) -> None:
    """Delete pods at once."""
    for name in names:
        made.client.delete(f"{PODS}/{name}", params={"gracePeriodSeconds": 0}).raise_for_status()


@pytest.mark.usefixtures("controller")
def test_an_image_that_is_not_there_holds_nobody(made: World) -> None:
    """Waiting does not mend that: the pod goes on as it is, at once, and the kubelet tells what is wrong."""
    made.registry.forget()
    made.create(gated("absent", f"{made.registry.host}/never/pushed:1"))
    pod = released(made, "absent")
    assert pod["metadata"]["labels"][DECISION] == "ImageNotFound"
    assert terms(pod) == []
    asked = [request for request in made.registry.requests() if "/never/pushed/" in request.path]
    assert len(asked) == 1, "it was to be asked for once, and believed"


def test_a_pod_that_is_deleted_is_forgotten(made: World, controller: ControllerServer, late: RegistryServer) -> None:
    """And nobody asks for its image any more."""
    made.create(gated("deleted", f"{late.host}/late/app:1"))
    wait_for(lambda: controller.metrics()["rightarch_awaited_images"] == 1)
    delete(made, "deleted")
    wait_for(lambda: controller.metrics()["rightarch_gated_pods"] == 0)
    assert controller.metrics()["rightarch_awaited_images"] == 0
    wait_for(lambda: controller.metrics()["rightarch_lookups_in_flight"] == 0)  # one may have begun before
    start(late)
    time.sleep(5)
    assert [request for request in late.requests() if "/late/app/" in request.path] == []


@pytest.mark.usefixtures("controller")
def test_a_pod_that_others_edit_all_the_time(made: World, late: RegistryServer) -> None:
    """Each edit stays, and it is released nevertheless."""
    made.create(gated("edited", f"{late.host}/late/app:1"))
    ended, count = threading.Event(), 0
    with ThreadPoolExecutor(1) as pool:

        def edit() -> int:
            number = 0
            with made.plane.client() as client:
                while not ended.wait(EDIT_SECONDS):
                    change = {"metadata": {"annotations": {"edit": str(number + 1)}}}
                    answer = client.patch(f"{PODS}/edited", json=change, headers=MERGE)
                    if answer.status_code != httpx.codes.CONFLICT:  # somebody else was faster, again and again
                        answer.raise_for_status()
                        number += 1
            return number

        edits = pool.submit(edit)
        try:
            start(late)
            released(made, "edited")
        finally:
            ended.set()
            count = edits.result()
    pod = get(made, "edited")
    assert pod["metadata"]["annotations"]["edit"] == str(count)
    assert terms(pod) == [{"matchExpressions": [arch("arm64")]}]


def test_another_image_counts_while_the_pod_waits(
    made: World, controller: ControllerServer, late: RegistryServer
) -> None:
    """An image may be replaced while the pod is held: the pod goes by the one that it has."""
    made.create(gated("replaced", f"{late.host}/late/app:1"))
    wait_for(lambda: controller.metrics()["rightarch_awaited_images"] == 1)
    change = {"spec": {"containers": [{"name": "c0", "image": made.image("amd64-only")}]}}
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    made.client.patch(f"{PODS}/replaced", json=change, headers=headers).raise_for_status()
    assert terms(released(made, "replaced")) == [{"matchExpressions": [arch("amd64")]}]


@pytest.mark.usefixtures("controller")
def test_label_and_gate_find_together(made: World, late: RegistryServer) -> None:
    """A list finds the gate that lacks its label; a label without the gate is taken off."""
    made.create(gated("unlabelled", f"{late.host}/late/app:1", labels={"app": "own"}))
    wait_for(lambda: get(made, "unlabelled")["metadata"]["labels"] == {"app": "own", GATED: "true"})
    made.create(gated("ungated", made.image("amd64-only"), schedulingGates=[]))
    wait_for(lambda: GATED not in get(made, "ungated")["metadata"].get("labels", {}))
    assert DECISION not in get(made, "ungated")["metadata"].get("labels", {})
    start(late)
    assert released(made, "unlabelled")["metadata"]["labels"] == {"app": "own", DECISION: "Constrained"}


def test_registries_that_fail_are_probed_while_pods_wait(made: World, controller: ControllerServer) -> None:
    """Every five seconds, however many wait; where a registry names a time (Retry-After), not before."""
    assert controller.leads
    with Refusing(500) as failing, Refusing(429, Retry_After="4") as limiting:
        names = [f"probing-{number}" for number in range(8)]
        for number, name in enumerate(names):
            made.create(gated(name, f"{failing.host}/app:{number}", f"{limiting.host}/app:1"))
        wait_for(lambda: sum(pauses(failing.times)) > PROBED_SECONDS and len(limiting.times) >= 3, seconds=90)
        failed, limited = list(failing.times), list(limiting.times)
    assert min(pauses(failed)[-2:]) < 5.5, "a machine may stall in one of them; pauses that grow stay long"
    assert len(failed) < 10 + 0.5 * sum(pauses(failed)), "it is probed, not hammered"
    assert min(pauses(limited)) >= 3.9


def pauses(times: list[float]) -> list[float]:
    """The seconds between moments."""
    return [after - before for before, after in pairwise(times)]


def test_a_registry_that_hangs_holds_up_no_other_pod(made: World, controller: ControllerServer) -> None:
    """More images than are looked up at a time, of one that never answers; and then one that is there.

    On a machine that stalls in the middle that may take two tries.
    """
    assert controller.leads
    tries = (seconds_beside_hanging(made, attempt) for attempt in ("a", "b", "c"))
    assert any(seconds < 4 for seconds in tries)


def seconds_beside_hanging(made: World, attempt: str) -> float:
    """How long a pod is held for an image that is there while others wait for a registry that hangs."""
    image = made.push(f"gates/beside-{attempt}:1", ARM)
    with hanging() as host, Ticks() as ticks:
        for number in range(150):
            made.create(gated(f"hanging-{attempt}-{number}", f"{host}/app:{number}"))
        begun = ticks.seconds
        made.create(gated(f"beside-{attempt}", image))
        released(made, f"beside-{attempt}")
        return ticks.seconds - begun


@pytest.mark.usefixtures("controller")
def test_a_pod_that_must_not_be_changed_is_released_as_it_is(made: World) -> None:
    """Where somebody's policy refuses what was decided, the pod is held by nobody."""
    with constraints_refused(made):
        made.create(gated("refused", made.push("gates/refused:1", ARM)))
        pod = released(made, "refused")
    assert terms(pod) == []


def run(made: World, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``rightarch release`` as the administrator."""
    environment = {"PATH": "/nowhere", "KUBECONFIG": str(made.plane.kubeconfig), "HOME": "/nowhere"}
    command: list[str | Path] = [COMMAND, "release", *words]
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=60)


@pytest.mark.usefixtures("controller")
def test_pods_are_released_by_hand(made: World, late: RegistryServer) -> None:
    """Those that are named, or all; each as it is, and others are left alone."""
    for name in ("hand-a", "hand-b", "hand-c"):
        made.create(gated(name, f"{late.host}/late/app:1", schedulingGates=[{"name": "example.com/x"}, {"name": GATE}]))
    made.create(gated("hand-free", made.image("amd64-only"), labels={}, schedulingGates=[]))
    done = run(made, "hand-a", "hand-free", "-n", NAMESPACE)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[::3] for line in done.stdout.splitlines()] == [
        ["NAMESPACE", "RESULT"],
        [NAMESPACE, "released"],
        [NAMESPACE, "not"],
    ]
    assert [gates(get(made, name)) for name in ("hand-a", "hand-b")] == [["example.com/x"], ["example.com/x", GATE]]
    assert GATED not in get(made, "hand-a")["metadata"].get("labels", {})
    assert terms(get(made, "hand-a")) == []
    done = run(made, "--all", "-o", "json")
    assert done.returncode == 0
    found = {(each["namespace"], each["name"], each["result"]) for each in json.loads(done.stdout)["pods"]}
    assert found == {(NAMESPACE, "hand-b", "released"), (NAMESPACE, "hand-c", "released")}
    done = run(made, "--all")
    assert (done.returncode, done.stdout) == (0, "No pod is held.\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["absent", "-n", "default"], 1, "default/absent: there is no such pod"),
        ([], 2, "name pods, or give --all; not both"),
        (["--all", "web"], 2, "name pods, or give --all; not both"),
        (["web", "--unregister", "rightarch"], 2, "--unregister goes with --all, for all namespaces"),
        (["web", "--context", "elsewhere"], 2, "elsewhere"),
    ],
)
def test_what_can_not_be_released_is_said(made: World, words: list[str], status: int, said: str) -> None:
    """By a line, and by the exit status."""
    done = run(made, *words)
    assert done.returncode == status
    assert said in done.stderr


def patches(made: World) -> int:
    """How many requests to change a pod the API server has answered so far, but for those of the status."""
    lines = made.client.get("/metrics").raise_for_status().text.splitlines()
    wanted = ("apiserver_request_total{", 'resource="pods"', 'subresource=""', 'verb="PATCH"')
    return sum(int(line.rpartition(" ")[2]) for line in lines if all(part in line for part in wanted))


def test_five_hundred_pods_of_one_image(made: World, controller: ControllerServer, late: RegistryServer) -> None:
    """All are released within ten seconds of the first answer of their registry: by one look-up, one request each.

    Another gate keeps them from being scheduled, which is not what is measured. A machine that others keep so busy that
    it takes longer to create them may take twice as long as that.
    """
    image, count, other = f"{late.host}/late/app:1", 500, "example.com/other"
    both, labels = [{"name": GATE}, {"name": other}], {"app": "many", GATED: "true"}
    before = controller.metrics()
    with Ticks() as ticks:
        with ThreadPoolExecutor(8) as pool:
            made_pods = [gated(f"many-{number}", image, labels=labels, schedulingGates=both) for number in range(count)]
            list(pool.map(made.create, made_pods))
        wait_for(lambda: controller.metrics()["rightarch_gated_pods"] == count)
        allowed = max(10.0, 2 * ticks.seconds)
        patched = patches(made)
        start(late)
        wait_for(lambda: lookups(late))
        begun = ticks.seconds
        wait_for(lambda: controller.metrics()["rightarch_gated_pods"] == 0, pause=0.5)
        assert ticks.seconds - begun < allowed
    listed = made.client.get(PODS, params={"labelSelector": "app=many"}).raise_for_status().json()["items"]
    assert [(gates(pod), terms(pod)) for pod in listed] == [([other], [{"matchExpressions": [arch("arm64")]}])] * count
    assert [request.method for request in lookups(late)] == ["GET"]
    wait_for(lambda: patches(made) - patched >= count)  # the API server counts a request after its answer
    assert patches(made) - patched == count
    seconds = "rightarch_gate_duration_seconds_count"
    assert controller.metrics()[seconds] - before[seconds] == count


def lookups(registry: RegistryServer) -> list[Request]:
    """What a registry was asked about the image late/app:1 since it is there."""
    return [request for request in registry.requests() if request.path == "/v2/late/app/manifests/1"]


def policy(made: World, name: str, **choices: object) -> None:
    """A policy for the pods with a label app of that name."""
    spec = {"podSelector": {"matchLabels": {"app": name}}, **choices}
    kind = {"apiVersion": "rightarch.dev/v1alpha1", "kind": "ClusterArchitecturePolicy"}
    made.plane.apply({**kind, "metadata": {"name": name}, "spec": spec})


def events(made: World, name: str) -> list[Object]:
    """The Events about a pod that are ours."""
    items = made.client.get(f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events").raise_for_status().json()["items"]
    ours = (item for item in items if item["reportingController"].startswith("rightarch.dev"))
    return [item for item in ours if item["regarding"]["name"] == name]


@pytest.mark.parametrize(
    ("after", "expected"),
    [("Allow", []), ("Fallback", [{"matchExpressions": [arch("amd64")]}])],
)
def test_a_pod_whose_time_is_up_goes_on_as_its_policy_says(
    made: World, controller: ControllerServer, late: RegistryServer, after: str, expected: list[Object]
) -> None:
    """Not before, and with an Event that names the registry."""
    name, key = f"patient-{after.lower()}", 'rightarch_gate_releases_total{outcome="TimedOut"}'
    before = controller.metrics()[key]
    waiting = {"gateTimeoutSeconds": 4, "afterGate": after, "fallback": ["amd64"]}
    policy(made, name, onUnresolved=waiting)
    begun = time.monotonic()
    with Ticks() as ticks:
        made.create(gated(name, f"{late.host}/late/app:1", labels={"app": name, GATED: "true"}))
        pod = released(made, name)
        assert ticks.seconds < 4 + 0.4 * RECHECK
    assert time.monotonic() - begun > 2.9  # times of creation are whole seconds
    assert terms(pod) == expected
    assert pod["metadata"]["labels"][DECISION] == "Unresolved"
    wait_for(lambda: gained(controller, key, before))
    (event,) = wait_for(lambda: events(made, name))
    assert (event["reason"], event["type"]) == ("GateTimedOut", "Warning")
    assert late.host in event["note"]


def test_a_policy_that_changes_holds_for_pods_that_wait(
    made: World, controller: ControllerServer, late: RegistryServer
) -> None:
    """At once: what the admin states of an image releases the pods that wait for it."""
    policy(made, "stated", onUnresolved={"gateTimeoutSeconds": 600})
    made.create(gated("stated", f"{late.host}/late/app:1", labels={"app": "stated", GATED: "true"}))
    wait_for(lambda: controller.metrics()["rightarch_awaited_images"] == 1)
    override = {"pattern": f"{late.host}/late/*", "platforms": ["linux/arm64"], "reason": "I know it"}
    with Ticks() as ticks:
        policy(made, "stated", imageOverrides=[override])
        assert terms(released(made, "stated")) == [{"matchExpressions": [arch("arm64")]}]
        assert ticks.seconds < 0.6 * RECHECK


def admitted(made: World, name: str, *images: str, **spec: object) -> Object:
    """A pod as the webhook let it be created."""
    pod = gated(name, *images, labels={"app": name}, **({"schedulingGates": []} | spec))
    pod["metadata"]["namespace"] = ASKED
    return made.create(pod)


def shown(made: World, name: str, *images: str, **spec: object) -> Object:
    """Such a pod as the webhook would let it be created."""
    pod = gated(name, *images, labels={"app": name}, **({"schedulingGates": []} | spec))
    pod["metadata"]["namespace"] = ASKED
    path = f"/api/v1/namespaces/{ASKED}/pods"
    found: Object = made.client.post(path, params={"dryRun": "All"}, json=pod).raise_for_status().json()
    return found


def stored(made: World, name: str) -> Object:
    """A pod of the namespace that the webhook is asked about."""
    found: Object = made.client.get(f"/api/v1/namespaces/{ASKED}/pods/{name}").raise_for_status().json()
    return found


def test_a_pod_is_held_from_its_creation_on(made: World, controller: ControllerServer, late: RegistryServer) -> None:
    """By the webhook, which adds gate and label; other gates stay before it; a dry run shows the same."""
    assert controller.leads
    image, other = f"{late.host}/late/app:1", [{"name": "example.com/other"}]
    wait_for(lambda: made.webhook.metrics()["rightarch_controller_alive"] == 1)
    created = admitted(made, "held", image)
    assert (gates(created), created["metadata"]["labels"][GATED]) == ([GATE], "true")
    assert created["metadata"]["labels"][DECISION] == "Unresolved"
    assert terms(created) == []
    both = admitted(made, "held-twice", image, schedulingGates=other)
    assert gates(both) == ["example.com/other", GATE]
    dry = shown(made, "held-dry", image)
    assert (gates(dry), dry["metadata"]["labels"][GATED]) == ([GATE], "true")
    start(late)
    wait_for(lambda: gates(stored(made, "held")) == [])
    wait_for(lambda: gates(stored(made, "held-twice")) == ["example.com/other"])
    for name in ("held", "held-twice"):
        assert terms(stored(made, name)) == [{"matchExpressions": [arch("arm64")]}]
    wait_for(lambda: stored(made, "held")["status"]["phase"] == "Running")
    assert stored(made, "held")["spec"]["nodeName"] == "node-arm64"


@pytest.mark.usefixtures("controller")
def test_a_gate_in_the_manifest_is_the_webhooks_to_end(made: World, late: RegistryServer) -> None:
    """Where all is known it goes at once; where not, it stays and gets its label."""
    ours, image = [{"name": GATE}], made.image("arm64-only")
    wait_for(lambda: terms(shown(made, "by-author", image)))  # which is looked up for the first one, if it is new
    wait_for(lambda: made.webhook.metrics()["rightarch_controller_alive"] == 1)
    known = admitted(made, "by-author-known", image, schedulingGates=ours)
    assert (gates(known), GATED in known["metadata"]["labels"]) == ([], False)
    assert terms(known) == [{"matchExpressions": [arch("arm64")]}]
    unknown = admitted(made, "by-author-unknown", f"{late.host}/late/app:1", schedulingGates=ours)
    assert (gates(unknown), unknown["metadata"]["labels"][GATED]) == ([GATE], "true")


@pytest.mark.usefixtures("controller")
def test_the_second_invocation_ends_what_the_first_began(made: World, late: RegistryServer, tmp_path: Path) -> None:
    """The registry needs longer than the first may wait; when a sidecar is there, it has answered.

    Within the second's budget, or else the registry is given another chance, with another image.
    """
    start(late)
    with SidecarInjector(made.image("multi-arch"), tmp_path) as injector:
        made.plane.apply(configuration(injector.url, injector.ca, name="sidecar-injector"))
        try:
            wait_for(lambda: len(shown(made, "tried", made.image("arm64-only"))["spec"]["containers"]) == 2)
            tries = (answered_between(made, late, str(number)) for number in range(5))
            created = next((each for each in tries if gates(each) == []), None)
        finally:
            late.process.resume()
            made.plane.kubectl("delete", "mutatingwebhookconfiguration", "sidecar-injector")
    assert created, "the second invocation was to find it"
    assert len(created["spec"]["containers"]) == 2
    assert GATED not in created["metadata"]["labels"]
    assert created["metadata"]["labels"][DECISION] == "Constrained"
    assert terms(created) == [{"matchExpressions": [arch("arm64")]}]


def answered_between(made: World, late: RegistryServer, tag: str) -> Object:
    """A pod of a new image, whose registry answers once the first invocation has left it unresolved."""
    late.push("late/app", tag, ARM)
    asked, ended = made.webhook.metrics()[ADMITTED], threading.Event()

    def answer() -> None:
        wait_for(lambda: ended.is_set() or made.webhook.metrics()[ADMITTED] > asked, pause=0.01)
        late.process.resume()

    late.process.pause()
    waking = threading.Thread(target=answer)
    waking.start()
    try:
        created = admitted(made, f"twice-{tag}", f"{late.host}/late/app:{tag}")
    finally:
        ended.set()
        waking.join()
    assert made.webhook.metrics()[ADMITTED] > asked, "the first invocation left it unresolved"
    return created


def test_nobody_is_held_while_no_controller_renews_its_lease(made: World, late: RegistryServer) -> None:
    """A Lease that is six seconds from being too old; then none. The pod goes on as after its gate, at once."""
    path, renewed = f"/apis/coordination.k8s.io/v1/namespaces/{ASKED}/leases", datetime.now(UTC) - timedelta(seconds=24)
    spec = {"holderIdentity": "gone", "leaseDurationSeconds": 15, "renewTime": f"{renewed:%Y-%m-%dT%H:%M:%S.%fZ}"}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "stale"}, "spec": spec}
    made.client.post(path, json=lease).raise_for_status()
    options = [f"--namespace={ASKED}", "--lease-name=stale"]
    with WebhookServer(made.plane.kubeconfig, options=options) as webhook:
        alive = "rightarch_controller_alive"
        ends = renewed + timedelta(seconds=30)
        wait_for(lambda: webhook.metrics()[alive] == 1 or datetime.now(UTC) > ends)
        wait_for(lambda: webhook.metrics()[alive] == 0)
        assert datetime.now(UTC) >= ends
        patch = asked(webhook, f"{late.host}/late/app:1")
        assert "schedulingGates" not in patch
        assert "Unresolved" in patch
        lease["spec"] = spec | {"holderIdentity": "new"}
        headers = {"Content-Type": "application/merge-patch+json"}
        made.client.patch(f"{path}/stale", json=lease, headers=headers).raise_for_status()
        wait_for(lambda: webhook.metrics()[alive] == 1)
        assert "schedulingGates" in asked(webhook, f"{late.host}/late/app:1")
        made.client.delete(f"{path}/stale").raise_for_status()
        wait_for(lambda: webhook.metrics()[alive] == 0)


def asked(webhook: WebhookServer, image: str) -> str:
    """The patch that a webhook answers for a pod with an image."""
    context = ssl.create_default_context(cafile=webhook.ca)
    answer = httpx.post(webhook.url, json=review([image]), verify=context, trust_env=False, timeout=30)
    return base64.b64decode(answer.raise_for_status().json()["response"]["patch"]).decode()


@pytest.mark.usefixtures("controller")
def test_what_policies_add_is_added_at_the_release(made: World, late: RegistryServer) -> None:
    """Preference, toleration and share, beside what the author wrote: the API server takes that of a gated pod."""
    start(late)
    late.push("late/both", "1", attested("linux/amd64", "linux/arm64", salt="gates"))
    late.process.kill()
    taint = {"key": "kubernetes.io/arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"}
    shares = {"share": [{"architecture": "arm64", "percent": 100}]}
    facts = {"tolerations": [{"architecture": "arm64", "toleration": taint}]}
    policy(made, "generous", architectures=shares, **facts)
    own = {"weight": 50, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [own]}
    mine = {"key": "mine", "operator": "Exists"}
    image, written = f"{late.host}/late/both:1", {"affinity": {"nodeAffinity": preferred}, "tolerations": [mine]}
    wait_for(lambda: SHARE in shown(made, "generous", image, **written)["metadata"]["labels"])
    created = admitted(made, "generous", image, **written)
    assert (gates(created), terms(created)) == ([GATE], [])
    assert created["metadata"]["labels"][SHARE] == "arm64"
    start(late)
    wait_for(lambda: gates(stored(made, "generous")) == [])
    pod = stored(made, "generous")
    assert terms(pod) == [{"matchExpressions": [arch("amd64", "arm64")]}]
    [first, second] = pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert (first, second["preference"]) == (own, {"matchExpressions": [arch("arm64")]})
    assert second["weight"] < 50
    assert [each for each in pod["spec"]["tolerations"] if each in (mine, taint)] == [mine, taint]
    labels = pod["metadata"]["labels"]
    assert (labels[SHARE], labels[DECISION], labels["app"]) == ("arm64", "Constrained", "generous")
    assert labels["rightarch.dev/applied-policy"].startswith("cap.")


def test_gated_pods_outlive_everything(made: World, controller: ControllerServer, late: RegistryServer) -> None:
    """The API server, then all replicas of the controller. The next leader releases what is overdue, then looks up."""
    images = [late_image(late, tag) for tag in ("one", "two")]
    made.create(gated("outlives-one", images[0]))
    made.plane.restart("kube-apiserver")
    start(late)
    wait_for(lambda: tended(controller) and is_released(made, "outlives-one"), seconds=90)
    late.process.kill()
    policy(made, "overdue", onUnresolved={"gateTimeoutSeconds": 3})
    policy(made, "patient", onUnresolved={"gateTimeoutSeconds": 600})
    options, level = ["--list-interval=1"], "debug"
    with ControllerServer(made.plane.kubeconfig, name="other", options=options, log_level=level) as other:
        assert not other.leads
        for replica in (controller, other):
            replica.process.kill()
        made.create(gated("outlives-two", images[1], labels={"app": "patient", GATED: "true"}))
        made.create(gated("overdue", images[1], labels={"app": "overdue", GATED: "true"}))
        time.sleep(4)
        other.process.start()
        released(made, "overdue")
        assert gates(get(made, "outlives-two")) == [GATE]
        wait_for(lambda: "looked up" in other.log())
        before, _, _ = other.log().partition("looked up")
        assert "Pod kube-system/overdue" in before
        start(late)
        released(made, "outlives-two")


def is_released(made: World, name: str) -> bool:
    """Whether a pod is not held any more; an API server that was just restarted may refuse to tell."""
    answer = made.client.get(f"{PODS}/{name}")
    return answer.is_success and gates(answer.json()) == []


def tended(controller: ControllerServer) -> bool:
    """Start a controller again that has ended, as a kubelet does: it may have been without its Lease for too long."""
    if not controller.process.running:
        controller.process.start()
    return True


def late_image(registry: RegistryServer, tag: str) -> str:
    """Another image of a registry, which is away afterwards."""
    start(registry)
    registry.push("late/app", tag, ARM)
    registry.process.kill()
    return f"{registry.host}/late/app:{tag}"
