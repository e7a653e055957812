"""The webhook on the real thing: pods created on a real API server, images in a real registry, a real scheduler."""

from __future__ import annotations

import base64
import json
import math
import os
import signal
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.controlplane import ApiError, fake_node, wait_for
from tests.images import RegistryServer, push_samples
from tests.support.balancer import Balancer
from tests.support.json_patch import patched
from tests.support.sidecar import SidecarInjector
from tests.support.ticks import Ticks
from tests.support.webhook import PATH, WebhookServer, configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.controlplane import ControlPlane

KEY = "rightarch.dev/decision"
PODS = "/api/v1/namespaces/default/pods"
BUDGET = 1.0
TRIES = 4
STOP_SECONDS = 60
"""After which a replica that was told to end is taken to hang."""
FAILURES = "apiserver_admission_webhook_fail_open_count"
API_SERVER = "192.0.2.7"
SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": [API_SERVER]}],
    "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
}
"""What API servers write that are reached by another address than loopback's."""


@dataclass(frozen=True)
class World:
    """What a test of this module has: an API server that asks a webhook that asks a registry."""

    plane: ControlPlane
    api: httpx.Client
    webhook: WebhookServer
    images: dict[str, str]

    def create(self, pod: dict[str, Any], **parameters: str) -> httpx.Response:
        """Create a pod."""
        return self.api.post(PODS, json=pod, params=parameters).raise_for_status()

    def image(self, name: str) -> str:
        """The full name of a sample."""
        return self.images[f"samples/{name}:1.0"]


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane) -> Iterator[World]:
    """Nodes of three architectures, samples in a registry, and the webhook registered while this module runs."""
    for architecture in ("amd64", "arm64", "riscv64"):
        control_plane.apply(fake_node(f"webhook-{architecture}", architecture))
    control_plane.apply(SLICE)
    with (
        RegistryServer() as registry,
        WebhookServer(control_plane.kubeconfig, log_level="debug") as webhook,
        control_plane.client() as api,
    ):
        images = push_samples(registry)
        control_plane.apply(webhook.configuration())
        try:
            world = World(control_plane, api, webhook, images)
            for image in images.values():
                wait_for(partial(is_known, world, image))
            yield world
        finally:
            control_plane.kubectl("delete", "mutatingwebhookconfiguration", "rightarch")
            control_plane.kubectl("delete", "endpointslice", "kubernetes")


def is_known(world: World, image: str) -> bool:
    """Whether the webhook is asked, and knows an image: its registry, or the webhook itself, may be slow for once."""
    return labels(world.create(pod(image), dryRun="All").json()).get(KEY) == "Constrained"


