"""Quantities: amounts of resources as Kubernetes writes them.

Source: k8s.io/apimachinery ``pkg/api/resource``.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30}))(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2}|)",
    re.ASCII,
)
_DECIMAL: Final = {suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate(("n", "u", "m", "", "k"), -3)}
_LARGE: Final = {suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate("MGTPE", 2)}
_BINARY: Final = {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}
_FACTORS: Final = _DECIMAL | _LARGE | _BINARY


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
