"""What Karpenter bought for some workloads, and whether that is as it must be. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .scenario import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .scenario import Workload

ACT: Final = tuple(each for each in WORKLOADS if each.kind == "Deployment")
"""The workloads of the second act: those of the first that may have any number of nodes."""


@dataclass(frozen=True)
class Bought:
    """A node that Karpenter bought.

    Attributes:
        machine: the instance type.
        architecture: its kubernetes.io/arch.
        price: in dollars per hour.
    """

    machine: str
    architecture: str
    price: float


@dataclass(frozen=True)
class Purchase:
    """What came of the workloads in one namespace.

    Attributes:
        nodes: what was bought.
        placed: per workload, how many of its pods are on which architecture.
    """

    nodes: tuple[Bought, ...]
    placed: Mapping[str, Mapping[str, int]]

    @property
    def price(self) -> float:
        """Of all nodes, in dollars per hour."""
        return sum(node.price for node in self.nodes)

    @property
    def pods(self) -> int:
        """How many pods have a node."""
        return sum(sum(counts.values()) for counts in self.placed.values())

    @property
    def failing(self) -> int:
        """How many pods are on a node that does not run all of their images."""
        return sum(self.failing_of(workload) for workload in ACT)

    def failing_of(self, workload: Workload) -> int:
        """How many pods of a workload are."""
        runs = frozenset[str].intersection(*(image.runs_on for image in workload.all_images))
        counts = self.placed.get(workload.name, {})
        return sum(count for architecture, count in counts.items() if architecture not in runs)

    @property
    def machines(self) -> str:
        """The nodes in one line."""
        counts = Counter(f"{node.machine} ({node.architecture})" for node in self.nodes)
        return ", ".join(f"{count} x {name}" for name, count in sorted(counts.items())) or "none"


def problems(without: Purchase, with_: Purchase) -> list[str]:
    """All that is not as it must be, a sentence each."""
    return [f"Karpenter: {problem}" for problem in _problems(without, with_)]


def _problems(without: Purchase, with_: Purchase) -> Iterator[str]:
    expected = sum(workload.pods for workload in ACT)
    for side, purchase in (("without", without), ("with", with_)):
        if purchase.pods != expected:
            yield f"{side} Rightarch {purchase.pods} pods have a node; {expected} were expected"
    if not without.failing:
        yield "without Rightarch no pod is where it can't run; the cheaper arm64 was expected to be bought for all"
    if with_.failing:
        yield f"with Rightarch {with_.failing} pods are where they can't run"
    if {node.architecture for node in with_.nodes} != {"amd64", "arm64"}:
        yield f"with Rightarch nodes of both architectures were expected; there are {with_.machines}"


def lines(without: Purchase, with_: Purchase) -> Sequence[str]:
    """What to say in the end."""
    return [
        f"Without Rightarch, Karpenter bought {_sum(without)}.",
        f"With Rightarch, it bought {_sum(with_)}.",
    ]


def _sum(purchase: Purchase) -> str:
    failing = f"{purchase.failing} of {purchase.pods} pods can't run there"
    return f"{purchase.machines} for ${purchase.price:.2f} an hour, and {failing}"
