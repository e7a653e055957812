"""Constraints: what a pod's own node selector and required terms admit, and how a requirement is ANDed to them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

from rightarch.affinity.requirement import ARCH, ARCH_KEYS, OS, OS_KEYS, Expression, Requirement, Term
from rightarch.affinity.values import ANY, Values
from rightarch.affinity.writing import Writing

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Constraints:
    """A pod's own constraints: its node selector and its required terms.

    No requirement at all (None) is not the same as one without terms, which the API server refuses: that must not be
    mended into a constraint that the user did not write.
    """

    selector: Mapping[str, str]
    terms: Sequence[Term] | None

    @property
    def free(self) -> bool:
        """Whether nothing at all is required: so it is with most pods, which need no algebra."""
        return self.terms is None and not self.selector

    def named_os(self) -> str | None:
        """The one operating system that every way to satisfy the constraints has, or None."""
        if self.free:
            return None
        names = set[str]()
        for way in self._systems:
            if way.complement or way.absent:
                return None
            names |= way.named
        return names.pop() if len(names) == 1 else None

    def admitted(self, architectures: frozenset[str], os: str, labels: Mapping[str, str] = _NONE) -> frozenset[str]:
        """Those of the architectures that at least one way to satisfy the constraints admits.

        Args:
            architectures: asked about.
            os: of the nodes.
            labels: that the nodes have besides.
        """
        if self.free and not labels:
            return architectures
        others = [(value, self._ways((key,))) for key, value in labels.items()]
        admitting = [
            way
            for index, way in enumerate(self._architectures)
            if os in self._systems[index] and all(value in ways[index] for value, ways in others)
        ]
        return frozenset(a for a in architectures if any(a in way for way in admitting))

    def narrowed(self, wanted: Iterable[Requirement]) -> Writing:
        """What must be appended, and where, so that the constraints imply every wanted requirement."""
        if self.free:
            return Writing({0: tuple(wanted)}, created=True)
        missing = [(requirement, self._ways_of(requirement.key)) for requirement in wanted]
        indexes = [0] if self.terms is None else [i for i, term in enumerate(self.terms) if not is_empty(term)]
        terms: dict[int, tuple[Requirement, ...]] = {}
        for position, index in enumerate(indexes):
            need = tuple(r for r, ways in missing if not ways[position].within(frozenset(r.values)))
            if need:
                terms[index] = need
        return Writing(terms, created=bool(terms) and self.terms is None)

    def without(self, writing: Writing) -> "Constraints":
        """The constraints as they were before a writing: only expressions exactly as written count as ours.

        A term that has nothing else is ours only where the record says that it was created; elsewhere somebody has
        edited the pod since, and what is left is the user's: an empty term would match no node.
        """
        if self.terms is None or not writing.terms:
            return self
        created = writing.created and self.terms[:1] == [
            {"matchExpressions": [r.raw() for r in writing.terms.get(0, ())]}
        ]
        terms = [_without(term, writing.terms.get(index, ())) for index, term in enumerate(self.terms)]
        return Constraints(self.selector, terms[1:] or None) if created else Constraints(self.selector, terms)

    def with_(self, writing: Writing) -> list[Term] | None:
        """The required terms after a writing."""
        terms: Sequence[Term] | None = [{}] if writing.created else self.terms
        if terms is None:
            return None
        return [_with(term, writing.terms.get(index, ())) for index, term in enumerate(terms)]

    def describe(self) -> str:
        """The pod's own words on architecture and operating system, for messages."""
        keys = {*ARCH_KEYS, *OS_KEYS}
        said = [f"nodeSelector {key}={value}" for key, value in self.selector.items() if key in keys]
        for index, term in enumerate(self.terms or ()):
            said += [f"term {index}: {_worded(e)}" for e in term.get("matchExpressions") or () if e["key"] in keys]
        return "; ".join(said)

    @cached_property
    def _architectures(self) -> Sequence[Values]:
        return self._ways(ARCH_KEYS)

    @cached_property
    def _systems(self) -> Sequence[Values]:
        return self._ways(OS_KEYS)

    def _ways_of(self, key: str) -> Sequence[Values]:
        if key == ARCH:
            return self._architectures
        return self._systems if key == OS else self._ways((key,))

    def _ways(self, keys: Sequence[str]) -> Sequence[Values]:
        """Per non-empty term (or once, where there are no terms): what it and the node selector leave of a label."""
        selected = ANY
        for key in keys:
            if (value := self.selector.get(key)) is not None:
                selected &= Values(frozenset((value,)))
        if self.terms is None:
            return (selected,)
        return [_narrowed(selected, term, keys) for term in self.terms if not is_empty(term)]


def is_empty(term: Term) -> bool:
    """Whether a term has no requirement at all, and so matches no node."""
    return not (term.get("matchExpressions") or term.get("matchFields"))


def _narrowed(admitted: Values, term: Term, keys: Sequence[str]) -> Values:
    """What a term leaves of the values of a label, under all its names."""
    for expression in term.get("matchExpressions") or ():
        if expression["key"] in keys:
            admitted &= Values.of(expression["operator"], expression.get("values") or ())
    return admitted


def _with(term: Term, requirements: Iterable[Requirement]) -> Term:
    added = [requirement.raw() for requirement in requirements]
    if not added:
        return term
    return {**term, "matchExpressions": [*(term.get("matchExpressions") or ()), *added]}


def _without(term: Term, requirements: Iterable[Requirement]) -> Term:
    """The term without requirements; as it is where nothing would be left."""
    expressions = list(term.get("matchExpressions") or ())
    found = [index for r in requirements if (index := _last(expressions, r.raw())) is not None]
    left: Term = {**term, "matchExpressions": [e for index, e in enumerate(expressions) if index not in found]}
    if not left["matchExpressions"]:
        del left["matchExpressions"]
    return term if not found or is_empty(left) else left


def _last(expressions: Sequence[Expression], ours: Expression) -> int | None:
    return next((index for index in reversed(range(len(expressions))) if expressions[index] == ours), None)


def _worded(expression: Expression) -> str:
    return " ".join([expression["key"], expression["operator"], ", ".join(expression.get("values") or ())]).rstrip()
