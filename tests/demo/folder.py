"""The folder of a demo: held by one run at a time, and afterwards by the demo that was left up, if any."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from tests.controlplane import ControlPlane
from tests.controlplane.guardian import guardian, remove_folder
from tests.controlplane.layout import STATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTROL_PLANE = "control-plane"
"""Where in it the control plane has its files, of which there are some from its start to its end."""


class Busy(Exception):
    """The folder is not free; the message says by what, and what to do."""


class Hold:
    """A folder that this run has to itself; it is removed in the end, however the run ends, unless kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = False

    @property
    def control_plane(self) -> Path:
        """The folder for the control plane."""
        return self.path / CONTROL_PLANE

    @property
    def kubeconfig(self) -> Path:
        """Where the kubeconfig of a demo that was left up is."""
        return self.path / "kubeconfig"

    def keep(self) -> None:
        """Leave the folder, with the demo that is up in it."""
        self._kept = True
        guardian().disown_folder(self.path)

    def release(self) -> None:
        """Remove the folder unless it is kept."""
        if not self._kept:
            remove_folder(self.path)
            guardian().disown_folder(self.path)


@contextlib.contextmanager
def held(path: Path) -> Iterator[Hold]:
    """Have an empty folder to oneself.

    Raises:
        Busy: a demo is running, or was left up, or the folder is somebody else's.
    """
    with _locked(path):
        if (path / CONTROL_PLANE / STATE).exists():
            raise Busy(f"A demo is up in {path}. `make demo-down` ends it.")
        _clear(path)
        hold = Hold(path)
        guardian().own_folder(path)
        try:
            yield hold
        finally:
            hold.release()


def end(path: Path) -> bool:
    """End the demo that was left up; false if there is none.

    Raises:
        Busy: a demo is running, which whoever runs it ends; or the folder is somebody else's.
    """
    if not path.exists():
        return False
    with _locked(path):
        found = ControlPlane.stop_detached(path / CONTROL_PLANE)
        if found:
            remove_folder(path)
        return found


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the kernel's lock on the folder itself: no file to leave behind, and released however we end."""
    descriptor = _lock(path)
    try:
        while not _names(path, descriptor):  # who held it before has removed it meanwhile
            os.close(descriptor)
            descriptor = _lock(path)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.rmdir()  # made by us, and interrupted before anything was in it
        os.close(descriptor)


def _lock(path: Path) -> int:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise Busy(f"{path} is no folder, and can't become one: a file is there. Name another with --folder.") from None
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Busy(f"A demo is running in {path}. Wait for its end, or end it there with Ctrl-C.") from None
    return descriptor


def _names(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _clear(path: Path) -> None:
    """Remove what a run left that ended with the machine; nothing that is not a demo's."""
    entries = list(path.iterdir())
    if entries and not (path / CONTROL_PLANE).is_dir():
        raise Busy(f"{path} has files in it that are no demo's. Name another folder with --folder.")
    for entry in entries:  # not the folder itself: the lock is on it
        remove_folder(entry) if entry.is_dir() else entry.unlink()