@pytest.fixture
def hanging() -> Iterator[str]:
    """A registry that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def pod(*images: str, name: str | None = None, **spec: object) -> dict[str, Any]:
    """A pod of containers with these images, its name generated if none is given."""
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(images)]
    metadata = {"name": name} if name else {"generateName": "webhook-"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


def labels(item: dict[str, Any]) -> dict[str, str]:
    """The labels of an object."""
    found: dict[str, str] = item["metadata"].get("labels", {})
    return found


def terms(item: dict[str, Any]) -> Any:  # noqa: ANN401 - as the API server has them
    """The required node selector terms of a pod; None where it has none."""
    affinity = item["spec"].get("affinity", {}).get("nodeAffinity", {})
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")


def one_of(*architectures: str) -> list[dict[str, Any]]:
    """The terms that admit these architectures alone."""
    return [{"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": list(architectures)}]}]


def decided(world: World, item: dict[str, Any]) -> httpx.Response | None:
    """Create a pod; None where its registry was not heard in time, and it is asked for the next one."""
    response = world.create(item)
    return None if labels(response.json()).get(KEY) == "Unresolved" else response


def warning(response: httpx.Response) -> str:
    """What the API server tells the one who sent the request."""
    return str(response.headers.get("warning", ""))


def placed(world: World, name: str) -> str:
    """The architecture of the node that the scheduler chose, or why it chose none up to now."""
    found = world.api.get(f"{PODS}/{name}").raise_for_status().json()
    if node := found["spec"].get("nodeName"):
        return labels(world.api.get(f"/api/v1/nodes/{node}").raise_for_status().json())["kubernetes.io/arch"]
    return next((str(each["reason"]) for each in found["status"].get("conditions", []) if "reason" in each), "")


@pytest.mark.parametrize(
    ("sample", "architectures", "where"),
    [
        ("amd64-only", ["amd64"], {"amd64"}),
        ("arm64-only", ["arm64"], {"arm64"}),
        ("multi-arch", ["amd64", "arm64"], {"amd64", "arm64"}),
        ("armv7-only", ["arm"], {"Unschedulable"}),
    ],
)
def test_a_pod_lands_only_where_its_image_runs(
    world: World, sample: str, architectures: list[str], where: set[str]
) -> None:
    """Its affinity names the architectures of its image; the scheduler obeys, and what no node has is warned of."""
    response = world.create(pod(world.image(sample)))
    created = response.json()
    assert terms(created) == one_of(*architectures)
    assert labels(created)[KEY] == "Constrained"
    assert ("rightarch: NoCapacity: " in warning(response)) == (where == {"Unschedulable"})
    assert warning(response).count("rightarch: ") <= 1
    name = created["metadata"]["name"]
    wait_for(lambda: placed(world, name) in where)  # it may be too early for the nodes, but not for a wrong one
    assert placed(world, name) in where


def test_images_without_a_common_architecture_leave_the_spec_and_warn(world: World) -> None:
    """Nothing that is written could help; the one who creates the pod is told."""
    response = world.create(pod(world.image("pair-amd64"), world.image("pair-arm64")))
    assert terms(response.json()) is None
    assert labels(response.json())[KEY] == "NoCommonArchitecture"
    assert "rightarch: NoCommonArchitecture" in warning(response)


def test_a_contradiction_is_left_alone_and_told(world: World) -> None:
    """The user's own node selector is not widened."""
    own = {"kubernetes.io/arch": "riscv64"}
    response = world.create(pod(world.image("multi-arch"), nodeSelector=own))
    assert (response.json()["spec"]["nodeSelector"], terms(response.json())) == (own, None)
    assert "rightarch: ConflictingConstraint" in warning(response)


def test_an_image_that_does_not_exist_is_admitted_with_its_reason(world: World) -> None:
    """The kubelet's own error reaches the user; ours comes first, as a warning."""
    absent = pod(world.image("multi-arch").replace(":1.0", ":none"))
    response = wait_for(lambda: decided(world, absent))
    assert response
    assert (labels(response.json())[KEY], terms(response.json())) == ("ImageNotFound", None)
    assert "rightarch: ImageNotFound" in warning(response)


def test_the_api_servers_are_asked_for_no_image(world: World) -> None:
    """Also by the addresses behind the Service kubernetes, of which the kubeconfig says nothing."""
    wait_for(lambda: any("endpointslices" in line and "objects=1" in line for line in world.webhook.log().splitlines()))
    response = wait_for(lambda: decided(world, pod(f"{API_SERVER}:6443/app:1")))
    assert response
    assert labels(response.json())[KEY] == "AddressRefused"
    assert "is the API server" in warning(response)


def test_a_pod_whose_registry_hangs_is_admitted_within_the_budget(world: World, hanging: str) -> None:
    """Unchanged but for why, and its creator is told."""
    with Ticks() as ticks:
        begun = time.monotonic()
        response = world.create(pod(f"{hanging}/app:1"))
        assert time.monotonic() - begun >= BUDGET
        assert ticks.seconds < 2 * BUDGET
    assert (labels(response.json())[KEY], terms(response.json())) == ("Unresolved", None)
    assert "rightarch: Unresolved" in warning(response)


def test_a_known_image_does_not_queue_behind_hanging_ones(world: World, hanging: str) -> None:
    """While eight pods wait for their budget to end, pods of a known image are admitted as if they were alone.

    On a machine that stalls in the middle it may take several tries to see that.
    """
    tries = (seconds_beside_hanging(world, f"{hanging}/try-{number}") for number in range(TRIES))
    assert any(known < hung / 2 for known, hung in tries)


