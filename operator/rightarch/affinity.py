"""Affinity: what a pod's own constraints say of architecture and operating system, and how they are narrowed.

Node selector terms are ORed; the expressions of a term are ANDed; an empty term matches no node; ``nodeSelector`` is
ANDed with all of it. So a constraint is ANDed into **every** non-empty term: a term of its own would be one more
alternative. Terms are never added beside the user's, dropped or reordered, and expressions are only appended, which is
what the API server allows on gated pods too (KEP-3838).

Source: k8s.io/component-helpers ``scheduling/corev1/nodeaffinity`` and the API reference of NodeSelectorTerm.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NotRequired, Self, TypedDict

ARCH: Final = "kubernetes.io/arch"
OS: Final = "kubernetes.io/os"
ARCH_KEYS: Final = (ARCH, "beta.kubernetes.io/arch")
OS_KEYS: Final = (OS, "beta.kubernetes.io/os")
"""The label that is written first; the old name beside it is only read. Kubelets set both alike."""


class Expression(TypedDict):
    """A node selector requirement as the API has it."""

    key: str
    operator: str
    values: NotRequired[list[str]]


class Term(TypedDict, total=False):
    """A node selector term as the API has it."""

    matchExpressions: list[Expression]
    matchFields: list[Expression]


@dataclass(frozen=True, slots=True)
class Values:
    """A set of values of one label: those named, or all but those named; and whether a node may lack the label.

    One canonical form for all operators: ``==`` means the same set.
    """

    named: frozenset[str] = frozenset()
    complement: bool = False
    absent: bool = False

    @classmethod
    def of(cls, operator: str, values: Iterable[str] = ()) -> "Values":
        """What a requirement admits.

        ``Gt`` and ``Lt`` admit nothing: they compare integers, and no architecture or operating system is one.
        An unknown operator admits nothing either, as in the scheduler, which refuses the whole term.
        """
        match operator:
            case "In":
                return cls(frozenset(values))
            case "NotIn":
                return cls(frozenset(values), complement=True, absent=True)
            case "Exists":
                return cls(complement=True)
            case "DoesNotExist":
                return cls(absent=True)
            case _:
                return cls()

    def __contains__(self, value: str) -> bool:
        return (value in self.named) is not self.complement

    def __and__(self, other: "Values") -> "Values":
        absent = self.absent and other.absent
        if self.complement and other.complement:
            return Values(self.named | other.named, complement=True, absent=absent)
        if not self.complement:
            return Values(frozenset(value for value in self.named if value in other), absent=absent)
        return Values(frozenset(value for value in other.named if value in self), absent=absent)

    def within(self, allowed: frozenset[str]) -> bool:
        """Whether every node that passes has the label, with one of the allowed values."""
        return not self.complement and not self.absent and self.named <= allowed

    @property
    def empty(self) -> bool:
        """Whether no node passes."""
        return not (self.named or self.complement or self.absent)


ANY: Final = Values(complement=True, absent=True)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A label and the values that it must have: what is appended to terms."""

    key: str
    values: tuple[str, ...]

    def raw(self) -> Expression:
        """The requirement as the API has it."""
        return {"key": self.key, "operator": "In", "values": list(self.values)}


@dataclass(frozen=True, slots=True)
class Writing:
    """What was, or is to be, appended to a pod's required terms.

    Attributes:
        terms: per index of a term, the requirements that stand at its end.
        created: whether the pod had no required terms, so that term 0 is all ours.
    """

    terms: Mapping[int, tuple[Requirement, ...]] = field(default_factory=dict)
    created: bool = False

    def raw(self) -> dict[str, Any]:
        """The form that the annotation keeps."""
        terms = {str(index): [[r.key, *r.values] for r in requirements] for index, requirements in self.terms.items()}
        return {"created": self.created, "terms": terms}

    @classmethod
    def read(cls, raw: object) -> Self | None:
        """Read what ``raw`` made; None for anything else, since whoever makes a pod can write its annotations."""
        match raw:
            case {"created": bool(created), "terms": dict(terms)}:
                try:
                    return cls({int(index): _requirements(each) for index, each in terms.items()}, created)
                except ValueError:
                    return None
            case _:
                return None


def _requirements(raw: object) -> tuple[Requirement, ...]:
    """The requirements of a term. Raises ValueError for what was never ours."""
    if not isinstance(raw, list):
        raise ValueError("no list")  # noqa: TRY004 - the one error that the caller takes for a forgery
    return tuple(map(_requirement, raw))


def _requirement(raw: object) -> Requirement:
    match raw:
        case [str(key), *values] if key in {ARCH, OS} and values:
            texts = tuple(value for value in values if isinstance(value, str))
            if len(texts) == len(values):
                return Requirement(key, texts)
    raise ValueError("no requirement of ours")


@dataclass(frozen=True, slots=True)
class Constraints:
    """A pod's own constraints: its node selector and its required terms.

    No requirement at all (None) is not the same as one without terms, which the API server refuses: that must not be
    mended into a constraint that the user did not write.
    """

    selector: Mapping[str, str]
    terms: Sequence[Term] | None

    def named_os(self) -> str | None:
        """The one operating system that every way to satisfy the constraints has, or None."""
        ways = [way for way in self._ways(OS_KEYS) if not way.empty]
        if not ways or any(way.complement or way.absent for way in ways):
            return None
        names = frozenset[str]().union(*(way.named for way in ways))
        return next(iter(names)) if len(names) == 1 else None

    def admitted(self, architectures: frozenset[str], os: str) -> frozenset[str]:
        """Those of the architectures that at least one way to satisfy the constraints admits, under the OS."""
        ways = zip(self._ways(ARCH_KEYS), self._ways(OS_KEYS), strict=True)
        admitting = [arch for arch, system in ways if os in system]
        return frozenset(a for a in architectures if any(a in way for way in admitting))

    def narrowed(self, wanted: Iterable[Requirement]) -> Writing:
        """What must be appended, and where, so that the constraints imply every wanted requirement."""
        missing = [(requirement, list(self._ways(_aliases(requirement.key)))) for requirement in wanted]
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
        if self.terms is None:
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

    def _ways(self, keys: Sequence[str]) -> list[Values]:
        """Per non-empty term (or once, where there are no terms): what it and the node selector leave of a label."""
        selected = ANY
        for key in keys:
            if key in self.selector:
                selected &= Values(frozenset({self.selector[key]}))
        if self.terms is None:
            return [selected]
        return [selected & _values(term, keys) for term in self.terms if not is_empty(term)]


def is_empty(term: Term) -> bool:
    """Whether a term has no requirement at all, and so matches no node."""
    return not (term.get("matchExpressions") or term.get("matchFields"))


def _values(term: Term, keys: Sequence[str]) -> Values:
    admitted = ANY
    for expression in term.get("matchExpressions") or ():
        if expression["key"] in keys:
            admitted &= Values.of(expression["operator"], expression.get("values") or ())
    return admitted


def _aliases(key: str) -> Sequence[str]:
    return ARCH_KEYS if key == ARCH else OS_KEYS


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
