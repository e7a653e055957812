"""What a requirement admits of any label, numbers included: those of NodePools compare sizes and generations.

Source: k8s.io/apimachinery ``pkg/labels`` (Requirement.Matches) for nodes, sigs.k8s.io/karpenter ``pkg/scheduling``
(Requirement.HasIntersection) for NodePools.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rightarch.affinity import ANY, Values

_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_SHOWN: Final = 5
"""Values that a message names."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A set of values of one label, within bounds where they are numbers; and whether a node may lack the label.

    Attributes:
        values: those that the bounds are laid on.
        least: the smallest number, or None.
        most: the largest number, or None.
    """

    values: Values = field(default=ANY)
    least: int | None = None
    most: int | None = None

    @classmethod
    def of(cls, operator: str, values: Sequence[str] = ()) -> "Allowed":
        """What a requirement admits; ``Gte`` and ``Lte`` are Karpenter's own. An unknown one admits nothing."""
        shift = {"Gt": 1, "Gte": 0, "Lt": -1, "Lte": 0}.get(operator)
        if shift is None:
            return cls(Values.of(operator, values))
        number = _number(values[0] if values else "")
        if number is None:
            return cls(Values())
        return cls(_PRESENT, **{"least" if operator in {"Gt", "Gte"} else "most": number + shift})

    def __and__(self, other: "Allowed") -> "Allowed":
        values = self.values & other.values
        return Allowed(values, _larger(self.least, other.least), _smaller(self.most, other.most))

    def admits(self, value: str | None) -> bool:
        """Whether a node may have this value; None where it lacks the label."""
        return self.values.absent if value is None else value in self.values and self._within(value)

    @property
    def empty(self) -> bool:
        """Whether nothing is admitted, as Karpenter decides it: all numbers between two bounds may be had."""
        if self.values.absent:
            return False
        if self.values.complement:
            return self.least is not None and self.most is not None and self.least > self.most
        return not any(map(self._within, self.values.named))

    @property
    def named(self) -> frozenset[str] | None:
        """The only values that are admitted; None where others than those that were named are."""
        return None if self.values.complement else frozenset(filter(self._within, self.values.named))

    @property
    def needs(self) -> bool:
        """Whether a node must have the label."""
        return not self.values.absent

    def __str__(self) -> str:
        """What is admitted, in the operators' own words."""
        bounds = [f">= {self.least}"] if self.least is not None else []
        bounds += [f"<= {self.most}"] if self.most is not None else []
        if self.named is not None:
            return f"In [{listed(self.named)}]" if self.named else "DoesNotExist" if self.values.absent else "nothing"
        words = [f"NotIn [{listed(self.values.named)}]"] if self.values.named else []
        return " and ".join([*words, *bounds]) or "Exists"

    def _within(self, value: str) -> bool:
        if self.least is None and self.most is None:
            return True
        number = _number(value)
        if number is None:
            return False
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


_PRESENT: Final = Values(complement=True)


def read(requirements: Iterable[Mapping[str, Any]]) -> dict[str, Allowed]:
    """What requirements (expressions of a term, or those of a NodePool) admit together, by label."""
    admitted: dict[str, Allowed] = {}
    for each in requirements:
        key, allowed = each["key"], Allowed.of(each["operator"], each.get("values") or ())
        admitted[key] = admitted[key] & allowed if key in admitted else allowed
    return admitted


def listed(values: Iterable[str]) -> str:
    """Values in order, and not more than a person reads."""
    each = sorted(values)
    more = f", and {len(each) - _SHOWN} more" if len(each) > _SHOWN else ""
    return ", ".join(each[:_SHOWN]) + more


def _number(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _larger(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def _smaller(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
