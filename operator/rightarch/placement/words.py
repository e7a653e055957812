"""Words: what people read, made of what pod authors, registries and policies chose."""

from collections.abc import Iterable
from typing import Final

MAX_NAMES: Final = 16
_MAX_TEXT: Final = 100


def listed(names: Iterable[str]) -> str:
    """Names in order, each once, and not more than a person reads."""
    each = sorted(set(names))
    shown = ", ".join(each[:MAX_NAMES])
    return f"{shown}, and {len(each) - MAX_NAMES} more" if len(each) > MAX_NAMES else shown or "nothing"


def cut(text: str, limit: int = _MAX_TEXT) -> str:
    """Text that others may have chosen, for people: not too long, nothing that steers a terminal."""
    shown = text if len(text) <= limit else f"{text[:limit]}…"
    return shown if shown.isprintable() else "".join(char if char.isprintable() else "?" for char in shown)
