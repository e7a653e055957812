"""Capacity: which operating systems and architectures the nodes of the cluster have."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from rightarch.affinity import ARCH_KEYS, OS_KEYS


@dataclass(frozen=True)
class Capacity:
    """The (operating system, architecture) pairs of the cluster's Nodes; empty while they are not known."""

    platforms: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of_nodes(cls, nodes: Iterable[Mapping[str, str]]) -> "Capacity":
        """The capacity of some Nodes, given the labels of each; one that lacks either label counts for nothing."""
        pairs = ((_first(labels, OS_KEYS), _first(labels, ARCH_KEYS)) for labels in nodes)
        return cls(frozenset((os, architecture) for os, architecture in pairs if os and architecture))

    @cached_property
    def oses(self) -> frozenset[str]:
        """The operating systems of all Nodes."""
        return frozenset(os for os, _ in self.platforms)

    def architectures(self, os: str) -> frozenset[str]:
        """The architectures of the Nodes that have an operating system."""
        return frozenset(architecture for name, architecture in self.platforms if name == os)


def _first(labels: Mapping[str, str], keys: Iterable[str]) -> str:
    return next((labels[key] for key in keys if key in labels), "")
