"""What the demo runs on: a control plane with simulated nodes, a registry with the samples, and then Rightarch."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
from typing import TYPE_CHECKING, Any, Final, Self

from tests.controlplane import ControlPlane, Resources, fake_node, wait_for
from tests.controlplane.rest import result
from tests.images import RegistryServer, push_samples
from tests.support.webhook import WebhookServer

from .manifests import manifest
from .programs import provide_programs
from .scenario import NODES, WORKLOADS

if TYPE_CHECKING:
    import httpx

    from .folder import Hold
    from .progress import Progress

WITHOUT: Final = "without-rightarch"
WITH: Final = "with-rightarch"
DECISION: Final = "rightarch.dev/decision"
OPTIONS: Final = (
    "--lookup-budget=3",  # a busy machine must not look like a slow registry
    "--drain-seconds=0",  # no load balancer has to learn that it leaves
)

_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
"""A warning of Kubernetes in the header of that name (RFC 7234, 5.5)."""


class Stage:
    """Everything that runs; a context manager that ends it all, unless it was kept."""

    def __init__(self, hold: Hold, progress: Progress) -> None:
        self._hold = hold
        self._progress = progress
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._stack:  # what a failed start leaves
            self._start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_webhook(self) -> None:
        """Start Rightarch, and register it for all namespaces but the one that is to be without it."""
        with self._progress.step("Starting rightarch webhook and registering it"):
            folder = self._hold.path / "webhook"
            server = WebhookServer(self.plane.kubeconfig, folder=folder, options=OPTIONS)
            self.webhook = self._stack.enter_context(server)
            Resources(self.client).apply(server.configuration(excluded=["kube-system", WITHOUT]))
            wait_for(self._is_called, seconds=30)

    def create(self, item: dict[str, Any]) -> tuple[str, ...]:
        """Create an object; returns the warnings that came with the answer."""
        response = self.client.post(self.resources.path(item), json=item)
        result(response)
        return tuple(
            re.sub(r"\\(.)", r"\1", text)
            for header in response.headers.get_list("warning")
            for text in _WARNING.findall(header)
        )

    def list(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The objects of a collection."""
        items: list[dict[str, Any]] = result(self.client.get(path, params=query))["items"]
        return items

    def keep(self) -> None:
        """Let everything go on when this Python process ends; from here on, it is too late for Ctrl-C."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._hold.keep()
        shutil.copy(self.plane.kubeconfig, self._hold.kubeconfig)
        self.plane.detach(self.registry.process, self.webhook.process)
        self._stack.pop_all()

    def _start(self) -> None:
        provide_programs(self._progress)
        with self._progress.step("Starting etcd, API server, controllers, scheduler and KWOK"):
            self.plane = self._stack.enter_context(ControlPlane(self._hold.control_plane))
        self.client: httpx.Client = self._stack.enter_context(self.plane.client())
        self.resources = Resources(self.client)
        with self._progress.step(f"Making {len(NODES)} nodes and two namespaces"):
            self._make_cluster()
        with self._progress.step("Starting a registry and pushing the sample images"):
            self.registry = self._stack.enter_context(RegistryServer(folder=self._hold.path / "registry"))
            self.references = push_samples(self.registry)

    def _make_cluster(self) -> None:
        namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (WITHOUT, WITH)]
        for item in (*namespaces, *(fake_node(name, architecture) for name, architecture in NODES.items())):
            self.resources.apply(item)
        wait_for(self._is_complete, seconds=60)

    def _is_complete(self) -> bool:
        accounts = [self.client.get(f"/api/v1/namespaces/{name}/serviceaccounts/default") for name in (WITHOUT, WITH)]
        return all(map(_is_ready, self.list("/api/v1/nodes"))) and all(answer.is_success for answer in accounts)

    def _is_called(self) -> bool:
        """Whether a pod that is not really created passes the webhook: the API server takes a moment to know it."""
        pod = manifest(_PROBE, WITH, self.references)
        answer = result(self.client.post(self.resources.path(pod), json=pod, params={"dryRun": "All"}))
        return DECISION in answer["metadata"].get("labels", {})


_PROBE = next(workload for workload in WORKLOADS if workload.kind == "Pod")


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", ())
    return not node["spec"].get("taints") and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
