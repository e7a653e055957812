"""Probes: random Nodes and NodePools with a random pod each, to hold what is said of them against what happens."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from rightarch.affinity import Constraints
from rightarch.capacity import Capacity, Demand, Offer
from tests.controlplane import fake_node
from tests.support.karpenter import node_pool, requirement

from .cases import ARCH, LABEL, OS, expression, taint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Object = dict[str, Any]

PROBES: Final = 60
ARCHITECTURES: Final = (
    None, "In amd64", "In arm64", "In arm64", "In amd64 arm64", "In amd64 arm64", "In amd64 arm64", "NotIn amd64",
    "Exists", "In amd64 arm64 minValues 2",
)  # fmt: skip
OTHERS: Final = (
    None, None, None, None, None,
    "topology.kubernetes.io/zone In zone-a zone-b",
    "topology.kubernetes.io/zone In zone-a zone-b",
    "topology.kubernetes.io/zone In zone-a",
    "topology.kubernetes.io/zone NotIn zone-a",
    "karpenter.kwok.sh/instance-cpu Gt 4",
    "karpenter.kwok.sh/instance-cpu Lte 8",
    "karpenter.kwok.sh/instance-family In arm",
    "node.kubernetes.io/instance-type In x86.large arm.large",
    "karpenter.sh/capacity-type In spot",
    "team In red blue",
    "team Exists",
)  # fmt: skip
WANTS: Final = (
    None, None, None, None, None, None,
    "topology.kubernetes.io/zone In zone-a",
    "topology.kubernetes.io/zone In zone-b zone-c",
    "topology.kubernetes.io/zone In zone-c",
    "karpenter.kwok.sh/instance-cpu Gt 8",
    "karpenter.kwok.sh/instance-cpu Lt 4",
    "karpenter.kwok.sh/instance-family NotIn arm",
    "karpenter.sh/capacity-type In on-demand",
    "team In red",
    "team NotIn red",
    "team DoesNotExist",
    "stage In test",
    "stage NotIn test",
    "kubernetes.io/arch NotIn arm64",
    "beta.kubernetes.io/arch In arm64",
)  # fmt: skip
TAINTS: Final = (None, None, None, None, "dedicated=batch:NoSchedule", "dedicated=batch:PreferNoSchedule")
LIMITS: Final = (None, None, None, None, None, {"cpu": "0"}, {"cpu": "100"}, {"nvidia.com/gpu": "0"}, {"nodes": "0"})


@dataclass(frozen=True)
class Probe:
    """Nodes or NodePools, and a pod for them alone.

    Attributes:
        key: what tells them apart.
        nodes: the Nodes.
        pools: the NodePools.
        terms: the pod's own required terms; it is constrained to the architectures in each.
        architectures: those that it is constrained to.
        tolerations: its own.
    """

    key: str
    nodes: tuple[Object, ...]
    pools: tuple[Object, ...]
    terms: tuple[tuple[str, ...], ...]
    architectures: tuple[str, ...]
    tolerations: tuple[Object, ...]

    @classmethod
    def of(cls, number: int, random: Random) -> Probe:
        """A random one."""
        key = f"p{number:02}"
        names = [f"{key}-{index}" for index in range(random.choice((1, 1, 2)))]
        nodes = tuple(_node(name, key, random) for name in names) if number % 2 else ()
        pools = () if nodes else tuple(_pool(name, key, random) for name in names)
        terms = tuple(_term(random) for _ in range(random.choice((0, 1, 1, 2))))
        architectures = random.choice(
            (("amd64",), ("arm64",), ("arm64",), ("amd64", "arm64"), ("amd64", "arm64"), ("arm",))
        )
        tolerant = random.random() < 0.3
        own = ({"key": "dedicated", "operator": "Exists"},) if tolerant else ()
        return cls(key, nodes, pools, terms, architectures, own)

    @property
    def pod(self) -> Object:
        """The pod, as Rightarch would have constrained it."""
        wanted = [requirement(ARCH, "In", *self.architectures), requirement(OS, "In", "linux")]
        terms = [{"matchExpressions": [*each, *wanted]} for each in self._terms or [[]]]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        container = {"name": "main", "image": "127.0.0.1:9/none", "resources": {"requests": {"cpu": "100m"}}}
        spec = {
            "nodeSelector": {LABEL: self.key},
            "tolerations": self._tolerations,
            "affinity": {"nodeAffinity": required},
            "containers": [container],
        }
        metadata = {"name": self.key, "namespace": "without", "labels": {LABEL: self.key}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    def offers(self) -> set[Offer]:
        """What Rightarch says that they offer the pod, before any NodePool has a node."""
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        capacity = Capacity.of(self.nodes, [each | {"status": ready} for each in self.pools])
        terms: Any = [{"matchExpressions": each} for each in self._terms] or None
        own = Constraints({LABEL: self.key}, terms)
        demand = Demand(own, frozenset(self.architectures), "linux", self._tolerations)
        return set(capacity.answer(demand).offers.values())

    @property
    def _terms(self) -> list[list[Object]]:
        return [[expression(text) for text in each] for each in self.terms]

    @property
    def _tolerations(self) -> Sequence[Object]:
        return [taint(f"{LABEL}={self.key}:NoSchedule") | {"operator": "Equal"}, *self.tolerations]


def probes(seed: int) -> list[Probe]:
    """Random ones, the same for the same seed."""
    random = Random(seed)
    return [Probe.of(number, random) for number in range(PROBES)]


def _pool(name: str, key: str, random: Random) -> Object:
    texts = [f"{ARCH} {text}" for text in [random.choice(ARCHITECTURES)] if text]
    texts += [text for text in {random.choice(OTHERS), random.choice(OTHERS)} if text]
    requirements = [*(expression(text) for text in sorted(texts)), requirement(OS, "In", "linux")]
    taints = [taint(text) for text in [f"{LABEL}={key}:NoSchedule", random.choice(TAINTS)] if text]
    return node_pool(name, *requirements, labels={LABEL: key}, taints=taints, limits=random.choice(LIMITS))


def _node(name: str, key: str, random: Random) -> Object:
    """A Node that no Karpenter made; some are cordoned."""
    labels = {LABEL: key} | random.choice(({}, {}, {"team": "red"}, {"team": "blue", "stage": "test"}))
    labels |= random.choice(({}, {"topology.kubernetes.io/zone": "zone-a"}, {"topology.kubernetes.io/zone": "zone-b"}))
    labels |= random.choice(({}, {"karpenter.kwok.sh/instance-cpu": "2"}, {"karpenter.kwok.sh/instance-cpu": "16"}))
    taints = [taint(text) for text in [f"{LABEL}={key}:NoSchedule", random.choice(TAINTS)] if text]
    node = fake_node(name, random.choice(("amd64", "arm64", "arm64")), labels=labels, taints=taints)
    if random.random() < 0.15:
        node["spec"]["unschedulable"] = True
    return node


def _term(random: Random) -> tuple[str, ...]:
    return tuple(_texts(random)) or ("kubernetes.io/os In linux",)


def _texts(random: Random) -> Iterator[str]:
    for _ in range(random.choice((1, 1, 2))):
        if text := random.choice(WANTS):
            yield text
