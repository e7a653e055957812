"""Money: what workloads cost by a list of prices, and what they would on machines of another architecture. Pure.

A pod costs the share of its node that it asks for: the mean of its share of CPU and that of memory, of what the node
lets pods ask for. So the pods of a node never cost more than the node, and what nobody asks for is nobody's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
        priced: pods whose node has a price: all of ``now`` is theirs.
        unpriced: pods whose node has no price in the source.
        unmatched: pods whose node has a price, and no equivalent of the wanted architecture.
    """

    now: float = 0.0
    saved: float = 0.0
    priced: int = 0
    unpriced: int = 0
    unmatched: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.now + other.now,
            self.saved + other.saved,
            self.priced + other.priced,
            self.unpriced + other.unpriced,
            self.unmatched + other.unmatched,
        )

    @property
    def known(self) -> bool:
        """Whether ``now`` tells anything: a price is known of a pod, or there is none."""
        return self.priced > 0 or not self.unpriced

    @property
    def saving_known(self) -> bool:
        """Whether ``saved`` tells anything, likewise."""
        return self.priced > self.unmatched or not (self.unpriced or self.unmatched)

    @property
    def part(self) -> bool:
        """Whether ``now`` is of some of the pods alone."""
        return self.unpriced > 0

    @property
    def saving_part(self) -> bool:
        """Whether ``saved`` is, likewise."""
        return self.unpriced > 0 or self.unmatched > 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """The nodes, as far as a source of prices tells what they cost.

    Attributes:
        nodes: how many there are.
        priced: how many have a price.
        cost: what those cost in an hour.
        missing: the instance types of others, of which the source has no price, or several.
        untyped: the names of others that have no label of an instance type.
        unread: what others say in the place of a price, by their names.
    """

    nodes: int = 0
    priced: int = 0
    cost: float = 0.0
    missing: tuple[str, ...] = ()
    untyped: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)


class Purse:
    """Tells what workloads cost.

    Args:
        prices: the source.
        nodes: the machines.
        architecture: the wanted one.
    """

    def __init__(self, prices: PriceList, nodes: Nodes, architecture: str) -> None:
        self._nodes, self._architecture, self._prices = nodes, architecture, prices
        self._bought: Mapping[str, Offering | None] = {node.name: prices.of_node(node) for node in nodes}
        self._equivalents = {
            offering: prices.equivalent(offering, architecture) for offering in set(self._bought.values()) if offering
        }

    def fleet(self) -> Fleet:
        """What is known of the nodes."""
        found = [offering.price for offering in self._bought.values() if offering]
        unread = {node.name: said for node in self._nodes if (said := self._prices.unread.get(node.name))}
        others = [node for node in self._nodes if self._bought[node.name] is None and node.name not in unread]
        missing = {node.instance_type for node in others if node.instance_type}
        untyped = sorted(node.name for node in others if not node.instance_type)
        return Fleet(len(self._nodes), len(found), sum(found), tuple(sorted(missing)), tuple(untyped), unread)

    def cost(self, workload: Workload) -> Cost:
        """What the pods of a workload cost."""
        return total(self._pods(each.node, each.pods, each.requests) for each in workload.placed)

    def _pods(self, name: str, pods: int, requests: Resources) -> Cost:
        node, bought = self._nodes.get(name), self._bought.get(name)
        if node is None or bought is None:
            return Cost(unpriced=pods)
        share = _share(node, requests)
        if node.architecture == self._architecture:
            return Cost(share * bought.price, priced=pods)
        other = self._equivalents[bought]
        if other is None:
            return Cost(share * bought.price, priced=pods, unmatched=pods)
        return Cost(share * bought.price, share * (bought.price - other.price), priced=pods)


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
