"""Waiting for something to become true."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")


def wait_for(look: Callable[[], Answer], seconds: float = 60, pause: float = 0.05) -> Answer:
    """Ask until the answer is true, and return it.

    Args:
        look: asks. What it asks for may not be there yet: that is a false answer, and no error.
        seconds: after which it is given up: how long a failure takes, and never what a test is about.
        pause: between two looks.

    Raises:
        TimeoutError: it is still false at a look that began after `seconds`; carries the last answer.
    """
    deadline = time.monotonic() + seconds
    while True:
        is_last = time.monotonic() > deadline  # asked before the look: a machine that stalls in one gets another
        if answer := look():
            return answer
        if is_last:
            raise TimeoutError(f"still {answer!r} after {seconds:g} s")
        time.sleep(pause)
