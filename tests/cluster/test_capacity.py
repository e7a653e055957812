"""What the webhook knows of Karpenter, which comes, changes and goes while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.controlplane import fake_node, wait_for
from tests.images import RegistryServer
from tests.images.images import single
from tests.support import karpenter
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.controlplane import ControlPlane

    Object = dict[str, Any]

PODS = "/api/v1/namespaces/default/pods"
NODE_POOL = "/apis/karpenter.sh/v1/nodepools/general"
ARCHITECTURE = "mips64le"
"""No Node that a test of this layer makes has it."""


@pytest.fixture
def webhook(control_plane: ControlPlane) -> Iterator[WebhookServer]:
    """A webhook that is registered."""
    control_plane.apply(fake_node("capacity", "amd64"))  # of a cluster without any Node nothing is said
    with WebhookServer(control_plane.kubeconfig) as running:
        configuration = running.configuration(name="rightarch-capacity")
        control_plane.apply(configuration)
        yield running
        control_plane.kubectl("delete", "mutatingwebhookconfiguration", "rightarch-capacity")


def warned(client: httpx.Client, image: str) -> str:
    """What is said of the capacity to the one who creates a pod; nothing is created."""
    spec = {"containers": [{"name": "main", "image": image}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "capacity-"}, "spec": spec}
    answer = client.post(PODS, json=pod, params={"dryRun": "All"}).raise_for_status()
    return next((text for text in answer.headers.get_list("warning") if "NoCapacity" in text), "")


def ready(plane: ControlPlane, client: httpx.Client, *architectures: str) -> None:
    """Have a NodePool of these architectures, and say that it is Ready as Karpenter would."""
    plane.apply(karpenter.node_pool("general", karpenter.requirement("kubernetes.io/arch", "In", *architectures)))
    moment = "2026-01-01T00:00:00Z"
    condition = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": moment}
    headers = {"Content-Type": "application/merge-patch+json"}
    status = {"status": {"conditions": [condition]}}
    client.patch(f"{NODE_POOL}/status", json=status, headers=headers).raise_for_status()


def test_karpenter_may_come_and_go(control_plane: ControlPlane, webhook: WebhookServer) -> None:
    """Nothing is restarted, nothing fails, and each pod is told what holds at the moment."""
    with RegistryServer() as registry, control_plane.client() as client:
        image = registry.push("capacity/only", "1.0", single(f"linux/{ARCHITECTURE}"))
        nobody = f"no Node has {ARCHITECTURE}, and there is no NodePool"
        wait_for(lambda: nobody in warned(client, image))
        karpenter.define(control_plane)
        try:
            ready(control_plane, client, "amd64")
            wait_for(lambda: "NodePool general allows only amd64" in warned(client, image))
            ready(control_plane, client, "amd64", ARCHITECTURE)
            wait_for(lambda: not warned(client, image))
            assert webhook.metrics()["rightarch_nodepools"] == 1
        finally:
            karpenter.undefine(control_plane)
        wait_for(lambda: nobody in warned(client, image))
        assert webhook.metrics()["rightarch_nodepools"] == 0
        told = [line for line in webhook.log().splitlines() if "karpenter.sh" in line]
        assert told
        lost = [line for line in told if "lost sight" in line and "answered 429" not in line]
        assert lost == []  # 429 is for a moment, while the API server prepares the storage of a new kind
