"""Pods that are on a node already and get an image that does not run there: a warning, and never a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.controlplane import wait_for
from tests.images import RegistryServer, push_samples
from tests.support.installation import PATIENT, Installation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from tests.controlplane import ControlPlane

    Object = dict[str, Any]

PODS = "/api/v1/namespaces/default/pods"
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
NAME = "live-pod"


@pytest.fixture(scope="module")
def images(control_plane: ControlPlane) -> Iterator[Mapping[str, str]]:
    """The samples' names, while the chart is installed and a multi-arch pod runs on the arm64 node."""
    with (
        RegistryServer() as registry,
        Installation(control_plane, webhook_options=PATIENT) as installed,
        control_plane.client() as client,
    ):
        samples = push_samples(registry)
        names = {name.partition("/")[2].partition(":")[0]: full for name, full in samples.items()}
        for name in (NAME, "live-waiting"):
            chosen = {"kubernetes.io/hostname": "arm64-node" if name == NAME else "nowhere"}
            containers = [{"name": "c", "image": names["multi-arch"]}]
            spec = {
                "containers": containers,
                "initContainers": [{**containers[0], "name": "i"}],
                "nodeSelector": chosen,
            }
            control_plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        wait_for(lambda: client.get(f"{PODS}/{NAME}").json()["status"]["phase"] == "Running")
        assert client.get(f"{PODS}/{NAME}").json()["spec"]["nodeName"] == "arm64-node"
        yield names
        control_plane.kubectl("delete", "pod", NAME, "live-waiting", "--now")
        assert installed.webhook.metrics()["rightarch_admission_errors_total"] == 0


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[httpx.Client]:
    """The administrator's client."""
    with control_plane.client() as made:
        yield made


def changed(client: httpx.Client, spec: Object, name: str = NAME, part: str = "") -> tuple[list[str], Object]:
    """The warnings about a change, and the pod as it became; the change is only tried."""
    answer = client.patch(f"{PODS}/{name}{part}", json={"spec": spec}, headers=STRATEGIC, params={"dryRun": "All"})
    warnings = answer.raise_for_status().headers.get_list("warning")
    return [each for each in warnings if "rightarch" in each], answer.json()


@pytest.mark.parametrize("kind", ["containers", "initContainers", "ephemeralContainers"])
def test_an_image_of_another_architecture_is_warned_of(
    images: Mapping[str, str], client: httpx.Client, kind: str
) -> None:
    """By its name, the node's architecture and what it has; the change is what was asked for, and nothing else."""
    before = client.get(f"{PODS}/{NAME}").json()
    part = "/ephemeralcontainers" if kind.startswith("ephemeral") else ""
    name = {"containers": "c", "initContainers": "i", "ephemeralContainers": "e"}[kind]

    def warned() -> tuple[list[str], Object] | None:
        """The image may not be known in time at first."""
        found = changed(client, {kind: [{"name": name, "image": images["amd64-only"]}]}, part=part)
        return found if found[0] else None

    found = wait_for(warned)
    assert found is not None
    (warning,), after = found
    said = f"{images['amd64-only']} does not run on the pod's node, which is linux/arm64: it has amd64"
    assert said in warning
    for metadata in (before["metadata"], after["metadata"]):
        for key in ("managedFields", "resourceVersion", "generation"):
            metadata.pop(key, None)
    assert after["metadata"] == before["metadata"]
    assert after["spec"].get("affinity") == before["spec"].get("affinity")


@pytest.mark.parametrize("image", ["arm64-only", "multi-arch", "absent"])
def test_nothing_is_said_of_what_runs_there_or_is_not_known(
    images: Mapping[str, str], client: httpx.Client, image: str
) -> None:
    """A guess would be noise."""
    reference = images.get(image) or f"{images['multi-arch'].partition('/')[0]}/never/pushed:1"
    assert changed(client, {"containers": [{"name": "c", "image": reference}]})[0] == []


def test_a_pod_without_a_node_is_not_asked_about(images: Mapping[str, str], client: httpx.Client) -> None:
    """It may still go where its image runs."""
    assert changed(client, {"containers": [{"name": "c", "image": images["amd64-only"]}]}, "live-waiting")[0] == []