def seconds_beside_hanging(world: World, repository: str) -> tuple[float, float]:
    """The seconds that pods of a known image take at most while eight hang; and those that take at least."""
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(timed, world, pod(f"{repository}/app-{index}:1")) for index in range(8)]
        time.sleep(BUDGET / 4)
        known = [timed(world, pod(world.image("multi-arch"))) for _ in range(3)]
        meanwhile = not any(each.done() for each in waiting)
        hung = [each.result() for each in waiting]
    print(f"known beside hanging: {max(known):.3f} s at most; hanging: {min(hung):.3f} to {max(hung):.3f} s")
    assert min(hung) >= BUDGET
    return max(known) if meanwhile else math.inf, min(hung)


def timed(world: World, item: dict[str, Any]) -> float:
    """The seconds that a creation takes."""
    begun = time.monotonic()
    world.create(item)
    return time.monotonic() - begun


def test_a_dry_run_shows_the_same_and_stores_nothing(world: World) -> None:
    """What the user previews is what will be."""
    item = pod(world.image("arm64-only"), name="preview", automountServiceAccountToken=False)
    previewed = world.create(item, dryRun="All").json()
    assert world.api.get(f"{PODS}/preview").status_code == 404
    created = world.create(item).json()
    assert (previewed["spec"], labels(previewed)) == (created["spec"], labels(created))
    assert previewed["metadata"]["annotations"] == created["metadata"]["annotations"]


def test_a_bound_pod_and_kube_system_are_not_asked_about(world: World) -> None:
    """The API server's own conditions keep them away: no cost, no label."""
    bound = world.create(pod(world.image("amd64-only"), nodeName="webhook-arm64")).json()
    assert KEY not in labels(bound)
    path = "/api/v1/namespaces/kube-system/pods"
    system = world.api.post(path, json=pod(world.image("amd64-only"))).raise_for_status().json()
    assert KEY not in labels(system)


def test_a_sidecar_that_is_injected_afterwards_narrows_the_pod(world: World, tmp_path: Any) -> None:  # noqa: ANN401
    """The API server asks again, and what was written at first is replaced: one term, by both images."""
    with SidecarInjector(world.image("amd64-only"), tmp_path) as injector:
        world.plane.apply(configuration(injector.url, injector.ca, name="sidecar-injector"))
        try:
            created = wait_for(lambda: injected(world))
        finally:
            world.plane.kubectl("delete", "mutatingwebhookconfiguration", "sidecar-injector")
    assert [each["image"] for each in created["spec"]["containers"]] == [
        world.image("multi-arch"),
        world.image("amd64-only"),
    ]
    assert terms(created) == one_of("amd64")
    assert list(json.loads(created["metadata"]["annotations"][KEY])["images"]) == [
        world.image("multi-arch"),
        world.image("amd64-only"),
    ]


def injected(world: World) -> dict[str, Any]:
    """A new pod that has the sidecar, once the API server has heard of the injector."""
    created: dict[str, Any] = world.create(pod(world.image("multi-arch"))).json()
    return created if len(created["spec"]["containers"]) == 2 else {}


def test_nothing_but_the_constraint_and_the_record_is_changed(world: World) -> None:
    """Fields that this version of Kubernetes has never heard of survive, to the last byte."""
    strange = pod(world.image("arm64-only"), aFieldOfTheFuture={"deep": [1.5, None, "ünïcode", {"z": 1, "a": 2}]})
    strange["metadata"]["labels"] = {"mine": "yes"}
    answer = ask(world, strange).json()["response"]
    changed = patched(strange, json.loads(base64.b64decode(answer["patch"])))
    assert changed["spec"].pop("affinity") == {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": one_of("arm64")}}
    }
    assert changed["metadata"]["labels"].pop(KEY) == "Constrained"
    assert set(changed["metadata"].pop("annotations")) == {KEY}
    assert json.dumps(changed) == json.dumps(strange)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "said"),
    [
        ("GET", PATH, {}, b"", 405, "POST"),
        ("POST", "/mutate/nodes", {}, b"{}", 404, PATH),
        ("POST", PATH, {"content-type": "text/yaml"}, b"{}", 415, "application/json"),
        ("POST", PATH, {"content-encoding": "gzip"}, b"{}", 415, "content encoding"),
        ("POST", PATH, {}, b"{", 400, "not JSON"),
        ("POST", PATH, {}, b"{}", 400, "AdmissionReview"),
        ("POST", PATH, {}, b" " * (8 * 1024 * 1024 + 1), 413, "8388608 bytes"),
    ],
)
def test_what_is_no_review_is_refused_with_a_reason(  # noqa: PLR0917 - a row of the table
    world: World, method: str, path: str, headers: dict[str, str], body: bytes, status: int, said: str
) -> None:
    """In plain text, for whoever registered the webhook wrongly; and counted."""
    with direct(world.webhook) as client:
        response = client.request(method, path, headers={"content-type": "application/json", **headers}, content=body)
    assert (response.status_code, said in response.text) == (status, True)
    assert world.webhook.metrics()[f'rightarch_reviews_refused_total{{status="{status}"}}'] >= 1


