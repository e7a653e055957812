"""Registries that fail, met by the real processes on the real API server: who waits, who does not, and for how long."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.controlplane import fake_node, free_port, wait_for
from tests.images import RegistryServer, single
from tests.support.controller import ControllerServer
from tests.support.ticks import Ticks
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.controlplane import ControlPlane

KEY = "rightarch.dev/decision"
BUDGET = 1.0
TRIES = 4
ARM = single("linux/arm64", "registry-faults")


@dataclass(frozen=True)
class World:
    """What a test of this module has."""

    plane: ControlPlane
    api: httpx.Client
    webhook: WebhookServer
    registry: RegistryServer
    ticks: Ticks

    def decided(self, *images: str, namespace: str = "default") -> tuple[dict[str, Any], float]:
        """What is decided on a pod with some images, and how many seconds that took; a machine that stalls has none."""
        spec = {"containers": [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "faults-"}, "spec": spec}
        began = self.ticks.seconds
        created = self.api.post(f"/api/v1/namespaces/{namespace}/pods", json=pod).raise_for_status().json()
        seconds = self.ticks.seconds - began
        found: dict[str, Any] = json.loads(created["metadata"].get("annotations", {}).get(KEY, "{}"))
        return found, seconds

    def reason(self, image: str) -> str:
        """The Reason of that decision."""
        return str(self.decided(image)[0].get("reason"))


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The webhook, registered; a registry; and a mirror's name for it, in a file as containerd has it."""
    control_plane.apply(fake_node("faults-arm64", "arm64"))
    hosts = tmp_path_factory.mktemp("hosts")
    with RegistryServer() as registry:
        (hosts / "mirrored.example").mkdir()
        (hosts / "mirrored.example" / "hosts.toml").write_text(f'server = "http://{registry.host}"')
        option = f"--registry-hosts-dir={hosts}"
        with (
            WebhookServer(control_plane.kubeconfig, options=[option]) as webhook,
            control_plane.client() as api,
            Ticks() as ticks,
        ):
            registry.push("known", "1", ARM)
            control_plane.apply(webhook.configuration(name="rightarch-faults"))
            try:
                made = World(control_plane, api, webhook, registry, ticks)
                wait_for(lambda: made.reason(f"{registry.host}/known:1") == "Constrained")
                yield made
            finally:
                control_plane.kubectl("delete", "mutatingwebhookconfiguration", "rightarch-faults")


class Refusing:
    """A registry that answers every request with the same status, and notes when it was asked."""

    def __init__(self, status: int, **headers: str) -> None:
        self.times: list[float] = []
        times = self.times

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                times.append(time.monotonic())
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        """Serve until the end of the block."""
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def test_a_known_image_beside_eight_that_hang(world: World) -> None:
    """Eight pods wait for a registry that says nothing, until the budget ends; a ninth notices nothing of it.

    On a machine that stalls in the middle it may take several tries to see that.
    """
    usual = max(world.decided(f"{world.registry.host}/known:1")[1] for _ in range(5))
    tries = (beside_eight(world) for _ in range(TRIES))
    assert any(ninth < usual + 0.05 and longest < BUDGET + 1.0 for ninth, longest in tries)


