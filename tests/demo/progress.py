"""Progress for people: which step is under way, and how long each one took. Reads well in a log, too."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    Tell = Callable[[str], None]

WIDTH = 64


class Progress:
    """Tells of steps on a console: a spinner on a terminal, a line per step elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has taken so far, in all."""
        return time.monotonic() - self._begun

    @contextlib.contextmanager
    def step(self, text: str, *, chatty: bool = False) -> Iterator[Tell]:
        """A step, told of when it begins and when it ends; yields what tells how far it is.

        Args:
            text: what is being done.
            chatty: whether the step writes lines of its own meanwhile.
        """
        begun = time.monotonic()
        mark, style = "stopped after", "red"
        try:
            with self._under_way(text, chatty=chatty) as tell:
                yield tell
            mark, style = "", "green"
        finally:
            self._end(text, f"{mark} {time.monotonic() - begun:.1f} s".strip(), style, chatty=chatty)

    @contextlib.contextmanager
    def _under_way(self, text: str, *, chatty: bool) -> Iterator[Tell]:
        if self._console.is_terminal:
            with self._console.status(text) as status:
                yield lambda more: status.update(f"{text} [dim]{more}[/]")
        else:
            self._write(text if chatty else f"{text} ".ljust(WIDTH, "."), end="\n" if chatty else " ")
            yield lambda _: None

    def _end(self, text: str, took: str, style: str, *, chatty: bool) -> None:
        told = not self._console.is_terminal and not chatty
        self._write(f"[{style}]{took:>7}[/]" if told else f"{text} ".ljust(WIDTH, ".") + f" [{style}]{took:>7}[/]")

    def _write(self, text: str, end: str = "\n") -> None:
        self._console.print(text, end=end, highlight=False, soft_wrap=True)
