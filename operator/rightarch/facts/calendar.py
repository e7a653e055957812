"""The calendar: which day it is, by which the last use of an image is written."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

DAY: Final = 86400.0
"""Seconds of a real day."""
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS: Final = 2_500_000
"""After so many days the dates begin anew, since they end with the year 9999: short days come so far."""


class Calendar:
    """Days as long as is said: UTC's own if that is 24 hours; shorter ones let tests and benchmarks see many of them.

    Args:
        day: seconds of a day.
        wall: the time, in seconds since 1970.

    Attributes:
        day: as given.
        today: the date, as of the last ``turn``; the same object all day long.
    """

    def __init__(self, day: float = DAY, wall: Callable[[], float] = time.time) -> None:
        self.day, self._wall = day, wall
        self.today = date.min
        self.turn()

    def now(self) -> float:
        """Seconds since 1970."""
        return self._wall()

    def turn(self) -> None:
        """Look what day it is."""
        passed = int((self._wall() - _EPOCH.timestamp()) // self.day)
        today = _EPOCH.date() + timedelta(days=passed % _DAYS)
        if today != self.today:
            self.today = today
