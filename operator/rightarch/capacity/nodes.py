"""Nodes: those that look alike to the scheduler are one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from sys import intern
from typing import Any, Final

from rightarch import taints
from rightarch.affinity import ARCH_KEYS, OS_KEYS
from rightarch.capacity.demand import Way, current
from rightarch.capacity.offer import Obstacle, Offer, Verdict, best, stands_for
from rightarch.taints import Taint, Tolerations

POOL: Final = "karpenter.sh/nodepool"
"""The label that names a Node's NodePool."""
OWN: Final = frozenset({"kubernetes.io/hostname", "node.kubernetes.io/instance-id", "alpha.eksctl.io/instance-id"})
"""Labels of which each Node has a value of its own: they would make each its own kind."""


@dataclass(frozen=True)
class NodeKind:
    """Nodes of the same labels and taints.

    Attributes:
        entries: the labels, sorted, without those that name single Nodes.
        taints: those that keep pods away; that of a cordon is among them.
        partial: whether there may be labels beside these.
    """

    entries: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...] = ()
    partial: bool = False
    labels: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", dict(self.entries))

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "NodeKind":
        """The kind of a raw Node."""
        spec, labels = raw.get("spec") or {}, raw["metadata"].get("labels") or {}
        entries = sorted((intern(key), intern(value)) for key, value in labels.items() if key not in OWN)
        found = taints.read(spec.get("taints"))
        cordon = {taints.CORDON} if spec.get("unschedulable") else set()
        return cls(tuple(entries), tuple(sorted({*found, *cordon})))

    @classmethod
    def of_platform(cls, os: str, architecture: str) -> "NodeKind":
        """Nodes of which only the platform is known."""
        return cls(((ARCH_KEYS[0], architecture), (OS_KEYS[0], os)), partial=True)

    @cached_property
    def platform(self) -> tuple[str, str] | None:
        """The operating system and the architecture; None where a label is missing."""
        os, architecture = stated(self.labels, OS_KEYS), stated(self.labels, ARCH_KEYS)
        return (os, architecture) if os and architecture else None

    @property
    def pool(self) -> str | None:
        """The NodePool that they are of."""
        return self.labels.get(POOL)

    def offer(self, ways: Sequence[Way], tolerations: Tolerations) -> Offer:
        """Whether they can take a pod: what `verdict` says, without the reasons, and fast, for there may be thousands.

        Args:
            ways: those to satisfy the pod's constraints that mean their platform.
            tolerations: the pod's.
        """
        keeping = taints.untolerated(self.taints, tolerations) if self.taints else ()
        if any(not taint.passes for taint in keeping):
            return Offer.NO
        suiting = [way for way in ways if next(self._unsuited(way), None) is None]
        if not suiting:
            return Offer.NO
        sure = not keeping and not (self.taints and taints.doubtful(self.taints, tolerations))
        return Offer.YES if sure and any(map(self._tells, suiting)) else Offer.UNKNOWN

    def marked(self, ways: Sequence[Way], tolerations: Tolerations) -> bool:
        """Whether only taints that stand for their architecture are in the way; the arguments are those of `offer`."""
        if not self._marks:
            return False
        keeping = taints.untolerated(self.taints, tolerations)
        if any(taint not in self._marks for taint in keeping if not taint.passes):
            return False
        return any(next(self._unsuited(way), None) is None for way in ways)

    def verdict(self, ways: Sequence[Way], tolerations: Tolerations) -> Verdict:
        """Whether they can take a pod, and what is in the way; the arguments are those of `offer`."""
        assert self.platform, "those without are not asked"
        keeping = taints.untolerated(self.taints, tolerations)
        kept = [_kept_away(taint, self.platform[1]) for taint in keeping if not taint.passes]
        source = f"the nearest {self.platform[1]} Node"
        sure = not keeping and not taints.doubtful(self.taints, tolerations)
        each = (Verdict.of(source, [*self._mismatches(way), *kept], sure=sure and self._tells(way)) for way in ways)
        return best(each) or Verdict(Offer.NO, source)

    @cached_property
    def _marks(self) -> frozenset[Taint]:
        """The taints that stand for their architecture."""
        assert self.platform, "those without are not asked"
        return frozenset(taint for taint in self.taints if stands_for(taint, self.platform[1]))

    def _tells(self, way: Way) -> bool:
        """Whether all that a way looks at is known of them."""
        known = not self.partial or way.wants.keys() <= self.labels.keys()
        return known and not way.fields and OWN.isdisjoint(way.wants)

    def _unsuited(self, way: Way) -> Iterator[str]:
        """The labels that are not what a way wants."""
        for key, allowed in way.wants.items():
            value = self.labels.get(key)
            unknown = key in OWN or (self.partial and value is None)
            if not unknown and not allowed.admits(value):
                yield key

    def _mismatches(self, way: Way) -> Iterator[Obstacle]:
        for key in self._unsuited(way):
            value, allowed = self.labels.get(key), way.wants[key]
            has = f"lacks the label {key}" if value is None else f"has {key}={value}"
            yield Obstacle(f"{has}, and the pod asks for {key} {allowed}", label=current(key))


def _kept_away(taint: Taint, architecture: str) -> Obstacle:
    return Obstacle("is cordoned", None) if taint == taints.CORDON else Obstacle.of_taint(taint, architecture)


def stated(labels: Mapping[str, str], keys: Iterable[str]) -> str:
    """What labels say under the first of some names that is there; empty where none is."""
    return next((labels[key] for key in keys if key in labels), "")
