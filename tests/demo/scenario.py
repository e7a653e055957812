"""What the demo shows: nodes, images, workloads, and what must come of each. Written out, computed by nobody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NODES: Final = {"n1": "amd64", "n2": "amd64", "n3": "arm64", "n4": "arm64", "n5": "riscv64"}
"""The architecture of each node."""

REPLICAS: Final = len(NODES)
"""As many pods as nodes: the scheduler spreads them, so that some land on each architecture that they may."""


class Expected(StrEnum):
    """What must come of a workload with Rightarch."""

    RUNS = "runs"
    """Every pod is on a node that all of its images run on."""
    KEPT = "kept"
    """No node is right: the spec is as it was, and whoever created the pod was warned."""
    PENDING = "pending"
    """No node there is right: the pod waits for one."""


@dataclass(frozen=True)
class DemoImage:
    """One of the sample images.

    Attributes:
        sample: its repository and tag.
        platforms: what it was built for, without the operating system, which is linux.
        runs_on: the node architectures that run it.
        indexed: whether the node picks its platform from an index; if not, any node takes what there is.
    """

    sample: str
    platforms: tuple[str, ...]
    runs_on: frozenset[str]
    indexed: bool = True

    @property
    def name(self) -> str:
        """Its short name."""
        return self.sample.rpartition("/")[2].partition(":")[0]


AMD64_ONLY: Final = DemoImage("samples/amd64-only:1.0", ("amd64",), frozenset({"amd64"}))
ARM64_ONLY: Final = DemoImage("samples/arm64-only:1.0", ("arm64",), frozenset({"arm64"}), indexed=False)
MULTI_ARCH: Final = DemoImage("samples/multi-arch:1.0", ("amd64", "arm64"), frozenset({"amd64", "arm64"}))
PAIR_AMD64: Final = DemoImage("samples/pair-amd64:1.0", ("amd64",), frozenset({"amd64"}))
PAIR_ARM64: Final = DemoImage("samples/pair-arm64:1.0", ("arm64",), frozenset({"arm64"}))
ARMV7_ONLY: Final = DemoImage("samples/armv7-only:1.0", ("arm/v7",), frozenset({"arm"}))
LATE_ARM64: Final = DemoImage("samples/late-arm64:1.0", ("arm64",), frozenset({"arm64"}), indexed=False)
"""Nobody can read it before its workload is there."""


@dataclass(frozen=True)
class Workload:
    """One workload of the demo.

    Attributes:
        kind: Deployment, DaemonSet, Job, CronJob or Pod.
        name: its name, and the value of its pods' label `app`.
        images: one container each.
        runs_on: the architectures that must be written, sorted; empty where nothing may be.
        expected: what must come of it.
        init_images: one init container each.
        pods: how many pods it has with Rightarch.
        pods_without: how many it has without, if not as many: a DaemonSet has one on each node that it may use.
    """

    kind: str
    name: str
    images: tuple[DemoImage, ...]
    runs_on: tuple[str, ...]
    expected: Expected = Expected.RUNS
    init_images: tuple[DemoImage, ...] = ()
    pods: int = 1
    pods_without: int | None = None

    @property
    def expected_without(self) -> int:
        """How many pods it has without Rightarch."""
        return self.pods if self.pods_without is None else self.pods_without

    @property
    def all_images(self) -> tuple[DemoImage, ...]:
        """The images of all containers that must run on the pod's node."""
        return self.init_images + self.images


WORKLOADS: Final = (
    Workload("Deployment", "checkout", (AMD64_ONLY,), ("amd64",), pods=REPLICAS),
    Workload("Deployment", "search", (ARM64_ONLY,), ("arm64",), pods=REPLICAS),
    Workload("Deployment", "web", (MULTI_ARCH,), ("amd64", "arm64"), pods=REPLICAS),
    Workload("Deployment", "web-agent", (MULTI_ARCH, AMD64_ONLY), ("amd64",), pods=REPLICAS),
    Workload("Job", "migrate", (ARM64_ONLY,), ("arm64",), pods=REPLICAS),
    Workload("CronJob", "report", (AMD64_ONLY,), ("amd64",), pods=REPLICAS),
    Workload("DaemonSet", "node-agent", (AMD64_ONLY,), ("amd64",), pods=2, pods_without=len(NODES)),
    Workload("DaemonSet", "log-agent", (MULTI_ARCH,), ("amd64", "arm64"), pods=4, pods_without=len(NODES)),
    Workload("DaemonSet", "late-agent", (LATE_ARM64,), ("arm64",), pods=2, pods_without=len(NODES)),
    Workload("Pod", "toolbox", (MULTI_ARCH,), ("arm64",), init_images=(ARM64_ONLY,)),
    Workload("Pod", "mixed-pair", (PAIR_AMD64, PAIR_ARM64), (), Expected.KEPT),
    Workload("Pod", "sensor", (ARMV7_ONLY,), ("arm",), Expected.PENDING),
)
