"""Managers: who owns which fields of an object in the API server's books (``metadata.managedFields``). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_IDENTITY: Final = ("manager", "operation", "apiVersion", "subresource")
"""What no two entries of an object have in common."""

Object = Mapping[str, Any]
Entry = dict[str, Any]


def is_applied(thing: Object) -> bool:
    """Whether somebody applied an object by the API server: only then does it matter who owns which field."""
    return any(entry.get("operation") == "Apply" for entry in _entries(thing).values())


@dataclass(frozen=True, slots=True)
class Owed:
    """What a write of ours took from others.

    Attributes:
        before: the object as it was.
        after: the object as we left it.
    """

    before: Object
    after: Object

    def repayment(self, now: Object) -> list[Entry] | None:
        """The entries that an object should have now; None where there is nothing to give back to.

        What others have changed since then, such as the object's own controller its status, is theirs.
        """
        if now["metadata"]["uid"] != self.before["metadata"]["uid"]:
            return None
        before, after, current = map(_entries, (self.before, self.after, now))
        wanted = {key: (before if current.get(key) == after.get(key) else current).get(key) for key in before | current}
        entries = [entry for entry in wanted.values() if entry]
        return entries if entries and entries != list(current.values()) else None


def _entries(thing: Object) -> dict[tuple[Any, ...], Entry]:
    found = thing["metadata"].get("managedFields") or ()
    return {tuple(entry.get(part) for part in _IDENTITY): entry for entry in found}
