"""Resources: amounts of CPU and memory, and sums of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import Any, Final

from rightarch.quantities import parse

_MOST: Final = 2**63 - 1
"""Kubernetes counts in 64 bits: a quantity that is larger stands for this one."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Some CPU and memory, of either as much as 64 bits hold at most.

    Attributes:
        cpu: in thousandths of a core, as the scheduler counts.
        memory: in bytes.
    """

    cpu: int = 0
    memory: int = 0

    @classmethod
    def of(cls, amounts: object) -> "Resources":
        """What a list of resources says of both; what is absent, or no quantity, counts as nothing."""
        given: Mapping[str, Any] = amounts if isinstance(amounts, Mapping) else {}
        return cls(_or_nothing(given.get("cpu"), 1000), _or_nothing(given.get("memory"), 1))

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(min(self.cpu + other.cpu, _MOST), min(self.memory + other.memory, _MOST))

    def __mul__(self, count: int) -> "Resources":
        return Resources(min(self.cpu * count, _MOST), min(self.memory * count, _MOST))

    def largest(self, other: "Resources") -> "Resources":
        """The larger of each."""
        return Resources(max(self.cpu, other.cpu), max(self.memory, other.memory))

    @property
    def cores(self) -> float:
        """The CPU in cores (vCPU)."""
        return self.cpu / 1000

    @property
    def gib(self) -> float:
        """The memory in GiB."""
        return self.memory / 2**30


def _or_nothing(value: object, scale: int) -> int:
    """A quantity in so many parts of its unit, rounded up; nothing for what is none."""
    try:
        found = int((parse(str(value)) * scale).to_integral_value(ROUND_CEILING)) if value is not None else 0
    except ValueError:
        return 0
    return min(found, _MOST)
