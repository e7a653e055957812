"""The README's table of Reasons and Notes, from the constants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from rightarch.reasons import Note, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

README: Final = Path(__file__).parents[2] / "README.md"
BEGIN: Final = "<!-- reasons: generated -->\n"
END: Final = "<!-- end of reasons -->\n"


def generated(text: str) -> str:
    """The text with the table between its marks made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = [*_table("Reason", Reason), "", *_table("note beside it", Note)]
    return "".join([before, BEGIN, "\n".join(tables), "\n", END, after])


def _table(head: str, words: Iterable[Reason | Note]) -> list[str]:
    return [f"| {head} | meaning |", "| --- | --- |", *(f"| `{word}` | {word.meaning} |" for word in words)]
