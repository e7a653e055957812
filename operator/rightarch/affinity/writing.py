"""Writings: what was, or is to be, written on a pod's spec beside what its author wrote."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from rightarch.affinity.requirement import ARCH, OS, Requirement, Term

_HEAVIEST: Final = 100


@dataclass(frozen=True, slots=True)
class Preference:
    """Architectures that a pod should rather run on.

    Attributes:
        weight: 1 to 100.
        architectures: sorted.
    """

    weight: int
    architectures: tuple[str, ...]

    def raw(self) -> dict[str, Any]:
        """The preferred scheduling term as the API has it."""
        term: Term = {"matchExpressions": [Requirement(ARCH, self.architectures).raw()]}
        return {"weight": self.weight, "preference": term}


@dataclass(frozen=True, slots=True)
class Writing:
    """What was, or is to be, appended to a pod's required and preferred terms and to its tolerations.

    Attributes:
        terms: per index of a term, the requirements that stand at its end.
        created: whether the pod had no required terms, so that term 0 is all ours.
        preferences: the preferred terms.
        tolerations: as the API has them.
    """

    terms: Mapping[int, tuple[Requirement, ...]] = field(default_factory=dict)
    created: bool = False
    preferences: tuple[Preference, ...] = ()
    tolerations: tuple[Mapping[str, Any], ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it is anything at all."""
        return bool(self.terms or self.preferences or self.tolerations)

    def __add__(self, other: "Writing") -> "Writing":
        """Both, the other's after this one's."""
        if not self.changes:
            return other
        indexes = dict.fromkeys((*self.terms, *other.terms))
        return Writing(
            {index: (*self.terms.get(index, ()), *other.terms.get(index, ())) for index in indexes},
            self.created or other.created,
            (*self.preferences, *other.preferences),
            (*self.tolerations, *other.tolerations),
        )

    def raw(self) -> dict[str, Any]:
        """The form that the annotation keeps."""
        raw: dict[str, Any] = {
            "created": self.created,
            "terms": {str(index): [[r.key, *r.values] for r in each] for index, each in self.terms.items()},
        }
        if self.preferences:
            raw["preferred"] = [[each.weight, *each.architectures] for each in self.preferences]
        if self.tolerations:
            raw["tolerations"] = list(self.tolerations)
        return raw

    @classmethod
    def read(cls, raw: object, labels: Collection[tuple[str, str]] = ()) -> Self | None:
        """Read what ``raw`` made; None for anything else, since whoever makes a pod can write its annotations.

        Args:
            raw: of whatever form.
            labels: of nodes, beside architecture and operating system, that may have been required: what names other
                labels was never ours, and might be taken for ours to void a constraint that somebody else wrote.
        """
        match raw:
            case {"created": bool(created), "terms": dict(terms), **others}:
                try:
                    return cls(
                        {int(index): _requirements(each, labels) for index, each in terms.items()},
                        created,
                        tuple(map(_preference, _listed(others.get("preferred")))),
                        tuple(map(_toleration, _listed(others.get("tolerations")))),
                    )
                except ValueError:
                    return None
            case _:
                return None


NOTHING: Final = Writing()


def _listed(raw: object) -> list[Any]:
    """A list, or none. Raises ValueError for what was never ours."""
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise ValueError("no list")  # noqa: TRY004 - likewise
    return raw


def _requirements(raw: object, labels: Collection[tuple[str, str]]) -> tuple[Requirement, ...]:
    if not isinstance(raw, list):
        raise ValueError("no list")  # noqa: TRY004 - the one error that the caller takes for a forgery
    return tuple(_requirement(each, labels) for each in raw)


def _requirement(raw: object, labels: Collection[tuple[str, str]]) -> Requirement:
    match raw:
        case [str(key), *values]:
            texts = _texts(values)
            if key in {ARCH, OS} or (key, *texts) in labels:
                return Requirement(key, texts)
    raise ValueError("no requirement of ours")


def _preference(raw: object) -> Preference:
    match raw:
        case [int(weight), *architectures] if 0 < weight <= _HEAVIEST:
            return Preference(weight, _texts(architectures))
    raise ValueError("no preference of ours")


def _toleration(raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, dict) or not all(isinstance(value, str | int) for value in raw.values()):
        raise ValueError("no toleration of ours")
    return raw


def _texts(values: list[Any]) -> tuple[str, ...]:
    if not values or not all(isinstance(value, str) for value in values):
        raise ValueError("no names")
    return tuple(values)
