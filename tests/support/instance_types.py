"""The instance types that Karpenter buys in tests: two families, Linux and Windows, four sizes, two zones.

arm64 costs a fifth less than amd64, as Graviton does; a spot instance two fifths of one on demand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONES: Final = ("zone-a", "zone-b")
SIZES: Final = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16}
"""vCPU by size; there are 4 GiB of memory to each."""
_PER_VCPU: Final = {"amd64": 0.05, "arm64": 0.04}
"""Dollars per hour and vCPU, on demand, with Linux."""
_WINDOWS_PER_VCPU: Final = 0.046
_CAPACITY_TYPES: Final = {"on-demand": 1.0, "spot": 0.4}
_FAMILIES: Final = {
    "x86": ("amd64", "linux"),
    "arm": ("arm64", "linux"),
    "x86win": ("amd64", "windows"),
    "armwin": ("arm64", "windows"),
}


@dataclass(frozen=True)
class InstanceType:
    """What one machine has, and costs on demand."""

    name: str
    architecture: str
    os: str
    vcpu: int
    price: float

    def raw(self) -> dict[str, Any]:
        """The form that Karpenter's kwok provider reads."""
        resources = {"cpu": str(self.vcpu), "memory": f"{4 * self.vcpu}Gi", "ephemeral-storage": "50Gi", "pods": "110"}
        return {
            "name": self.name,
            "architecture": self.architecture,
            "operatingSystems": [self.os],
            "resources": resources,
            "offerings": list(self._offerings()),
        }

    def _offerings(self) -> Iterator[dict[str, Any]]:
        for kind, factor in _CAPACITY_TYPES.items():
            for zone in ZONES:
                requirements = [
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [kind]},
                    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]},
                ]
                yield {"Price": round(self.price * factor, 4), "Available": True, "Requirements": requirements}


def instance_types() -> Iterator[InstanceType]:
    """All of them; a name is FAMILY.SIZE, such as arm.xlarge."""
    for family, (architecture, os) in _FAMILIES.items():
        per_vcpu = _PER_VCPU[architecture] + (_WINDOWS_PER_VCPU if os == "windows" else 0)
        for size, vcpu in SIZES.items():
            yield InstanceType(f"{family}.{size}", architecture, os, vcpu, round(vcpu * per_vcpu, 4))


def write(path: Path) -> None:
    """Write the file that Karpenter's kwok provider is given."""
    path.write_text(json.dumps([each.raw() for each in instance_types()], indent=1) + "\n")
