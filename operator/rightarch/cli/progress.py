"""Progress: what a command waits for, told on a terminal once that takes long."""

import asyncio
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Self

_PATIENCE: Final = 1.0
_PERIOD: Final = 0.2
_CLEAR: Final = "\r\x1b[2K"


class Progress:
    """A line on stderr, if that is a terminal, from the second second on; it is gone afterwards.

    Args:
        names: what is waited for.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._waiting = list(names)
        self._all = len(self._waiting)
        self._shown = False

    async def __aenter__(self) -> Self:
        """Begin to tell."""
        self._task = asyncio.create_task(self._tell()) if sys.stderr.isatty() else None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._shown:
            self._write(_CLEAR)

    def done(self, name: str) -> None:
        """Something is no longer waited for."""
        self._waiting.remove(name)

    async def _tell(self) -> None:
        await asyncio.sleep(_PATIENCE)
        while True:
            self._shown = True
            told = f"{self._all - len(self._waiting)} of {self._all} images; waiting for {', '.join(self._waiting)}"
            self._write(_CLEAR + told[: shutil.get_terminal_size().columns - 1])
            await asyncio.sleep(_PERIOD)

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
