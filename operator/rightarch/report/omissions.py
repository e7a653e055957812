"""Omissions: what of a cluster may not be read, and what that means for the report. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Omission:
    """A kind of objects that is left out.

    Attributes:
        kinds: its name, in the plural.
        meaning: what the report lacks without it, for people.
    """

    kinds: str
    meaning: str


class Omissions:
    """All of them: kinds whose absence means the same are told of together, however many namespaces refuse them."""

    def __init__(self) -> None:
        self._kinds: dict[str, set[str]] = {}

    def add(self, omission: Omission) -> None:
        """Remember one."""
        self._kinds.setdefault(omission.meaning, set()).add(omission.kinds)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each meaning, in an order that does not depend on which was met first."""
        told = (f"{_joined(sorted(kinds))} may not be read: {meaning}" for meaning, kinds in self._kinds.items())
        return tuple(sorted(told))


def _joined(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
