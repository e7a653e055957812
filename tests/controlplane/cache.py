"""The folder that keeps what was built, by component, version and platform; shared by concurrent runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .guardian import guardian, remove_folder
from .report import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .components import Component

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class CacheUnusable(OSError):
    """The folder can't be had; the message says which, and how to name another."""


def cache_folder() -> Path:
    """RIGHTARCH_CACHE, or `rightarch` in the user's cache folder."""
    if own := os.environ.get("RIGHTARCH_CACHE"):
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rightarch"


def cached(component: Component) -> Path:
    """Where the program of this component and version is kept, or would be."""
    machine = platform.machine()
    system = f"{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"
    return cache_folder() / component.name / f"{component.version}-{system}" / component.name


@contextlib.contextmanager
def lock(path: Path, purpose: str) -> Iterator[None]:
    """Hold a lock among all processes; one that has to wait says for what.

    The kernel releases it when the process ends, however it ends.
    """
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another run that is {purpose}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        what = f"What is built can't be kept in {cache_folder()}: {error.strerror}"
        raise CacheUnusable(f"{what}. Name another folder by RIGHTARCH_CACHE.") from error


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder on the disk of the cache, removed afterwards, also if this process is killed.

    What a power failure left behind (gigabytes) is removed by the next run: nobody holds its lock.
    """
    root = cache_folder()
    with contextlib.ExitStack() as stack:
        with lock(root / "scratch.lock", "tidying the cache"):
            _remove_abandoned(root)
            folder = Path(tempfile.mkdtemp(prefix="build-", dir=root))
            guardian().own_folder(folder)
            stack.enter_context(lock(folder / "lock", "building here"))
        try:
            yield folder
        finally:
            remove_folder(folder)
            guardian().disown_folder(folder)


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob("build-*"):
        with contextlib.suppress(FileNotFoundError), (folder / "lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # somebody builds there
            remove_folder(folder)
