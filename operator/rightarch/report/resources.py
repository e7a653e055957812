"""Resources: amounts of CPU and memory, and sums of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import Any

from rightarch.quantities import parse


@dataclass(frozen=True, slots=True)
class Resources:
    """Some CPU and memory.

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
        return Resources(self.cpu + other.cpu, self.memory + other.memory)

    def __mul__(self, count: int) -> "Resources":
        return Resources(self.cpu * count, self.memory * count)

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
        return int((parse(str(value)) * scale).to_integral_value(ROUND_CEILING)) if value is not None else 0
    except ValueError:
        return 0
