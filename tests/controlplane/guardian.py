"""A small process that outlives the Python process only to clean up after it.

Whatever ends the Python process (an exception, Ctrl-C, SIGTERM, SIGKILL), the kernel closes its end of a
pipe. The guardian reads that pipe: lines that say what is owned, then the end of the file, upon which it
kills what is still owned, process group by process group, and removes the folders. A parent-death signal
would do less: it is tied to the thread that started the child, and removes no folder.

This file is run as a script with ``python -I -S``, so it imports nothing but the standard library.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

END = "end"


class Guardian:
    """This process's side of the pipe: announces what is to be cleaned up, and what no longer is."""

    def __init__(self) -> None:
        reader, self.pipe = os.pipe()
        self._owner = os.getpid()
        with os.fdopen(reader) as source:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__],
                stdin=source,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal must not reach it
                cwd="/",
            )
        atexit.register(self.close)

    def own_folder(self, folder: Path) -> None:
        """Have this folder removed when the Python process ends."""
        self._say(f"+folder {folder}")

    def disown_folder(self, folder: Path) -> None:
        """Leave this folder alone from now on."""
        self._say(f"-folder {folder}")

    def own_group(self, group: int) -> None:
        """Have this process group killed when the Python process ends."""
        self._say(f"+group {group}")

    def disown_group(self, group: int) -> None:
        """Leave this process group alone from now on."""
        self._say(f"-group {group}")

    def announced(self, command: list[str]) -> list[str]:
        """The command, wrapped so that it tells the guardian its own process group before it begins.

        To be started with the pipe as standard input, and as the leader of a group. The child itself holds
        the pipe open until it has said so: however soon after the fork this process is killed, the guardian
        hears of the child first and of the end of the file second.
        """
        return ["/bin/sh", "-c", 'echo "+group $$" >&0; exec "$@" </dev/null', "sh", *command]

    def close(self) -> None:
        """End the guardian, and wait until it has cleaned up."""
        if self._process.returncode is None and os.getpid() == self._owner:
            self._say(END)  # a forked child of this process may keep the pipe open
            os.close(self.pipe)
            self._process.wait()

    def _say(self, line: str) -> None:
        os.write(self.pipe, f"{line}\n".encode())


_guardian: Guardian | None = None


def guardian() -> Guardian:
    """The guardian of this Python process, started when it is first needed."""
    global _guardian  # noqa: PLW0603 - one pipe per process is the point: its closing is the process's end
    if _guardian is None:
        _guardian = Guardian()
    return _guardian


def kill_group(group: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Send a signal to a process group; false if it is gone."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def remove_folder(folder: Path, seconds: float = 5) -> None:
    """Remove a folder although processes that were just killed may still be creating files in it."""
    deadline = time.monotonic() + seconds
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


def watch(lines: TextIO) -> None:
    """Keep the account of what is owned until the end; then clean up, latest first."""
    owned: dict[str, None] = {}
    for line in lines:
        if line.rstrip("\n") == END:
            break
        sign, thing = line[0], line[1:].rstrip("\n")
        if sign == "+":
            owned[thing] = None
        else:
            owned.pop(thing, None)
    things = [thing.split(" ", 1) for thing in reversed(owned)]
    for group in (value for kind, value in things if kind == "group"):
        kill_group(int(group))
    for folder in (value for kind, value in things if kind == "folder"):
        remove_folder(Path(folder))


if __name__ == "__main__":
    for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(_number, signal.SIG_IGN)  # it ends when its work is done, and only then
    with contextlib.suppress(KeyboardInterrupt):
        watch(sys.stdin)
