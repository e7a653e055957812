"""Values: sets of values of one label, as the requirements of node affinity name them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


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
        if self is ANY:
            return other
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
