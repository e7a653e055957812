"""Gated pods on the real control plane: each is released, whatever fails, and none is changed in any other way."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.test_registry_faults import Refusing
from tests.controlplane import wait_for
from tests.images import RegistryServer, single
from tests.support.controller import ControllerServer
from tests.support.world import World, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Object = dict[str, Any]

GATE = "rightarch.dev/platforms"
GATED = "rightarch.dev/gated"
DECISION = "rightarch.dev/decision"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
NAMESPACE = "kube-system"
"""Which no webhook is asked about: the pods there are gated by hand."""
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
ARM = single("linux/arm64", "gates")
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    """A cluster of its own, for its API server is restarted."""
    with world() as running:
        yield running


@pytest.fixture(scope="module")
def controller(made: World) -> Iterator[ControllerServer]:
    """A controller that leads, and lists every second."""
    with ControllerServer(made.plane.kubeconfig, options=["--list-interval=1"]) as running:
        wait_for(lambda: running.leads, seconds=30)
        yield running


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


def released(made: World, name: str, seconds: float = 10) -> Object:
    """A pod once our gate and label are off; and they go together."""

    def look() -> Object | None:
        pod = get(made, name)
        held = GATE in gates(pod)
        assert held == (GATED in pod["metadata"].get("labels", {}))
        return None if held else pod

    found = wait_for(look, seconds=seconds)
    assert found
    return found


def lands(made: World, name: str, node: str) -> None:
    """Wait until a pod runs, on this node."""
    wait_for(lambda: get(made, name)["status"]["phase"] == "Running", seconds=10)
    assert get(made, name)["spec"]["nodeName"] == node


def test_a_pod_is_released_when_its_registry_is_back(
    made: World, controller: ControllerServer, late: RegistryServer
) -> None:
    """Held while the registry is away, then constrained and released in one update; and it runs where it can."""
    before = controller.metrics()
    made.create(gated("back", f"{late.host}/late/app:1"))
    time.sleep(2)
    assert gates(get(made, "back")) == [GATE]
    assert controller.metrics()["rightarch_gated_pods"] == 1
    start(late)
    pod = released(made, "back", seconds=6)
    assert terms(pod) == [{"matchExpressions": [arch("arm64")]}]
    assert pod["metadata"]["labels"][DECISION] == "Constrained"
    lands(made, "back", "node-arm64")
    after = controller.metrics()
    resolved = 'rightarch_gate_releases_total{outcome="Resolved"}'
    assert after[resolved] - before.get(resolved, 0) == 1
    assert after["rightarch_gated_pods"] == after["rightarch_awaited_images"] == 0
