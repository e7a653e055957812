"""Emulation: nodes that run programs of an architecture that is not theirs, for images that share none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rightarch.affinity import ARCH, OS
from rightarch.placement.case import Case
from rightarch.policy import Emulation


@dataclass(frozen=True, slots=True)
class Emulated:
    """Where a pod runs by emulation.

    Attributes:
        architecture: the one that is emulated.
        nodes: the architectures of nodes on which every image runs, be it natively or emulated.
        labels: that the nodes which emulate have.
    """

    architecture: str
    nodes: frozenset[str]
    labels: Mapping[str, str]

    def __str__(self) -> str:
        labels = ", ".join(f"{key}={value}" for key, value in self.labels.items())
        return f"{self.architecture} is emulated on nodes with {labels}"


def find(case: Case) -> Emulated | None:
    """How all images of a pod run together that share no architecture, or None: the first way that it admits itself."""
    ways = (_way(case, each) for each in _first(case.policy.facts.emulation))
    return next((way for way in ways if case.own.admitted(way.nodes, case.os, way.labels)), None)


def _first(stated: tuple[Emulation, ...]) -> Iterator[Emulation]:
    """Per architecture, the first statement."""
    seen = set[str]()
    for each in stated:
        if each.architecture not in seen:
            seen.add(each.architecture)
            yield each


def _way(case: Case, stated: Emulation) -> Emulated:
    """Every image that lacks the emulated architecture must run natively, all of them on the same nodes."""
    supported = [image.node_architectures(case.os) for image in case.known.values()]
    native = [each for each in supported if stated.architecture not in each]
    nodes = frozenset[str]().union(*native).intersection(*native)
    labels = dict(stated.node_selector)
    if labels.pop(OS, case.os) != case.os:
        nodes = frozenset()
    if (named := labels.pop(ARCH, None)) is not None:
        nodes &= {named}
    if allowed := case.choices.architectures.allowed:
        nodes = nodes.intersection(allowed)
    return Emulated(stated.architecture, nodes, labels)
