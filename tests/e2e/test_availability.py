"""Nobody is refused, whatever the administrator does meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.controlplane import wait_for
from tests.images import RegistryServer, push_samples
from tests.support.installation import DECISION, PATIENT, Installation

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.controlplane import ControlPlane

    Object = dict[str, Any]

CREATORS = 4
PAUSE_SECONDS = 0.01
MANY = 60
"""Pods that are created before something happens, and after it."""
GIVEN_UP_SECONDS = 2.5
"""Less than the API server waits for a webhook."""
PODS = "/api/v1/namespaces/default/pods"


@dataclass(frozen=True)
class Creation:
    """A pod that somebody tried to create.

    Attributes:
        at: when, by the monotonic clock.
        seconds: how long it took.
        status: how the API server answered.
        decision: what Rightarch decided; None if it was not asked.
    """

    at: float
    seconds: float
    status: int
    decision: str | None


class Creators:
    """Create pods without a pause as a context manager: what a busy cluster does meanwhile."""

    def __init__(self, client: httpx.Client, image: str) -> None:
        self.creations: list[Creation] = []
        self._client = client
        self._image = image
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(CREATORS)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._end)
            self._futures = [self._pool.submit(self._create) for _ in range(CREATORS)]
            self._go_on()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._go_on()
        finally:
            self._end()
        for future in self._futures:
            future.result()

    def looked_at(self) -> set[str | None]:
        """What was decided of pods, but of those for which the API server gave up waiting: the machine stalled."""
        return {each.decision for each in self.creations if each.seconds < GIVEN_UP_SECONDS}

    def _go_on(self) -> None:
        """Return when many more pods have been created."""
        wanted = len(self.creations) + MANY
        wait_for(lambda: len(self.creations) >= wanted or any(future.done() for future in self._futures))

    def _end(self) -> None:
        self._ended.set()
        self._pool.shutdown()

    def _create(self) -> None:
        spec = {"containers": [{"name": "main", "image": self._image}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "busy-"}, "spec": spec}
        while not self._ended.is_set():
            at = time.monotonic()
            answer = self._client.post(PODS, json=pod, params={"dryRun": "All"})
            labels = answer.json().get("metadata", {}).get("labels", {})
            seconds = time.monotonic() - at
            self.creations.append(Creation(at, seconds, answer.status_code, labels.get(DECISION)))
            time.sleep(PAUSE_SECONDS)


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """An image for amd64 alone, in a real registry."""
    with RegistryServer() as registry:
        yield push_samples(registry)["samples/amd64-only:1.0"]


@pytest.fixture(scope="module")
def installation(control_plane: ControlPlane, image: str) -> Iterator[Installation]:
    """Rightarch, installed, answering, and acquainted with the image; the last test of this module removes it."""
    with Installation(control_plane, webhook_options=PATIENT) as installation, control_plane.client() as client:

        def is_known() -> bool:
            return DECISION in (found := _tried(client, image)) and found[DECISION] == "Constrained"

        wait_for(is_known)
        yield installation


def _tried(client: httpx.Client, image: str) -> dict[str, str]:
    """The labels of a pod that is not really created."""
    spec = {"containers": [{"name": "main", "image": image}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "tried-"}, "spec": spec}
    answer = client.post(PODS, json=pod, params={"dryRun": "All"}).raise_for_status()
    labels: dict[str, str] = answer.json()["metadata"].get("labels", {})
    return labels


def test_the_chart_constrains_a_pod(control_plane: ControlPlane, installation: Installation, image: str) -> None:
    """The process runs by the Deployment's own command, with the rights of the chart's ServiceAccount and no others."""
    spec = {"containers": [{"name": "main", "image": image}]}
    created = control_plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "installed"}, "spec": spec})
    [pod] = created
    assert pod["metadata"]["labels"][DECISION] == "Constrained"
    for replica in (installation.webhook, installation.controller):
        assert "forbidden" not in replica.log()
    node = wait_for(lambda: control_plane.kubectl("get", "pod/installed", "--output=jsonpath={.spec.nodeName}"))
    assert node == "amd64-node"


def test_an_upgrade_refuses_nobody_and_misses_no_pod(
    control_plane: ControlPlane, installation: Installation, image: str
) -> None:
    """The registration changes under load, and every pod is looked at."""
    with control_plane.client() as client, Creators(client, image) as creators:
        for seconds in (4, 3, 5):
            installation.release.upgrade(installation.values(timeoutSeconds=seconds))
    assert {creation.status for creation in creators.creations} == {201}
    assert creators.looked_at() == {"Constrained"}
    assert len(creators.creations) > 100


def test_a_crash_refuses_nobody(control_plane: ControlPlane, installation: Installation, image: str) -> None:
    """While no replica answers, pods are created as they are."""
    with control_plane.client() as client, Creators(client, image) as creators:
        installation.webhook.process.kill()
        try:
            wait_for(lambda: any(creation.decision is None for creation in creators.creations))
        finally:
            installation.webhook.process.start()
            installation.webhook.process.wait_ready()
    assert {creation.status for creation in creators.creations} == {201}
    assert creators.looked_at() == {"Constrained", None}


def test_an_uninstall_refuses_nobody(control_plane: ControlPlane, installation: Installation, image: str) -> None:
    """Pods are constrained until the registration is gone, and left as they are from then on; the process ends then."""
    with control_plane.client() as client, Creators(client, image) as creators:
        installation.uninstall()
        installation.webhook.process.stop()
    assert {creation.status for creation in creators.creations} == {201}
    in_order = sorted(creators.creations, key=lambda creation: creation.at)
    decisions = [decision for decision, _ in itertools.groupby(creation.decision for creation in in_order)]
    assert decisions[0] == "Constrained"
    assert decisions[-1] is None
    assert len(in_order) > 100
