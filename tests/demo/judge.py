"""Judging: what comes of a pod where it landed, and whether a workload came out as it must. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .scenario import Expected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .scenario import DemoImage, Workload

ARCH = "kubernetes.io/arch"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
CONSTRAINED = "Constrained"
NO_COMMON = "NoCommonArchitecture"
REASONS = {Expected.RUNS: CONSTRAINED, Expected.PENDING: CONSTRAINED, Expected.KEPT: NO_COMMON}

_ALSO_PULLED = {"arm64": frozenset({"arm"})}
"""32-bit arm is pulled on arm64 nodes, where many CPUs, Graviton among them, can't run it."""


class Verdict(StrEnum):
    """What comes of a pod on a real node of the architecture where it landed."""

    RUNS = "runs"
    PENDING = "Pending"
    NO_PULL = "ErrImagePull"
    """The image is an index that lacks the node's platform: the kubelet can't pull it."""
    EXEC_FORMAT_ERROR = "exec format error"
    """The image is pulled without complaint, and its program is for another CPU."""

    @property
    def failed(self) -> bool:
        """Whether the pod landed on a node that can't run it."""
        return self in {Verdict.NO_PULL, Verdict.EXEC_FORMAT_ERROR}


@dataclass(frozen=True)
class SeenPod:
    """A pod as the API server had it in the end.

    Attributes:
        name: its name.
        phase: its phase.
        node: the node it was bound to, if it was.
        architecture: of that node, by its label.
        unschedulable: whether the scheduler found no node for it.
        reason: the Reason that Rightarch wrote, if it did: as its label, or on its DaemonSet.
        spec: its spec; of a DaemonSet's pod with the affinity of the template, in whose place the DaemonSet
            controller puts one that names the node.
    """

    name: str
    phase: str
    node: str | None
    architecture: str | None
    unschedulable: bool
    reason: str | None
    spec: Mapping[str, Any]

    @property
    def written(self) -> tuple[str, ...]:
        """The architectures that its required terms admit; the workloads of the demo name none themselves."""
        expressions = [e for term in self._terms for e in term.get("matchExpressions", ()) if e["key"] == ARCH]
        return tuple(sorted({value for expression in expressions for value in expression["values"]}))

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come."""
        return self.phase in {"Running", "Succeeded"} or (self.node is None and self.unschedulable)

    @property
    def user_spec(self) -> dict[str, Any]:
        """The spec but for the scheduler's choice."""
        return {key: value for key, value in self.spec.items() if key != "nodeName"}

    @property
    def _terms(self) -> Sequence[Mapping[str, Any]]:
        affinity = self.spec.get("affinity", {}).get("nodeAffinity", {})
        terms: Sequence[Mapping[str, Any]] = affinity.get(REQUIRED, {}).get("nodeSelectorTerms", ())
        return terms


@dataclass(frozen=True)
class Seen:
    """A workload as it came out in one namespace: its pods, and the warnings that its creator got."""

    workload: Workload
    pods: tuple[SeenPod, ...]
    warnings: tuple[str, ...] = ()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What comes of each pod."""
        return tuple(verdict(self.workload.all_images, pod) for pod in self.pods)


@dataclass(frozen=True)
class Row:
    """The same workload without Rightarch and with it."""

    without: Seen
    with_: Seen

    @property
    def workload(self) -> Workload:
        """The workload."""
        return self.with_.workload


def verdict(images: Sequence[DemoImage], pod: SeenPod) -> Verdict:
    """What comes of a pod with these images: by the node's label, as a simulated node runs nothing."""
    architecture = pod.architecture
    if architecture is None or not pod.settled:
        return Verdict.PENDING
    wrong = [image for image in images if architecture not in image.runs_on]
    if any(_is_pulled(image, architecture) for image in wrong):
        return Verdict.EXEC_FORMAT_ERROR
    return Verdict.NO_PULL if wrong else Verdict.RUNS


def problems(rows: Sequence[Row]) -> list[str]:
    """All that is not as it must be, a sentence each."""
    return [
        f"{row.workload.kind} {row.workload.name}: {problem}"
        for row in rows
        for problem in (*_fairness(row.without), *_shared(row.with_), *_CHECKS[row.workload.expected](row))
    ]


def _is_pulled(image: DemoImage, architecture: str) -> bool:
    return not image.indexed or bool(image.runs_on & _ALSO_PULLED.get(architecture, frozenset()))


def _fairness(seen: Seen) -> Iterator[str]:
    """The comparison is with what Rightarch never saw, and with as many pods."""
    if touched := [pod.name for pod in seen.pods if pod.reason or pod.written]:
        yield f"without Rightarch, {', '.join(touched)} has something of it"
    if len(seen.pods) != seen.workload.expected_without:
        yield f"without Rightarch it has {len(seen.pods)} pods; {seen.workload.expected_without} were expected"


def _shared(seen: Seen) -> Iterator[str]:
    """What must hold whatever is expected: the pods are there, and each carries its Reason."""
    if len(seen.pods) != seen.workload.pods:
        yield f"it has {len(seen.pods)} pods; {seen.workload.pods} were expected"
    wanted = REASONS[seen.workload.expected]
    for pod in seen.pods:
        if pod.reason != wanted:
            yield f"{pod.name} has the Reason {pod.reason}; {wanted} was expected"
        if pod.written != seen.workload.runs_on:
            yield f"{pod.name} is limited to {_listed(pod.written)}; {_listed(seen.workload.runs_on)} was expected"


def _runs(row: Row) -> Iterator[str]:
    for pod, became in zip(row.with_.pods, row.with_.verdicts, strict=True):
        if became is not Verdict.RUNS:
            yield f"{pod.name} on {pod.node} ({pod.architecture}): {became}; it was expected to run"


def _kept(row: Row) -> Iterator[str]:
    if [pod.user_spec for pod in row.with_.pods] != [pod.user_spec for pod in row.without.pods]:
        yield "its spec is not the same as without Rightarch; it was expected to be unchanged"
    if not any(NO_COMMON in warning for warning in row.with_.warnings):
        yield f"whoever created it was not warned of {NO_COMMON}; the warnings were: {_listed(row.with_.warnings)}"


def _pending(row: Row) -> Iterator[str]:
    for pod in row.with_.pods:
        if pod.node or pod.phase != "Pending" or not pod.unschedulable:
            yield f"{pod.name} is {pod.phase} on {pod.node}; it was expected to stay Pending, as no node is right"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) or "nothing"


_CHECKS = {Expected.RUNS: _runs, Expected.KEPT: _kept, Expected.PENDING: _pending}
