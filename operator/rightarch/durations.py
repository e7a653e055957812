"""Durations, as Go writes them: ``5s``, ``1m30s``, ``500ms``. Kubernetes has them in its configurations and queries."""

import re
from typing import Final

_PART: Final = re.compile(r"(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|ns)", re.ASCII)
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def seconds(duration: str) -> float | None:
    """The seconds of a duration, or None if it is none. Zero needs no unit."""
    if duration == "0":
        return 0.0
    parts = _PART.findall(duration)
    if not parts or "".join(map("".join, parts)) != duration:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
