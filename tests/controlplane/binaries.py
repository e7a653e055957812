"""Finds the program of a component: where the user says, on PATH, in the cache; else has it built."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from .cache import cached
from .components import COMPONENTS
from .workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .components import Component

ASSETS = "KUBEBUILDER_ASSETS"


@functools.cache
def binary(name: str) -> Path:
    """The program of a component, one of the names in COMPONENTS; built if need be, which takes minutes.

    Raises:
        BuildError: it is nowhere, and can't be built.
    """
    component = COMPONENTS[name]
    with Workshop() as workshop:
        return find(component) or workshop.provide(component)


def find(component: Component, tell: Callable[[str], None] | None = None) -> Path | None:
    """The program, if there is one already whose version does; `tell` hears of those that don't."""
    for program in _candidates(component.name):
        version = component.version_of(program)
        if component.accepts(version):
            return program
        if tell:
            said = ".".join(map(str, version)) if version else "of unknown version"
            tell(f"Not used: {program} is {said}; wanted {component.wanted}")
    program = cached(component)
    return program if program.exists() else None


def _candidates(name: str) -> Iterator[Path]:
    """Programs of this name that the user has: in KUBEBUILDER_ASSETS, then on PATH."""
    for folder in (os.environ.get(ASSETS), os.environ.get("PATH")):
        if folder and (found := shutil.which(name, path=folder)):
            yield Path(found).absolute()