def test_a_body_without_a_length_is_refused_where_it_gets_too_large(world: World) -> None:
    """Chunked bodies are counted as they come."""
    chunks = (b" " * 65536 for _ in range(130))
    with direct(world.webhook) as client:
        response = client.post(PATH, headers={"content-type": "application/json"}, content=chunks)
    assert response.status_code == 413


def test_a_field_of_the_wrong_type_is_refused_by_its_path(world: World) -> None:
    """Not an error of ours: nothing is logged, and the next pod is decided as ever."""
    answer = asked_for(world, {**pod("x"), "spec": {"containers": "what no API server sends"}})
    assert (answer.status_code, answer.text) == (400, "request.object.spec.containers is not a JSON array\n")
    assert world.webhook.metrics()["rightarch_admission_errors_total"] == 0
    assert "Traceback" not in world.webhook.log()
    assert "patch" in ask(world, pod(world.image("arm64-only"))).json()["response"]


def test_the_api_servers_own_deadline_is_kept(world: World, hanging: str) -> None:
    """A webhook that is registered with a time-out of a second waits for nobody."""
    patient = said_of(world, pod(f"{hanging}/patient:1"), "5s")
    hasty = [said_of(world, pod(f"{hanging}/hasty:{number}"), "1s") for number in range(TRIES)]
    assert all("rightarch: Unresolved" in said for _, said in hasty)
    assert patient[0] >= BUDGET
    assert min(seconds for seconds, _ in hasty) < BUDGET, "a machine may stall in some of them"


def test_admissions_are_counted_and_health_is_told(world: World) -> None:
    """By reason and in seconds; Nodes by platform."""
    before = world.webhook.metrics()['rightarch_admissions_total{reason="Constrained"}']
    world.create(pod(world.image("multi-arch")))
    after = world.webhook.metrics()
    assert after['rightarch_admissions_total{reason="Constrained"}'] == before + 1
    assert after['rightarch_nodes{architecture="riscv64",os="linux"}'] >= 1
    assert after["rightarch_nodes_listed"] == 1
    with httpx.Client(base_url=world.webhook.health, trust_env=False, timeout=30) as health:
        assert health.get("/healthz").text == "ok\n"
        assert health.get("/else").status_code == 404


def test_pods_are_created_while_the_webhook_is_dead(world: World) -> None:
    """Unchanged; and decided again once it is back."""
    world.webhook.process.kill()
    try:
        created = world.create(pod(world.image("arm64-only"))).json()
    finally:
        world.webhook.process.start()
        world.webhook.process.wait_ready()
    assert (terms(created), KEY in labels(created)) == (None, False)
    for image in world.images.values():
        wait_for(partial(is_known, world, image))


def test_the_webhook_outlives_the_api_server_and_sees_its_nodes_again(world: World) -> None:
    """It answers while the API server is away, and learns of Nodes that come afterwards."""
    with world.plane.without("kube-apiserver"):
        time.sleep(1)
        assert "patch" in ask(world, pod(world.image("multi-arch"))).json()["response"]
        wait_for(lambda: world.webhook.metrics()["rightarch_watch_failures_total"] > 0)
    wait_for(lambda: applied(world, fake_node("webhook-late", "loong64")))
    try:
        late = 'rightarch_nodes{architecture="loong64",os="linux"}'
        wait_for(lambda: world.webhook.metrics().get(late))
    finally:
        world.plane.kubectl("delete", "node", "webhook-late")
    wait_for(lambda: late not in world.webhook.metrics())


def applied(world: World, item: dict[str, Any]) -> bool:
    """Whether the API server took an object: one that was just restarted may refuse to, for a moment."""
    try:
        world.plane.apply(item)
    except ApiError:
        return False
    return True


