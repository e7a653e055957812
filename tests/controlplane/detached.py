"""Processes that outlive the Python process that started them: what is written down, and how they end."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .guardian import kill_group

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .process import Process

GRACE_SECONDS = 3
KILLED_SECONDS = 30
"""How long the kernel may take to end what was killed: on a busy machine, more than a moment."""


def write_state(path: Path, processes: Iterable[Process]) -> None:
    """Write down what is needed to end these processes later, from anywhere."""
    entries = [{"name": process.name, "pid": process.pid, "started": started(process.pid)} for process in processes]
    path.write_text(json.dumps(entries, indent=2) + "\n")


def stop_processes(path: Path) -> bool:
    """End the process groups that were written down, latest first; false if there is no such file.

    All are asked to end (a webhook takes its leave), and killed if they have not after a moment. Returns when they are
    gone.
    """
    if not path.exists():
        return False
    groups = [entry["pid"] for entry in json.loads(path.read_text()) if _same(entry)]
    for group in reversed(groups):
        kill_group(group, signal.SIGTERM)
        kill_group(group, signal.SIGCONT)  # a paused process hears nothing else
    _wait_gone(groups, GRACE_SECONDS)
    for group in reversed(groups):
        kill_group(group)
    _wait_gone(groups, KILLED_SECONDS)
    return True


def _wait_gone(groups: Iterable[int], seconds: float) -> None:
    """Wait until these processes have ended, or so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(started(group) for group in groups):
        time.sleep(0.02)


def started(pid: int) -> str:
    """When a process began, in the kernel's own count; nothing if there is none or it has ended.

    With the process id this tells a process from a later one that has the same id.
    """
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if after_name[0] == "Z" else after_name[19]
    return ""


def _same(entry: dict[str, int | str]) -> bool:
    return started(int(entry["pid"])) == entry["started"] != ""
