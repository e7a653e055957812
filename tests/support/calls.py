"""Calls: how much work something is, in a number that is the same on a busy machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def calls(work: Callable[[], object]) -> int:
    """How many functions some work calls, of Python and of C; a generator counts each time that it goes on."""
    count = 0

    def see(_frame: object, event: str, _argument: Any) -> None:  # noqa: ANN401 - whatever the interpreter tells
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
