"""NodePools: what Karpenter can buy.

Source: sigs.k8s.io/karpenter, ``pkg/controllers/provisioning`` (which NodePools are asked, limits), ``pkg/scheduling``
(Requirements.Compatible): labels that providers know need not be in a NodePool, others must be; and
``pkg/cloudprovider`` (InstanceTypes.SatisfiesMinValues): of each label that has ``minValues``, the instance types that
are left for a pod must have so many values. What types there are, and whether Karpenter insists (its setting
MIN_VALUES_POLICY), nothing in the cluster tells.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from rightarch import taints
from rightarch.affinity import ARCH, OS
from rightarch.capacity.allowed import Allowed, listed, read
from rightarch.capacity.demand import Demand, Way, current
from rightarch.capacity.nodes import OWN, POOL
from rightarch.capacity.offer import Obstacle, Verdict, best
from rightarch.quantities import parse
from rightarch.taints import Taint

POSSIBLE_OSES: Final = ("linux", "windows")
POSSIBLE_ARCHITECTURES: Final = ("amd64", "arm64")
"""What Karpenter's providers have."""
_MACHINES: Final = (
    "instance-type",
    "instance-typename",
    "instance-family",
    "instance-cpu-manufacturer",
    "machine-type",
    "machine-family",
    "sku-name",
    "sku-family",
    "sku-series",
    "instance-gpu-name",
    "instance-gpu-manufacturer",
    "instance-accelerator-name",
    "instance-accelerator-manufacturer",
    "ami",
    "ami-id",
    "ami-family",
    "image-family",
)
"""How the keys end that name machines or what boots them: each of these has one architecture, and nobody says which."""
_USUAL: Final = frozenset({"cpu", "memory", "ephemeral-storage", "pods", "nodes"})
"""Resources of which every machine has some, so that at the limit none can be had. Of others, such as GPUs, most have
none: these are still bought at the limit, and no longer beyond it."""
_PROVIDERS: Final = ("kubernetes.io", "k8s.io", "amazonaws.com", "azure.com", "google.com", "k8s.aws")
_MAX_MESSAGE: Final = 200


@dataclass(frozen=True)
class NodePool:
    """A NodePool.

    Attributes:
        name: its name.
        requirements: what it admits of each label, those of its template included.
        taints: those that its nodes have for good; startup taints keep nobody away.
        least: per label, how many values the instance types that are left for a pod must have, where that is several.
        weight: those of more are asked first.
        obstacles: why it buys nothing at all now.
        certain: whether Karpenter has said that it is ready.
    """

    name: str
    requirements: Mapping[str, Allowed]
    taints: tuple[Taint, ...] = ()
    least: Mapping[str, int] = field(default_factory=dict)
    weight: int = 0
    obstacles: tuple[Obstacle, ...] = ()
    certain: bool = True

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "NodePool":
        """What a raw NodePool of ``karpenter.sh/v1`` says."""
        name, spec, status = raw["metadata"]["name"], raw.get("spec") or {}, raw.get("status") or {}
        template = spec.get("template") or {}
        own = template.get("spec") or {}
        ready = _condition(status, "Ready")
        return cls(
            name,
            _requirements(name, template),
            taints.read(own.get("taints")),
            _least(own),
            int(spec.get("weight") or 0),
            tuple(_obstacles(raw, spec, status, ready)),
            certain=ready.get("status") == "True" and spec.get("replicas") is None,
        )

    @cached_property
    def source(self) -> str:
        """What it is, for people."""
        return f"NodePool {self.name}"

    @cached_property
    def named(self) -> frozenset[str]:
        """The architectures that it is sure to have: named, with nothing beside it that decides on machines."""
        wanted = self.requirements.get(ARCH)
        if wanted is None or wanted.named is None or any(map(self._decides, self.requirements)):
            return frozenset()
        return wanted.named

    @cached_property
    def architectures(self) -> frozenset[str]:
        """The architectures that it may have."""
        return self._possible(ARCH, POSSIBLE_ARCHITECTURES)

    @cached_property
    def oses(self) -> frozenset[str]:
        """The operating systems that it may have."""
        return self._possible(OS, POSSIBLE_OSES)

    def verdict(self, demand: Demand, architecture: str, *, shown: bool) -> Verdict | None:
        """Whether it can buy a node of an architecture for a pod; None where the pod's constraints don't mean that.

        Args:
            demand: the pod.
            architecture: one of those that were decided for it.
            shown: whether a Node or NodeClaim of the NodePool has the architecture.
        """
        ways = [way for way in demand.ways if way.admits(demand.os, architecture)]
        return best(self._verdict(way, demand, architecture, shown=shown) for way in ways)

    def _verdict(self, way: Way, demand: Demand, architecture: str, *, shown: bool) -> Verdict:
        obstacles = [*self._closed(demand, architecture), *self._mismatches(way)]
        known = all(key in self.requirements or not _is_known_to_providers(key) for key in way.labels)
        sure = self.certain and known and (shown or architecture in self.named) and self._has(demand.os)
        sure = sure and not self._limited(way, demand) and not taints.doubtful(self.taints, demand.tolerations)
        return Verdict.of(self.source, obstacles, sure=sure)

    def _closed(self, demand: Demand, architecture: str) -> Iterator[Obstacle]:
        """What keeps every pod of this platform and with these tolerations away."""
        yield from self.obstacles
        for key, value in ((ARCH, architecture), (OS, demand.os)):
            allowed = self.requirements.get(key)
            if allowed and not allowed.admits(value):
                yield Obstacle(_allows(key, allowed, value), platform=True)
        for taint in taints.untolerated(self.taints, demand.tolerations):
            yield Obstacle.of_taint(taint, architecture)

    def _mismatches(self, way: Way) -> Iterator[Obstacle]:
        if way.fields:
            yield Obstacle("serves no pod whose terms have matchFields")
        for key, wanted in way.labels.items():
            allowed = self.requirements.get(key)
            if allowed and (allowed & wanted).empty:
                yield Obstacle(f"allows {key} {allowed}, and the pod asks for {key} {wanted}", label=key)
            elif allowed is None and wanted.needs and not _is_known_to_providers(key):
                yield Obstacle(f"sets no label {key}, and the pod asks for {key} {wanted}", label=key)

    def _limited(self, way: Way, demand: Demand) -> bool:
        """Whether the instance types that are left for a pod may be too much alike; of architectures that is known."""
        return any(
            key != ARCH or sum(way.admits(demand.os, each) for each in self.named & demand.architectures) < least
            for key, least in self.least.items()
        )

    def _has(self, os: str) -> bool:
        """Whether it is sure to have an operating system; one that names none has Linux, if anything is usual."""
        allowed = self.requirements.get(OS)
        return os == "linux" if allowed is None else allowed.named is not None and os in allowed.named

    def _decides(self, key: str) -> bool:
        """Whether a requirement picks machines. One that only leaves some out picks none."""
        return key.rpartition("/")[2] in _MACHINES and self.requirements[key].named is not None

    def _possible(self, key: str, values: tuple[str, ...]) -> frozenset[str]:
        allowed = self.requirements.get(key, Allowed())
        return allowed.named if allowed.named is not None else frozenset(filter(allowed.admits, values))


