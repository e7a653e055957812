"""The command: run the main job, visibly, or end what was left up.

Exit status: 0 if all came out as it must, 1 if not, 2 for wrong usage, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from rich.console import Console

from tests.controlplane import ApiError, BuildError, KubectlError, StartError

from .folder import Busy, end, held
from .run import run

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parents[2] / ".demo"
LOG_WIDTH = 120
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILURES = (
    Busy,
    BuildError,
    StartError,
    ApiError,
    KubectlError,
    TimeoutError,
    httpx.HTTPError,
    OSError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo, or end the one that was left up; returns the exit status."""
    options = _parser().parse_args(arguments)
    folder = options.folder.resolve()
    console = _console()
    try:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, _interrupted)  # whatever ends us is cleaned up after
        return _down(folder, console) if options.down else _up(folder, console, keep=options.keep)
    except FAILURES as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted. Whatever the demo had started was ended and removed.", highlight=False)
        return 130


def _interrupted(*_: object) -> None:
    """Clean up, and do not let that be interrupted: whoever is impatient presses Ctrl-C again."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _up(folder: Path, console: Console, *, keep: bool) -> int:
    with held(folder) as hold:
        return 0 if run(hold, console, keep=keep) else 1


def _down(folder: Path, console: Console) -> int:
    console.print("The demo is down." if end(folder) else "No demo is up.")
    return 0


def _console() -> Console:
    """Standard output: as wide as the terminal, or as a log may be."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console()
    return Console(width=LOG_WIDTH)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.demo",
        description="Run the same workloads on a mixed cluster without Rightarch and with it, and compare.",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--keep", action="store_true", help="leave everything up, to be talked to by kubectl")
    action.add_argument("--down", action="store_true", help="end a demo that --keep left up")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where its files are (default: .demo)")
    return parser
