"""What the demo runs on: a control plane with simulated nodes, a registry with the samples, and then Rightarch."""

from __future__ import annotations

import contextlib
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.controlplane import ControlPlane, Resources, wait_for
from tests.images import LATE, RegistryServer, push_samples
from tests.support.controller import ControllerServer, workloads_configuration
from tests.support.webhook import WebhookServer

from .programs import provide_programs
from .scenario import NODES
from .scene import WITH, WITHOUT, Scene

if TYPE_CHECKING:
    from .folder import Hold
    from .progress import Progress

CRDS: Final = Path(__file__).parents[2] / "crds"
OPTIONS: Final = (
    "--lookup-budget=3",  # a busy machine must not look like a slow registry
    "--drain-seconds=0",  # no load balancer has to learn that it leaves
)
EXCLUDED: Final = ("kube-system", WITHOUT)


class Stage(Scene):
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
            for item in (server.configuration(excluded=EXCLUDED), workloads_configuration(server, excluded=EXCLUDED)):
                Resources(self.client).apply(item)
            wait_for(lambda: self.is_called(WITH), seconds=30)

    def start_controller(self) -> None:
        """Start the rest of Rightarch, which writes what could not be known at once."""
        with self._progress.step("Starting rightarch controller"):
            server = ControllerServer(self.plane.kubeconfig, folder=self._hold.path / "controller")
            self.controller = self._stack.enter_context(server)
            wait_for(lambda: server.leads, seconds=30)

    def push_late(self) -> None:
        """Push what could not be read so far."""
        for name, image in LATE.items():
            repository, tag = name.split(":")
            self.registry.push(repository, tag, image)

    def kubectl(self, *args: str) -> str:
        """Run kubectl as the administrator."""
        return self.plane.kubectl(*args)

    def keep(self) -> None:
        """Let everything go on when this Python process ends; from here on, it is too late for Ctrl-C."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._hold.keep()
        shutil.copy(self.plane.kubeconfig, self._hold.kubeconfig)
        self.plane.detach(self.registry.process, self.webhook.process, self.controller.process)
        self._stack.pop_all()

    def _start(self) -> None:
        provide_programs(self._progress)
        with self._progress.step("Starting etcd, API server, controllers, scheduler and KWOK"):
            self.plane = self._stack.enter_context(ControlPlane(self._hold.control_plane))
        self.client = self._stack.enter_context(self.plane.client())
        self.resources = Resources(self.client)
        with self._progress.step(f"Making {len(NODES)} nodes and two namespaces"):
            self.plane.kubectl("apply", "-f", str(CRDS))
            self.make_cluster()
        with self._progress.step("Starting a registry and pushing the sample images"):
            self.registry = self._stack.enter_context(RegistryServer(folder=self._hold.path / "registry"))
            self.references = push_samples(self.registry) | {name: f"{self.registry.host}/{name}" for name in LATE}
