"""Capacity: what nodes the cluster has, and which ones it can get."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any, Final

import orjson

from rightarch.affinity import ARCH_KEYS, OS_KEYS
from rightarch.capacity.answer import Answer
from rightarch.capacity.demand import Demand, Way
from rightarch.capacity.nodes import POOL, NodeKind, stated
from rightarch.capacity.offer import Offer, Verdict, best
from rightarch.capacity.pools import NodePool
from rightarch.taints import Tolerations

MAX_LOOKS: Final = 30_000
"""Requirements that are held against nodes for one pod: its author must not make us look at millions."""
MAX_MISSES: Final = 20
"""Kinds of Nodes that are asked what is in the way, if none offers a node."""

_MEMORY: Final = 1024
_MAX_ALIKE: Final = 4096
"""Constraints that are remembered, and bytes that each may have: their authors must not make us keep much."""
_ASSUMED: Final = Verdict(Offer.YES, "a policy")
_UNKNOWN: Final = Verdict(Offer.UNKNOWN, "the cluster")

Platform = tuple[str, str]
"""An operating system and an architecture."""


@dataclass(frozen=True)
class Capacity:
    """What the cluster can offer; empty while it is not known.

    Attributes:
        platforms: those of Nodes of which nothing else is known.
        nodes: the Nodes, one of each kind.
        pools: Karpenter's NodePools.
        shown: per NodePool, the platforms that its Nodes and NodeClaims have shown.
        complete: whether this is all there is: before, nothing is said to be missing.
    """

    platforms: frozenset[Platform] = frozenset()
    nodes: tuple[NodeKind, ...] = ()
    pools: tuple[NodePool, ...] = ()
    shown: Mapping[str, frozenset[Platform]] = field(default_factory=dict)
    complete: bool = True

    @classmethod
    def of_nodes(cls, nodes: Iterable[Mapping[str, str]]) -> "Capacity":
        """The capacity of some Nodes, given the labels of each; one that lacks either label counts for nothing."""
        pairs = ((stated(labels, OS_KEYS), stated(labels, ARCH_KEYS)) for labels in nodes)
        return cls(frozenset((os, architecture) for os, architecture in pairs if os and architecture))

    @classmethod
    def of(
        cls,
        nodes: Iterable[Mapping[str, Any]],
        pools: Iterable[Mapping[str, Any]] = (),
        claims: Iterable[Mapping[str, Any]] = (),
    ) -> "Capacity":
        """The capacity of raw Nodes, NodePools and NodeClaims."""
        kinds = dict.fromkeys(map(NodeKind.of, nodes))
        labels = (claim["metadata"].get("labels") or {} for claim in claims)
        return cls.of_kinds(kinds, map(NodePool.of, pools), (seen for each in labels if (seen := sighting(each))))

    @classmethod
    def of_kinds(
        cls,
        kinds: Iterable[NodeKind],
        pools: Iterable[NodePool],
        sightings: Iterable[tuple[str, Platform]],
        *,
        complete: bool = True,
    ) -> "Capacity":
        """The capacity of what was read already.

        Args:
            kinds: the kinds of Nodes.
            pools: the NodePools.
            sightings: which platform of which NodePool was seen on NodeClaims.
            complete: whether that is all there is.
        """
        nodes = tuple(kind for kind in kinds if kind.platform)
        shown: dict[str, set[Platform]] = {}
        for pool, platform in [*sightings, *(seen for kind in nodes if (seen := sighting(kind.labels)))]:
            shown.setdefault(pool, set()).add(platform)
        ordered = sorted(pools, key=lambda pool: (-pool.weight, pool.name))
        frozen = {pool: frozenset(platforms) for pool, platforms in shown.items()}
        platforms = frozenset(kind.platform for kind in nodes if kind.platform)
        return cls(platforms, nodes, tuple(ordered), frozen, complete)

    @cached_property
    def oses(self) -> frozenset[str]:
        """The operating systems that nodes have or may get."""
        return frozenset(os for os, _ in self.platforms).union(*(pool.oses for pool in self.pools))

    def architectures(self, os: str) -> frozenset[str]:
        """The architectures that nodes of an operating system have or may get."""
        there = frozenset(architecture for name, architecture in self.platforms if name == os)
        return there.union(*(pool.architectures for pool in self.pools if os in pool.oses))

    def answer(self, demand: Demand) -> Answer:
        """What the cluster offers a pod, per architecture that was decided for it."""
        return Answer(demand, {each: self._verdict(demand, each) for each in sorted(demand.architectures)})

    def refusal(self, demand: Demand) -> str | None:
        """Why no node can be had for a pod, or None where one can or may; in the words of ``Answer``."""
        if self._offered(demand):
            return None
        verdicts: dict[str, Verdict] = {}
        for each in sorted(demand.architectures):
            verdicts[each] = verdict = self._verdict(demand, each)
            if verdict.offer is not Offer.NO:
                return None
        return Answer(demand, verdicts).message or None

    def barred(self, demand: Demand, architecture: str) -> Verdict | None:
        """The nearest NodePool that has an architecture, where nothing but labels that the pod asks for keeps it out.

        None where a node can or may be had, and where one could if it were not for something else, such as a limit.
        Labels of Nodes are no such reason: there may be others tomorrow, while a NodePool says what it will never have.
        Taints may be in the way besides.
        """
        if self._verdict(demand, architecture).offer is not Offer.NO:
            return None
        asked = (pool.verdict(demand, architecture, shown=False) for pool in self.pools)
        each = [verdict for verdict in asked if verdict and not verdict.far]
        if not all(any(obstacle.own for obstacle in verdict.obstacles) for verdict in each):
            return None
        return best(verdict for verdict in each if verdict.labels)

    @cached_property
    def _told(self) -> dict[Hashable, bool]:
        """What ``_offered`` said of pods."""
        return {}

    def _offered(self, demand: Demand) -> bool:
        """Whether a pod gets a node, or may get one, whatever it tolerates: remembered, since most pods are alike."""
        constraints = orjson.dumps((demand.constraints.selector, demand.constraints.terms))
        if len(constraints) > _MAX_ALIKE:
            return False
        key = constraints, demand.os, demand.architectures, demand.assumed
        offered = self._told.get(key)
        if offered is None:
            if len(self._told) >= _MEMORY:
                self._told.clear()
            bare = replace(demand, tolerations=())
            looked = (self._verdict(bare, each).offer for each in sorted(demand.architectures))
            offered = self._told[key] = any(offer is not Offer.NO for offer in looked)
        return offered

    def _verdict(self, demand: Demand, architecture: str) -> Verdict:
        if architecture in demand.assumed:
            return _ASSUMED
        sources = len(self.nodes or self.platforms) + len(self.pools)
        if not sources or demand.size * sources > MAX_LOOKS:
            return _UNKNOWN
        found: list[Verdict] = []
        for verdict in self._verdicts(demand, architecture):
            if verdict.offer is Offer.YES:
                return verdict
            found.append(verdict)
        verdict = best(found) or Verdict(Offer.NO, _nobody(architecture, self.pools))
        return verdict if self.complete or verdict.offer is not Offer.NO else _UNKNOWN

    def _verdicts(self, demand: Demand, architecture: str) -> Iterator[Verdict]:
        """NodePools after Nodes: what is there is sure; but of what is in the way, NodePools tell more."""
        ways = [way for way in demand.ways if way.admits(demand.os, architecture)]
        kinds = self._kinds.get((demand.os, architecture), ()) if ways else ()
        offers = ((kind.offer(ways, demand.tolerations), kind) for kind in kinds)
        missed: list[NodeKind] = []
        for offer, kind in offers:
            if offer is not Offer.NO:
                yield Verdict(offer, f"a Node of {architecture}")
            else:
                missed.append(kind)
        for pool in self.pools:
            shown = (demand.os, architecture) in self.shown.get(pool.name, ())
            if verdict := pool.verdict(demand, architecture, shown=shown):
                yield verdict
        yield from (kind.verdict(ways, demand.tolerations) for kind in _asked(missed, ways, demand.tolerations))

    @cached_property
    def _kinds(self) -> Mapping[Platform, tuple[NodeKind, ...]]:
        """The kinds of Nodes by platform."""
        kinds: dict[Platform, list[NodeKind]] = {}
        for kind in self.nodes or [NodeKind.of_platform(*platform) for platform in sorted(self.platforms)]:
            if kind.platform:
                kinds.setdefault(kind.platform, []).append(kind)
        return {platform: tuple(each) for platform, each in kinds.items()}


def sighting(labels: Mapping[str, str]) -> tuple[str, Platform] | None:
    """The NodePool of a Node or NodeClaim, and the platform that it shows; None where it has or tells none."""
    pool, os, architecture = labels.get(POOL), stated(labels, OS_KEYS), stated(labels, ARCH_KEYS)
    return (pool, (os or "linux", architecture)) if pool and architecture else None


def _asked(missed: Sequence[NodeKind], ways: Sequence[Way], tolerations: Tolerations) -> Sequence[NodeKind]:
    """Those kinds of Nodes that are asked what is in the way: of many, those first that a policy may open."""
    if len(missed) <= MAX_MISSES:
        return missed
    marked = islice((kind for kind in missed if kind.marked(ways, tolerations)), MAX_MISSES)
    return [*marked, *missed[:MAX_MISSES]][:MAX_MISSES]


def _nobody(architecture: str, pools: tuple[NodePool, ...]) -> str:
    return f"no Node has {architecture}" + ("" if pools else ", and there is no NodePool")
