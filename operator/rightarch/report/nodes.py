"""Nodes: what of a cluster's machines matters to a report."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rightarch.affinity import ARCH_KEYS, OS_KEYS
from rightarch.capacity import POOL, Capacity, NodeKind, NodePool, Platform, stated
from rightarch.report.resources import Resources

INSTANCE_TYPES: Final = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
HARDWARE: Final = frozenset(
    {
        *INSTANCE_TYPES,
        "kubernetes.io/hostname",
        "karpenter.k8s.aws/instance-family",
        "karpenter.k8s.aws/instance-cpu-manufacturer",
        "karpenter.azure.com/sku-family",
        "karpenter.azure.com/sku-name",
        "eks.amazonaws.com/nodegroup",
        "eks.amazonaws.com/instance-family",
        "cloud.google.com/gke-nodepool",
        "cloud.google.com/machine-family",
        "kubernetes.azure.com/agentpool",
        "agentpool",
    }
)
"""Labels that name machines, and so an architecture: which one, the nodes that have them show."""
NAMING: Final = HARDWARE | {POOL}
"""Those, and the one that names a NodePool: which architectures that may have, it says itself."""
_ZONES: Final = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_CAPACITY_TYPES: Final = ("karpenter.sh/capacity-type", "eks.amazonaws.com/capacityType")


@dataclass(frozen=True, slots=True)
class Node:
    """A machine.

    Attributes:
        kind: what it is to the scheduler.
        resources: what pods may ask of it.
        whole: what it has in all.
        hardware: its labels that name machines.
        price: what a label says that it costs; empty where none does.
    """

    name: str
    os: str
    architecture: str
    kind: NodeKind
    resources: Resources = field(default_factory=Resources)
    whole: Resources = field(default_factory=Resources)
    instance_type: str = ""
    zone: str = ""
    capacity_type: str = ""
    hardware: Mapping[str, str] = field(default_factory=dict)
    price: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, Any], price_label: str | None = None) -> "Node":
        """What a raw Node says."""
        labels: Mapping[str, str] = raw["metadata"].get("labels") or {}
        status: Mapping[str, Any] = raw.get("status") or {}
        return cls(
            raw["metadata"]["name"],
            stated(labels, OS_KEYS),
            stated(labels, ARCH_KEYS),
            NodeKind.of(raw),
            Resources.of(status.get("allocatable")),
            Resources.of(status.get("capacity")),
            stated(labels, INSTANCE_TYPES),
            stated(labels, _ZONES),
            stated(labels, _CAPACITY_TYPES).lower().replace("_", "-"),
            {key: value for key, value in labels.items() if key in HARDWARE},
            labels.get(price_label, "") if price_label else "",
        )


class Nodes:
    """All Nodes, by name; empty where they can't be read.

    Args:
        nodes: in any order.
        pools: Karpenter's NodePools.
        sightings: which platform of which NodePool its NodeClaims have shown.
        capacity: what they and the NodePools can offer, where that is known already.
        hardware: the architectures of machines by their labels that name some, likewise.

    Attributes:
        capacity: what they and the NodePools can offer.
    """

    def __init__(
        self,
        nodes: Iterable[Node] = (),
        pools: Iterable[NodePool] = (),
        sightings: Iterable[tuple[str, Platform]] = (),
        *,
        capacity: Capacity | None = None,
        hardware: Mapping[tuple[str, str], Collection[str]] | None = None,
    ) -> None:
        self._nodes = {node.name: node for node in nodes}
        kinds = dict.fromkeys(node.kind for node in self._nodes.values())
        self.capacity = capacity or Capacity.of_kinds(kinds, pools, sightings)
        self._seen = self._architectures() if hardware is None else hardware
        self._pools = {(POOL, pool.name): self._possible(pool) for pool in self.capacity.pools}

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def get(self, name: str) -> Node | None:
        """A Node by its name."""
        return self._nodes.get(name)

    def implied(self, key: str, values: Iterable[str]) -> frozenset[str] | None:
        """The architectures of the machines that have one of a label's values; None where one of them tells nothing."""
        known: Mapping[tuple[str, str], Collection[str]] = self._pools if key == POOL else self._seen
        each = [known.get((key, value)) for value in values]
        if not each or any(found is None for found in each):
            return None
        return frozenset(architecture for found in each for architecture in found or ())

    def _possible(self, pool: NodePool) -> frozenset[str]:
        """The architectures that machines of a NodePool may have, or have from another time."""
        return pool.architectures | {architecture for _, architecture in self.capacity.shown.get(pool.name, ())}

    def _architectures(self) -> Mapping[tuple[str, str], Collection[str]]:
        seen: dict[tuple[str, str], set[str]] = {}
        for node in self._nodes.values():
            for entry in node.hardware.items() if node.architecture else ():
                seen.setdefault(entry, set()).add(node.architecture)
        return seen
