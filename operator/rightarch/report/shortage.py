"""Shortage: that no node of an architecture can be had now, whatever a pod asks for and tolerates. Pure.

What a cluster can offer changes: this says how things are, and takes nothing from a verdict.
"""

from collections.abc import Iterator
from typing import Final

from rightarch.affinity import Constraints
from rightarch.capacity import Capacity, Demand, NodeKind, Offer
from rightarch.report.nodes import Nodes
from rightarch.taints import CORDON

_ALL: Final = ({"operator": "Exists"},)
"""Tolerates every taint."""
_SHOWN: Final = 3


def shortage(nodes: Nodes, architecture: str) -> str:
    """Why no node of an architecture can be had, for people; empty where one can or may be, and where nothing is known.

    Args:
        nodes: those of the cluster, with its NodePools.
        architecture: the wanted one.
    """
    there = [kind for kind in nodes.capacity.nodes if kind.platform and kind.platform[1] == architecture]
    if not len(nodes) or not all(CORDON in kind.taints for kind in there):
        return ""
    closed = list(_closed(nodes.capacity, architecture))
    return "" if None in closed else "; ".join([_nodes(there, architecture), *_told([each for each in closed if each])])


def _nodes(there: list[NodeKind], architecture: str) -> str:
    return f"all Nodes of {architecture} are cordoned" if there else f"no Node has {architecture} now"


def _closed(capacity: Capacity, architecture: str) -> Iterator[str | None]:
    """What keeps each NodePool that has the architecture from giving a node; None for one that may give it."""
    demand = Demand(Constraints({}, None), frozenset({architecture}), "linux", _ALL)
    for pool in capacity.pools:
        verdict = pool.verdict(demand, architecture, shown=False)
        if verdict is None or not verdict.far:
            yield None if verdict is None or verdict.offer is not Offer.NO else str(verdict)


def _told(closed: list[str]) -> list[str]:
    more = len(closed) - _SHOWN
    return [*closed[:_SHOWN], *([f"{more} more NodePools can give none"] if more > 0 else [])]