def _requirements(name: str, template: Mapping[str, Any]) -> Mapping[str, Allowed]:
    labels = {POOL: name, **((template.get("metadata") or {}).get("labels") or {})}
    expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()]
    expressions += (template.get("spec") or {}).get("requirements") or []
    return read({**each, "key": current(each["key"])} for each in expressions)


def _least(own: Mapping[str, Any]) -> Mapping[str, int]:
    each = [(current(raw["key"]), int(raw.get("minValues") or 0)) for raw in own.get("requirements") or ()]
    return {key: max(least for name, least in each if name == key) for key, least in each if least > 1}


def _obstacles(
    raw: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any], ready: Mapping[str, str]
) -> Iterator[Obstacle]:
    """Why a NodePool buys nothing, whatever is asked."""
    if raw["metadata"].get("deletionTimestamp"):
        yield Obstacle("is being deleted")
    if ready.get("status") == "False":
        why = ready.get("message") or ready.get("reason") or "Karpenter does not say why"
        yield Obstacle(f"is not Ready ({why[:_MAX_MESSAGE]})")
    if spec.get("replicas") == 0:
        yield Obstacle("has a fixed number of nodes, which is 0")
    used = status.get("resources") or {}
    for resource, limit in (spec.get("limits") or {}).items():
        if _reached(resource, str(used.get(resource) or "0"), str(limit)):
            yield Obstacle(f"is at its limit of {limit} for {resource}")


def _reached(resource: str, used: str, limit: str) -> bool:
    """Whether a limit leaves no machine at all."""
    try:
        return parse(used) >= parse(limit) if resource in _USUAL else parse(used) > parse(limit)
    except ValueError:
        return False


def _allows(key: str, allowed: Allowed, value: str) -> str:
    """What a NodePool says instead of a value that it does not admit."""
    if allowed.named:
        return f"allows only {listed(allowed.named)}"
    if allowed.empty:
        return f"allows nothing at all: its requirements on {key} contradict each other"
    return f"does not allow {value} ({key} {allowed})"


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, str]:
    found = (each for each in status.get("conditions") or () if each.get("type") == kind)
    return next(found, {})


def _is_known_to_providers(key: str) -> bool:
    """Whether Karpenter's provider may know the label of itself, so that a NodePool need not name it."""
    domain = key.rpartition("/")[0]
    return (
        key in OWN
        or domain.startswith("karpenter.")
        or any(domain == each or domain.endswith(f".{each}") for each in _PROVIDERS)
    )