def test_a_replica_that_is_told_to_end_fails_no_admission(world: World, hanging: str) -> None:
    """Two replicas behind a balancer, pods that each wait for a registry, one replica ended: all are decided."""
    budget = f"--lookup-budget={BUDGET / 2}"
    with (
        WebhookServer(world.plane.kubeconfig, options=["--drain-seconds=60", budget]) as first,
        WebhookServer(world.plane.kubeconfig, options=[budget]) as second,
        Balancer([first, second]) as balancer,
    ):
        bundle = first.folder / "both.crt"
        bundle.write_bytes(first.ca.read_bytes() + second.ca.read_bytes())
        world.plane.apply(configuration(f"https://127.0.0.1:{balancer.port}{PATH}", bundle))
        try:
            wait_for(lambda: asked(world, first) or asked(world, second))
            before = failures(world)
            undecided, created, answered = created_meanwhile(world, first, balancer, hanging)
            assert (undecided, failures(world) - before) == (0, 0)
            assert first.process.exit_status == 0
            print(f"{created} pods created while a replica ended that had answered for {answered} of them")
            assert created > answered > 0
        finally:
            world.plane.apply(world.webhook.configuration())


def asked(world: World, replica: WebhookServer) -> bool:
    """Create a pod, and tell whether a replica was ever asked."""
    world.create(pod(world.image("multi-arch")), dryRun="All")
    return answers(replica) > 0


def answers(replica: WebhookServer) -> float:
    """How many reviews a replica has answered."""
    return replica.metrics()["rightarch_admission_duration_seconds_count"]


def failures(world: World) -> float:
    """How often the API server went on without an answer of our webhook."""
    lines = world.api.get("/metrics").raise_for_status().text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(FAILURES) and "rightarch" in line)


def created_meanwhile(world: World, ending: WebhookServer, balancer: Balancer, hanging: str) -> tuple[int, int, float]:
    """Create pods by several threads while a replica is told to end, and does. There are always reviews in flight.

    It drains until nobody is led to it any more, as the seconds of a cluster must be enough for, and then a little.

    Returns:
        How many of them were not decided, how many there are, and how many the replica had answered for before.
    """
    ended, before = threading.Event(), answers(ending)

    def create(thread: int) -> list[bool]:
        decided: list[bool] = []
        while not ended.is_set():
            unknown = pod(f"{hanging}/app-{thread}-{len(decided)}:1")
            decided.append(KEY in labels(world.create(unknown, dryRun="All").json()))
        return decided

    with ThreadPoolExecutor(12) as pool:
        running = [pool.submit(create, thread) for thread in range(12)]
        try:
            time.sleep(1)
            wait_for(lambda: answers(ending) > before)
            answered = answers(ending) - before
            os.kill(ending.process.pid, signal.SIGTERM)
            wait_for(lambda: ending.port not in balancer.ready)
            time.sleep(2)
            ending.process.stop(STOP_SECONDS)  # a second signal ends the draining
            time.sleep(1)
        finally:
            ended.set()
        decided = [each for thread in running for each in thread.result()]
    return decided.count(False), len(decided), answered


def direct(webhook: WebhookServer) -> httpx.Client:
    """A client of the endpoint itself, as the API server would be."""
    base = f"https://127.0.0.1:{webhook.port}"
    context = ssl.create_default_context(cafile=webhook.ca)
    return httpx.Client(base_url=base, verify=context, trust_env=False, timeout=30)


def said_of(world: World, item: dict[str, Any], timeout: str) -> tuple[float, str]:
    """How long an answer takes, and its first warning."""
    begun = time.monotonic()
    answer = ask(world, item, timeout).json()["response"]
    return time.monotonic() - begun, answer["warnings"][0]


def ask(world: World, item: dict[str, Any], timeout: str = "5s") -> httpx.Response:
    """What the webhook itself answers to a review of the creation of a pod."""
    return asked_for(world, item, timeout).raise_for_status()


def asked_for(world: World, item: dict[str, Any], timeout: str = "5s") -> httpx.Response:
    """What it answers, whatever the status."""
    request = {
        "uid": "0",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "object": item,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    with direct(world.webhook) as client:
        return client.post(PATH, json=review, params={"timeout": timeout})
