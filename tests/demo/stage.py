"""What the demo runs on: a control plane with simulated nodes, a registry with the samples, and then Rightarch."""

from __future__ import annotations

import contextlib
import shutil
import signal
from typing import TYPE_CHECKING, Final, Self

from tests.controlplane import ControlPlane, Resources, wait_for
from tests.images import LATE, RegistryServer, push_samples
from tests.support.installation import Installation
from tests.support.karpenter import Karpenter

from . import shopping
from .programs import provide_programs
from .scenario import NODES
from .scene import WITH, WITHOUT, Scene

if TYPE_CHECKING:
    from .folder import Hold
    from .progress import Progress

OPTIONS: Final = (
    "--lookup-budget=3",  # a busy machine must not look like a slow registry
    "--drain-seconds=0",  # no load balancer has to learn that it leaves
)
BATCHES: Final = {"BATCH_IDLE_DURATION": "2s", "BATCH_MAX_DURATION": "10s"}
"""Nodes are bought when no pod has come for so long: a busy machine takes a while to create all of them."""


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

    def install(self) -> None:
        """Install the chart, and start its processes under its own accounts, beside the cluster."""
        with self._progress.step("Installing Rightarch by helm and starting its processes"):
            installation = Installation(
                self.plane,
                values={"webhook": {"excludedNamespaces": [WITHOUT, shopping.WITHOUT]}},
                webhook_options=OPTIONS,
                folder=self._hold.path / "rightarch",
                lasting=True,  # the cluster ends with it
            )
            self.installation = self._stack.enter_context(installation)
            wait_for(lambda: self.is_called(WITH))

    def start_karpenter(self) -> None:
        """Start Karpenter beside the cluster."""
        with self._progress.step("Starting Karpenter, for which arm64 is a fifth cheaper"):
            folder = self._hold.path / "karpenter"
            folder.mkdir()
            self.karpenter = self._stack.enter_context(Karpenter(self.plane, folder, BATCHES))

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
        rightarch = (self.installation.webhook.process, self.installation.controller.process)
        self.plane.detach(self.registry.process, *rightarch, self.karpenter.process)
        self._stack.pop_all()

    def _start(self) -> None:
        provide_programs(self._progress)
        with self._progress.step("Starting etcd, API server, controllers, scheduler and KWOK"):
            self.plane = self._stack.enter_context(ControlPlane(self._hold.control_plane))
        self.client = self._stack.enter_context(self.plane.client())
        self.resources = Resources(self.client)
        with self._progress.step(f"Making {len(NODES)} nodes and two namespaces"):
            self.make_cluster()
        with self._progress.step("Starting a registry and pushing the sample images"):
            self.registry = self._stack.enter_context(RegistryServer(folder=self._hold.path / "registry"))
            self.references = push_samples(self.registry) | {name: f"{self.registry.host}/{name}" for name in LATE}
