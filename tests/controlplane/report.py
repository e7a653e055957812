"""Progress for people, on standard error."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Write a line at once."""
    print(text, file=sys.stderr, flush=True)
