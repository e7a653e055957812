"""A task that wakes whenever something in the cluster has changed, and never gives up."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn

from rightarch.logs import fields

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 30.0

log = logging.getLogger(__name__)


class Bell:
    """What ``cluster.follow`` may keep in place of objects: nothing, but it rings."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def replace(self, objects: list[Mapping[str, Any]], /) -> None:  # noqa: ARG002 - a store's form
        """Ring."""
        self._rung.set()

    def put(self, changed: Mapping[str, Any], /) -> None:  # noqa: ARG002 - likewise
        """Ring."""
        self._rung.set()

    def remove(self, gone: Mapping[str, Any], /) -> None:  # noqa: ARG002 - likewise
        """Ring."""
        self._rung.set()

    async def heed(self, step: Callable[[], Awaitable[float]], failed: Callable[[], None], task: str) -> NoReturn:
        """Take a step at each ring, and when it said so; after a failure with growing pauses.

        Args:
            step: returns after how many seconds to take the next, whether or not the bell rings.
            failed: called at each failure, to count them.
            task: what the log calls it.
        """
        pause = FIRST_PAUSE
        while True:
            self._rung.clear()
            try:
                seconds, pause = await step(), FIRST_PAUSE
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would take the next step
                failed()
                seconds, pause = pause * random.uniform(0.5, 1.0), min(pause * 2, LONGEST_PAUSE)  # noqa: S311 - jitter
                text = str(error) or type(error).__name__
                log.warning("a task failed, and is tried again", extra=fields(task=task, error=text, pause=seconds))
            await self._rung_or(seconds)

    async def _rung_or(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._rung.wait(), seconds)
        except TimeoutError:
            return
