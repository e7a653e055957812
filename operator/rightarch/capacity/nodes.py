"""Nodes: those that look alike to the scheduler are one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from sys import intern
from typing import Any, Final

from rightarch import taints
from rightarch.affinity import ARCH_KEYS, OS_KEYS
from rightarch.capacity.demand import Demand, Way
from rightarch.capacity.offer import Obstacle, Verdict, best
from rightarch.taints import Taint

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
        os, architecture = _first(self.labels, OS_KEYS), _first(self.labels, ARCH_KEYS)
        return (os, architecture) if os and architecture else None

    @property
    def pool(self) -> str | None:
        """The NodePool that they are of."""
        return self.labels.get(POOL)

    def verdict(self, demand: Demand) -> Verdict | None:
        """Whether they can take a pod; None where no way to satisfy its constraints means their platform."""
        assert self.platform, "those without are not asked"
        ways = [way for way in demand.ways if way.admits(*self.platform)]
        keeping = taints.untolerated(self.taints, demand.tolerations)
        return best(self._verdict(way, keeping) for way in ways)

    def _verdict(self, way: Way, keeping: tuple[Taint, ...]) -> Verdict:
        assert self.platform, "likewise"
        obstacles = [*self._mismatches(way), *(_kept_away(taint) for taint in keeping if not taint.passes)]
        known = not self.partial or way.wants.keys() <= self.labels.keys()
        sure = known and not way.fields and not OWN & way.wants.keys() and not any(taint.passes for taint in keeping)
        return Verdict.of(f"the nearest {self.platform[1]} Node", obstacles, sure=sure)

    def _mismatches(self, way: Way) -> Iterator[Obstacle]:
        for key, allowed in way.wants.items():
            value = self.labels.get(key)
            unknown = key in OWN or (self.partial and value is None)
            if not unknown and not allowed.admits(value):
                has = f"lacks the label {key}" if value is None else f"has {key}={value}"
                yield Obstacle(f"{has}, and the pod asks for {key} {allowed}")


def _kept_away(taint: Taint) -> Obstacle:
    return Obstacle("is cordoned", None) if taint == taints.CORDON else Obstacle.of_taint(taint)


def _first(labels: Mapping[str, str], keys: tuple[str, ...]) -> str:
    return next((labels[key] for key in keys if key in labels), "")
