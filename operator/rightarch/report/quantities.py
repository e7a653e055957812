"""Quantities: amounts of CPU and memory as Kubernetes writes them, and sums of both.

Source: k8s.io/apimachinery ``pkg/api/resource`` (suffixes, rounding up).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any, Final

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30}))(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2}|)",
    re.ASCII,
)
_DECIMAL: Final = {suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate(("n", "u", "m", "", "k"), -3)}
_LARGE: Final = {suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate("MGTPE", 2)}
_BINARY: Final = {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}
_FACTORS: Final = _DECIMAL | _LARGE | _BINARY


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


@lru_cache(maxsize=4096)
def parse(text: str) -> Decimal:
    """The number that a quantity stands for.

    Raises:
        ValueError: it is none.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:60]!r} is no quantity: write a number, such as 250m, 1.5 or 2Gi")
    suffix = match["suffix"]
    factor = Decimal(10) ** int(suffix[1:]) if suffix[:1] in {"e", "E"} and suffix[1:] else _FACTORS[suffix]
    return Decimal(match["number"]) * factor


def _or_nothing(value: object, scale: int) -> int:
    """A quantity in so many parts of its unit, rounded up; nothing for what is none."""
    try:
        return int((parse(str(value)) * scale).to_integral_value(ROUND_CEILING)) if value is not None else 0
    except ValueError:
        return 0
