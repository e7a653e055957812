"""docs/reasons.md, from the constants: each Reason and Note with what it means and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rightarch.reasons import Note, Reason
from tests.support.marks import replaced

PAGE: Final = Path(__file__).parents[2] / "docs" / "reasons.md"


def generated(text: str) -> str:
    """The page with its parts made anew."""
    text = replaced(text, "reasons", "\n".join(map(_reason, Reason)))
    return replaced(text, "notes", "\n".join(map(_note, Note)))


def _reason(reason: Reason) -> str:
    passes = " It may pass by itself: Rightarch asks again." if reason.transient else ""
    return f"### {reason}\n\n{reason.meaning}{passes}\n\n**What to do:** {reason.advice}\n"


def _note(note: Note) -> str:
    told = " The pod's creator is warned." if note.warns else ""
    return f"### {note}\n\n{note.meaning}{told}\n\n**What to do:** {note.advice}\n"
