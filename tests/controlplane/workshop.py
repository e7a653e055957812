"""Builds components from their published Go modules, and leaves nothing behind but the programs."""

from __future__ import annotations

import contextlib
import functools
import time
from typing import TYPE_CHECKING, Self

from .cache import cache_folder, cached, lock, scratch_folder
from .components import MODULES
from .process import Process
from .report import say
from .toolchain import BuildError, find_go, go_environment, install_go

if TYPE_CHECKING:
    from pathlib import Path

    from .components import Component

REPORT_SECONDS = 30


class Workshop:
    """One folder for all builds of one run: later ones find what earlier ones downloaded and compiled.

    A context manager; the folder is made by the first build and removed on exit.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def provide(self, component: Component) -> Path:
        """The program in the cache, built if it is not there; at most one run builds it.

        Raises:
            BuildError: the build failed.
        """
        program = cached(component)
        name = f"{component.name}-{component.version}"
        with lock(cache_folder() / "locks" / name, f"building {component.name}"):
            if not program.exists():
                self._build(component, program)
        return program

    def _build(self, component: Component, program: Path) -> None:
        go, environment = self._go
        say(f"Building {component.name} {component.version} (once; usually {component.seconds} s on 2 cores)")
        fresh = self._folder / component.name
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags={component.linker_flags}"]
        modules = ["-C", str(MODULES / component.group)]
        command = [str(go), "build", *modules, *flags, "-o", str(fresh), component.import_path]
        start = time.monotonic()
        self._run(component.name, command, environment)
        if not component.accepts(component.version_of(fresh)):
            raise BuildError(f"{component.name} was built, but does not say that it is {component.version}")
        program.parent.mkdir(parents=True, exist_ok=True)
        fresh.replace(program)  # same file system, so nobody ever sees half a program
        say(f"Built {component.name} in {time.monotonic() - start:.0f} s")

    @functools.cached_property
    def _folder(self) -> Path:
        return self._stack.enter_context(scratch_folder())

    @functools.cached_property
    def _go(self) -> tuple[Path, dict[str, str]]:
        go = find_go() or install_go(self._folder / "toolchain", self._run)
        return go, go_environment(go, self._folder)

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Run a command to its end, and tell from time to time that it still runs."""
        log = self._folder / f"{name}.log"
        process = Process(f"the build of {name}", command, log=log, environment=environment)
        process.start()
        try:
            _follow(process, name)
        finally:
            process.kill()
        if process.exit_status:
            raise BuildError(process.report(f"failed with status {process.exit_status}"))


def _follow(process: Process, name: str) -> None:
    start = time.monotonic()
    told = start
    while process.running:
        now = time.monotonic()
        if now - told >= REPORT_SECONDS:
            say(f"  {name}: {now - start:.0f} s")
            told = now
        time.sleep(0.1)
