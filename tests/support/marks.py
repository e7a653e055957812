"""Pages of which a part is generated: what stands between two marks."""

from __future__ import annotations

END = "<!-- end of what is generated -->\n"


def replaced(text: str, mark: str, content: str) -> str:
    """The text with other content between ``<!-- MARK: generated -->`` and the end.

    Raises:
        ValueError: the text has no such marks.
    """
    begin = f"<!-- {mark}: generated -->\n"
    if begin not in text or END not in text.partition(begin)[2]:
        raise ValueError(f"the page has no part {mark}")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(END)
    return f"{before}{begin}{content}{END}{after}"
