"""Ticks: time in which this machine works, for bounds that must not fail where it stalls."""

from __future__ import annotations

import threading
from typing import Final, Self

TICK_SECONDS: Final = 0.01


class Ticks:
    """Counts time for the length of a ``with`` block, in a thread that sleeps for one hundredth of a second at a time.

    Each sleep takes at least that long, so what is counted is never more than the time that has passed, and a bound
    of it holds wherever the same bound of the clock does. Where nothing gets its turn for seconds, nor does the
    thread; where something waits for seconds that it must not wait for, the thread counts them.
    """

    def __init__(self) -> None:
        self._ticks = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._count, name="ticks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """What was counted so far, in seconds."""
        return self._ticks * TICK_SECONDS

    def _count(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            self._ticks += 1
