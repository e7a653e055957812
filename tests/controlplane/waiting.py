"""Waiting for something to become true."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")


def wait_for(look: Callable[[], Answer], seconds: float = 20, pause: float = 0.05) -> Answer:
    """Ask until the answer is true, and return it.

    Raises:
        TimeoutError: it is still false after `seconds`; carries the last answer.
    """
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still {answer!r} after {seconds:g} s")
        time.sleep(pause)
    return answer
