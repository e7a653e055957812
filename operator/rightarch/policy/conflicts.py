"""Conflicts: policies that lose to another by their name alone, which nobody means to decide by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from rightarch.affinity import ANY, Values
from rightarch.policy.policy import Policy
from rightarch.policy.selectors import members
from rightarch.policy.spec import ClusterArchitecturePolicySpec, Selector

_Admitted = Mapping[str, Values]
"""Per label that a selector speaks of, the values that it admits."""


def conflicts(policies: Iterable[Policy]) -> dict[str, str]:
    """Per title of a policy that loses to another of the same kind, place, binding and priority, the other's title.

    Only where some pod could be selected by both; of several, the first is named. Policies that can't be obeyed
    neither win nor lose.
    """
    rivals = sorted((_Rival.of(policy) for policy in policies if policy.spec is not None), key=lambda each: each.rank)
    lost: dict[str, str] = {}
    for _, group in groupby(rivals, key=lambda each: each.rank[:-1]):
        lost |= _lost(tuple(group))
    return lost


@dataclass(frozen=True, slots=True)
class _Rival:
    """A policy, as far as it competes with others.

    Attributes:
        title: the policy's.
        rank: what must be equal, and then the name.
        admitted: by its selectors, of namespaces and of pods.
    """

    title: str
    rank: tuple[str, str, str, int, str]
    admitted: tuple[_Admitted, _Admitted]

    @classmethod
    def of(cls, policy: Policy) -> "_Rival":
        spec = policy.spec
        assert spec is not None, "those that can't be obeyed do not compete"
        cluster = spec if isinstance(spec, ClusterArchitecturePolicySpec) else None
        binding = cluster.binding if cluster else ""
        rank = policy.kind, policy.namespace, binding, spec.priority, policy.name
        namespaces = cluster.namespace_selector if cluster else None
        return cls(policy.title, rank, (_admitted(namespaces), _admitted(spec.pod_selector)))

    def meets(self, other: "_Rival") -> bool:
        """Whether some pod of some namespace is for both."""
        return all(_overlap(mine, its) for mine, its in zip(self.admitted, other.admitted, strict=True))


class _Filed:
    """Rivals by the values that they need of a label: those that need others of it meet nobody who needs these."""

    def __init__(self) -> None:
        self._all = 0
        self._by_label: dict[tuple[int, str], int] = {}
        self._by_value: dict[tuple[int, str, str], int] = {}

    def file(self, bit: int, rival: _Rival) -> None:
        """File a rival under a bit of its own."""
        self._all |= bit
        for side, key, named in _needs(rival):
            self._by_label[side, key] = self._by_label.get((side, key), 0) | bit
            for value in named:
                self._by_value[side, key, value] = self._by_value.get((side, key, value), 0) | bit

    def candidates(self, rival: _Rival) -> int:
        """The set of those that it may meet."""
        found = self._all
        for side, key, named in _needs(rival):
            others = self._by_label.get((side, key), 0)
            for value in named:
                others &= ~self._by_value.get((side, key, value), 0)
            found &= ~others
        return found


def _needs(rival: _Rival) -> Iterable[tuple[int, str, frozenset[str]]]:
    """The labels that must be there with one of some values: of namespaces (0), and of pods (1)."""
    for side, admitted in enumerate(rival.admitted):
        for key, values in admitted.items():
            if not (values.complement or values.absent):
                yield side, key, values.named


def _lost(group: tuple[_Rival, ...]) -> dict[str, str]:
    found, filed = {}, _Filed()
    for index, rival in enumerate(group):
        candidates = (group[number] for number in members(filed.candidates(rival)))
        winner = next((other for other in candidates if other.meets(rival)), None)
        if winner is not None:
            found[rival.title] = winner.title
        filed.file(1 << index, rival)
    return found


def _admitted(selector: Selector | None) -> _Admitted:
    admitted: dict[str, Values] = {}
    if selector is not None:
        said = [(key, Values.of("In", [value])) for key, value in selector.match_labels.items()]
        said += [(each.key, Values.of(each.operator, each.values)) for each in selector.match_expressions]
        for key, values in said:
            admitted[key] = admitted.get(key, ANY) & values
    return admitted


def _overlap(some: _Admitted, others: _Admitted) -> bool:
    """Whether some labels are admitted by both: each label apart, since no condition is about two."""
    if any(values.empty for values in some.values()) or any(values.empty for values in others.values()):
        return False
    return not any((some[key] & others[key]).empty for key in some.keys() & others.keys())
