"""Requirements: what is appended to node selector terms."""

from dataclasses import dataclass
from typing import Final, NotRequired, TypedDict

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
class Requirement:
    """A label and the values that it must have."""

    key: str
    values: tuple[str, ...]

    def raw(self) -> Expression:
        """The requirement as the API has it."""
        return {"key": self.key, "operator": "In", "values": list(self.values)}
