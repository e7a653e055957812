"""Output: what a command was asked for, on standard output; a command that can't write it has failed."""

import errno
import os
import sys
from typing import Final

from rightarch.cli.exits import fail
from rightarch.errors import RightarchError

_CLOSED: Final = "standard output is closed"


def show(content: str | bytes) -> None:
    """Write text, or the very bytes, and end the command where that fails: a disk is full, or nobody is to read it.

    A reader that has had enough (``| head``) is no failure to tell of: that is left to whoever runs the commands.
    """
    if sys.stdout is None:  # what Python makes of a descriptor that is closed
        fail(RightarchError(f"the output can't be written: {_CLOSED}"))
    try:
        sys.stdout.buffer.write(content if isinstance(content, bytes) else content.encode(errors="replace"))
        sys.stdout.buffer.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else it is tried again at the exit
        fail(RightarchError(f"the output can't be written: {error.strerror}"))
