"""What is asked of the cluster: a pod's own constraints, and what was decided for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from rightarch.affinity import ARCH, ARCH_KEYS, OS_KEYS, Constraints, Term, is_empty
from rightarch.capacity.allowed import Allowed, listed, read
from rightarch.taints import Tolerations

_ALIASES: Final = {
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
"""Old names of labels, which Karpenter takes for the new ones."""
_PLATFORM: Final = frozenset({*ARCH_KEYS, *OS_KEYS})


@dataclass(frozen=True, slots=True)
class Way:
    """One way to satisfy a pod's constraints: a required term, and the node selector.

    Attributes:
        wants: what is admitted of each label.
        fields: whether it has requirements on fields, which name single nodes.
    """

    wants: Mapping[str, Allowed]
    fields: bool = False

    def admits(self, os: str, architecture: str) -> bool:
        """Whether a node of this platform may be meant."""
        platform = [(ARCH_KEYS, architecture), (OS_KEYS, os)]
        return all(self.wants[key].admits(value) for keys, value in platform for key in keys if key in self.wants)

    @property
    def labels(self) -> Mapping[str, Allowed]:
        """What is admitted of labels other than those of the platform, by the names that Karpenter knows."""
        found: dict[str, Allowed] = {}
        for key, allowed in self.wants.items():
            if key not in _PLATFORM:
                name = current(key)
                found[name] = found[name] & allowed if name in found else allowed
        return found


@dataclass(frozen=True)
class Demand:
    """A pod, as far as the kind of its node goes.

    Attributes:
        constraints: its own.
        architectures: those that were decided for it.
        os: the operating system that was.
        tolerations: its own, and those that policies give it.
        assumed: architectures that node groups offer of which nothing is seen.
    """

    constraints: Constraints
    architectures: frozenset[str]
    os: str
    tolerations: Tolerations = ()
    assumed: frozenset[str] = frozenset()

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """All ways to satisfy the constraints."""
        selected = [
            {"key": key, "operator": "In", "values": [value]} for key, value in self.constraints.selector.items()
        ]
        if self.constraints.terms is None:
            return (Way(read(selected)),)
        return tuple(_way(term, selected) for term in self.constraints.terms if not is_empty(term))

    @property
    def size(self) -> int:
        """How many requirements there are to look at."""
        return sum(1 + len(way.wants) for way in self.ways)

    def __str__(self) -> str:
        return f"{ARCH} In [{listed(self.architectures)}] ({self.os})"


def current(key: str) -> str:
    """The present name of a label."""
    return _ALIASES.get(key, key)


def _way(term: Term, selected: Sequence[Mapping[str, Any]]) -> Way:
    return Way(read([*selected, *(term.get("matchExpressions") or ())]), fields=bool(term.get("matchFields")))
