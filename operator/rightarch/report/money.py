"""Money: what workloads cost by a list of prices, and what they would on machines of another architecture. Pure.

A pod costs the share of its node that it asks for: the mean of its share of CPU and that of memory, of what the node
lets pods ask for. So the pods of a node never cost more than the node, and what nobody asks for is nobody's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rightarch.report.nodes import Node, Nodes
from rightarch.report.prices import Offering, PriceList
from rightarch.report.resources import Resources
from rightarch.report.workload import Workload


@dataclass(frozen=True, slots=True)
class Cost:
    """What pods cost in an hour.

    Attributes:
        now: on the nodes that they are on.
        saved: of that, what machines of the wanted architecture and the same shape would save; negative where those
            cost more.
        unpriced: pods whose node has no price in the source.
        unmatched: pods whose node has a price, and no equivalent of the wanted architecture.
    """

    now: float = 0.0
    saved: float = 0.0
    unpriced: int = 0
    unmatched: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.now + other.now,
            self.saved + other.saved,
            self.unpriced + other.unpriced,
            self.unmatched + other.unmatched,
        )


class Purse:
    """Tells what workloads cost.

    Args:
        prices: the source.
        nodes: the machines.
        architecture: the wanted one.
    """

    def __init__(self, prices: PriceList, nodes: Nodes, architecture: str) -> None:
        self._nodes, self._architecture = nodes, architecture
        self._bought: Mapping[str, Offering | None] = {node.name: prices.of_node(node) for node in nodes}
        self._equivalents = {
            offering: prices.equivalent(offering, architecture) for offering in set(self._bought.values()) if offering
        }

    @property
    def priced(self) -> int:
        """Nodes that have a price in the source."""
        return sum(offering is not None for offering in self._bought.values())

    @property
    def nodes(self) -> float:
        """What all nodes that have a price cost in an hour."""
        return sum(offering.price for offering in self._bought.values() if offering)

    def cost(self, workload: Workload) -> Cost:
        """What the pods of a workload cost."""
        return total(self._pods(each.node, each.pods, each.requests) for each in workload.placed)

    def _pods(self, name: str, pods: int, requests: Resources) -> Cost:
        node, bought = self._nodes.get(name), self._bought.get(name)
        if node is None or bought is None:
            return Cost(unpriced=pods)
        share = _share(node, requests)
        if node.architecture == self._architecture:
            return Cost(share * bought.price)
        other = self._equivalents[bought]
        if other is None:
            return Cost(share * bought.price, unmatched=pods)
        return Cost(share * bought.price, share * (bought.price - other.price))


def total(each: Iterable[Cost]) -> Cost:
    """The sum."""
    summed = Cost()
    for one in each:
        summed += one
    return summed


def _share(node: Node, requests: Resources) -> float:
    has = node.resources
    cpu = requests.cpu / has.cpu if has.cpu else 0.0
    memory = requests.memory / has.memory if has.memory else 0.0
    return (cpu + memory) / 2
