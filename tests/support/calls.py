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


def growth(prepare: Callable[[int], Callable[[], object]], count: int = 100) -> float:
    """How work grows with what there is to do: 2 where each thing costs the same, 4 where it costs as much as all.

    Args:
        prepare: gives the work on so many things; what it does itself is not counted.
        count: of the things to begin with.

    Returns:
        The ratio of what is added by going to four times as many from twice as many to what is added before: what
        work costs but once is in neither.
    """
    few, more, many = (calls(prepare(count * times)) for times in (1, 2, 4))
    return (many - more) / (more - few)