def beside_eight(world: World) -> tuple[float, float]:
    """How long a pod of a known image takes at best while eight hang, and how long those do that hang the longest."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener, ThreadPoolExecutor(8) as pool:
        hanging = f"127.0.0.1:{listener.getsockname()[1]}"
        waiting = [pool.submit(world.decided, f"{hanging}/app:{number}") for number in range(8)]
        time.sleep(BUDGET / 4)
        ninth = [world.decided(f"{world.registry.host}/known:1") for _ in range(5)]
        meanwhile = not any(each.done() for each in waiting)
        hung = [each.result() for each in waiting]
    assert {found["reason"] for found, _ in ninth} == {"Constrained"}
    assert {found["reason"] for found, _ in hung} == {"Unresolved"}
    return min(seconds for _, seconds in ninth) if meanwhile else math.inf, max(seconds for _, seconds in hung)


def test_hundreds_of_hanging_hosts_of_one_namespace_harm_no_other(world: World) -> None:
    """Ten pods of sixty images each, every one at a host that says nothing: images of others are looked up as ever.

    On a machine that stalls in the middle it may take several tries to see that.
    """
    world.plane.kubectl("create", "namespace", "bystander")
    account = "/api/v1/namespaces/bystander/serviceaccounts/default"
    wait_for(lambda: world.api.get(account).is_success)
    tries = (beside_hundreds(world, number) for number in range(TRIES))
    assert any(beside < usual + 0.05 for beside, usual in tries)
    assert world.webhook.metrics()["rightarch_lookups_refused_total"] >= 600 - 256


def beside_hundreds(world: World, attempt: int) -> tuple[float, float]:
    """How long a pod of an unknown image takes at best while hundreds hang, and at worst without them."""
    wait_for(lambda: world.webhook.metrics()["rightarch_lookups_in_flight"] == 0)
    names = [f"fair/app{attempt}-{number}" for number in range(10)]
    cold = [world.registry.push(name, "1", single("linux/arm64", name)) for name in names]
    usual = [world.decided(image, namespace="bystander") for image in cold[:5]]
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener, ThreadPoolExecutor(10) as pool:
        port = listener.getsockname()[1]
        hosts = [[f"n{attempt}-{pod}-{number}.localhost:{port}/app:1" for number in range(60)] for pod in range(10)]
        waiting = [pool.submit(world.decided, *each) for each in hosts]
        assert {each.result()[0]["reason"] for each in waiting} == {"Unresolved"}
        with contextlib.suppress(TimeoutError):  # a machine that is busy with others: it may be in time all the same
            wait_for(lambda: idle(world.webhook), seconds=5)
        beside = [world.decided(image, namespace="bystander") for image in cold[5:]]
        meanwhile = world.webhook.metrics()["rightarch_lookups_in_flight"] == 256
    known = {found["reason"] for found, _ in usual + beside} == {"Constrained"}
    best = min(seconds for _, seconds in beside) if meanwhile and known else math.inf
    return best, max(seconds for _, seconds in usual)


def idle(webhook: WebhookServer) -> bool:
    """Whether a replica does nothing but wait, however busy the machine is."""
    before = webhook.metrics()["process_cpu_seconds_total"]
    time.sleep(0.3)
    return webhook.metrics()["process_cpu_seconds_total"] - before < 0.02


@pytest.mark.parametrize(("status", "headers"), [(429, {"Retry_After": "60"}), (503, {"Retry_After": "60"}), (500, {})])
def test_a_registry_that_refuses_is_spared(world: World, status: int, headers: dict[str, str]) -> None:
    """Pods are admitted as they are, at once, and after a few requests the registry is left in peace."""
    with Refusing(status, **headers) as registry:
        pods = [world.decided(f"{registry.host}/app:{number}") for number in range(12)]
        asked = list(registry.times)
    assert {found["reason"] for found, _ in pods} == {"Unresolved"}
    assert statistics.median(seconds for _, seconds in pods) < BUDGET / 2, "nobody was to wait for it"
    # and once in half a second at the most where that takes long
    assert len(asked) <= (1 if headers else 6 + 2 * (asked[-1] - asked[0]))
    assert world.webhook.metrics()["rightarch_registry_requests_spared_total"] > 0


def test_a_registry_stops_and_comes_back(world: World, tmp_path: Path) -> None:
    """What it said is known all along; new images are, within five seconds of its return."""
    port = free_port()
    with RegistryServer(folder=tmp_path, port=port) as registry:
        for tag in ("old", "new"):
            registry.push("phoenix", tag, ARM)
        wait_for(lambda: world.reason(f"{registry.host}/phoenix:old") == "Constrained")
    for tag in ("new", "1", "2", "3", "new"):
        assert world.reason(f"127.0.0.1:{port}/phoenix:{tag}") == "Unresolved"
    assert world.reason(f"127.0.0.1:{port}/phoenix:old") == "Constrained"
    with RegistryServer(folder=tmp_path, port=port) as registry:
        returned = world.ticks.seconds
        wait_for(lambda: world.reason(f"{registry.host}/phoenix:new") == "Constrained")
        assert world.ticks.seconds - returned < 6.0


def test_hosts_of_containerd_are_followed(world: World) -> None:
    """An image of a registry that has another address is found there."""
    wait_for(lambda: world.reason("mirrored.example/known:1") == "Constrained")


def test_what_waits_for_a_registry_has_it_asked_every_five_seconds(world: World) -> None:
    """While a template's image can't be had, its registry is tried again and again, never more than 5 s apart."""
    with Refusing(500) as registry, ControllerServer(world.plane.kubeconfig) as controller:
        wait_for(lambda: controller.leads)
        labels = {"app": "waits"}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": f"{registry.host}/app:1"}]},
        }
        world.plane.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "waits", "namespace": "default"},
                "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
            }
        )
        try:
            wait_for(lambda: len(registry.times) >= 7, seconds=120)
        finally:
            world.plane.kubectl("delete", "deployment", "waits", "-n", "default")
        gaps = [later - earlier for earlier, later in pairwise(registry.times)]
    assert min(gaps[-2:]) <= 5.0 + 0.3, "a machine may stall in one of them; pauses that grow stay long"
    assert max(gaps) >= 1.5, "it was to be spared meanwhile"
