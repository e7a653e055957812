"""Offers: whether something in the cluster can give a pod a node of an architecture, and what is in the way."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rightarch.affinity import ARCH_KEYS
from rightarch.taints import Taint


class Offer(StrEnum):
    """Whether a node of an architecture can be had."""

    YES = "yes"
    UNKNOWN = "unknown"
    """Nothing in the cluster says so before a node shows it."""
    NO = "no"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a node can't be had.

    Attributes:
        text: for people, to be read after the name of what would have to give it.
        taint: the taint that is not tolerated, if that is it.
        label: the label of which the pod asks for another value, if that is it.
        platform: whether it is that there is no such architecture or operating system.
        marking: whether the taint stands for the architecture of its nodes, and reserves them for nothing else.
    """

    text: str
    taint: Taint | None = None
    label: str | None = None
    platform: bool = False
    marking: bool = False

    @property
    def own(self) -> bool:
        """Whether the pod itself could do without: a taint that it might tolerate, a label that it need not ask for."""
        return bool(self.taint or self.label)

    @classmethod
    def of_taint(cls, taint: Taint, architecture: str) -> "Obstacle":
        """A taint that is not tolerated, of nodes of an architecture."""
        text = f"has the taint {taint}, which the pod does not tolerate"
        return cls(text, taint, marking=stands_for(taint, architecture))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one source of nodes offers.

    Attributes:
        offer: whether it can give the node.
        source: what it is, for people, such as ``NodePool general``.
        obstacles: why not; empty unless the offer is NO.
    """

    offer: Offer
    source: str = ""
    obstacles: tuple[Obstacle, ...] = ()

    @classmethod
    def of(cls, source: str, obstacles: Iterable[Obstacle], *, sure: bool) -> "Verdict":
        """No where something is in the way; else yes if everything that matters is known."""
        found = tuple(obstacles)
        return cls(Offer.NO if found else Offer.YES if sure else Offer.UNKNOWN, source, found)

    @property
    def missing(self) -> tuple[Taint, ...]:
        """The taints that are all that is in the way; empty where it is something else too."""
        return self.taints if len(self.taints) == len(self.obstacles) else ()

    @property
    def marked(self) -> bool:
        """Whether all that is in the way are taints that stand for the architecture: a policy may tolerate these."""
        return bool(self.obstacles) and all(obstacle.marking for obstacle in self.obstacles)

    @property
    def labels(self) -> frozenset[str]:
        """The labels that are in the way, by their present names; empty where something else is, taints aside."""
        own = all(obstacle.own for obstacle in self.obstacles)
        return frozenset(obstacle.label for obstacle in self.obstacles if obstacle.label) if own else frozenset()

    @property
    def far(self) -> bool:
        """Whether it has no such platform: whatever else is in the way, it will not do."""
        return any(obstacle.platform for obstacle in self.obstacles)

    @property
    def taints(self) -> tuple[Taint, ...]:
        """The taints that are in the way, whatever else is."""
        return tuple(obstacle.taint for obstacle in self.obstacles if obstacle.taint)

    def __str__(self) -> str:
        return f"{self.source} {' and '.join(obstacle.text for obstacle in self.obstacles)}"


def best(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The first of the most promising: a yes, an unknown, else one of the right platform.

    Of these, one whose taints stand for the architecture comes first, since a policy opens it; then one that has taints
    alone, which the pod might tolerate; then the one with the fewest obstacles. Where nobody is there at all who could
    have some, none are named: that is the farthest.
    """
    return min(verdicts, key=_distance, default=None)


def stands_for(taint: Taint, architecture: str) -> bool:
    """Whether a taint of nodes of an architecture is there for the architecture, by its key or its value."""
    named = taint.key in ARCH_KEYS or taint.key.rpartition("/")[2] in {"arch", "architecture"}
    return named or architecture in {taint.value, taint.key}


def _distance(verdict: Verdict) -> tuple[int, bool, bool, bool, bool, int]:
    offer, none = _ORDER[verdict.offer], not verdict.obstacles
    return offer, none, verdict.far, not verdict.marked, not verdict.missing, len(verdict.obstacles)


_ORDER: Final = {offer: place for place, offer in enumerate(Offer)}
