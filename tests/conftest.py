"""What holds for all tests: a layer (a folder under tests/) may be left out, on demand only."""

from __future__ import annotations

import os
import signal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

LAYERS = ("registry", "cluster", "e2e", "karpenter", "browser")
VARIABLE = "RIGHTARCH_TEST_SKIP"
TESTS = Path(__file__).parent
LONGEST = "karpenter"
"""The layer that takes longest: it begins first, and its files share one Karpenter."""


class Files(LoadFileScheduling):
    """Gives files to workers, and all files of the longest layer to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(super()._split_scope(nodeid))
        return str(file.parent if file.parent.name == LONGEST else file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Files:
    """How tests are given to workers."""
    return Files(config, log)


def skipped_layers() -> set[str]:
    """The layers that RIGHTARCH_TEST_SKIP names, separated by commas."""
    names = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
    if unknown := names - set(LAYERS):
        raise pytest.UsageError(f"{VARIABLE} names {', '.join(sorted(unknown))}; the layers are {', '.join(LAYERS)}")
    return names


def pytest_configure() -> None:
    """Have SIGINT do what it does: a run in the background ignores it, and so would all processes that tests start.

    How long an example takes says nothing where other tests have the machine too.
    """
    settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("shared")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest layer; skip those that the variable names: else a missing component is a failure."""
    skipped = skipped_layers()
    items.sort(key=lambda item: LONGEST not in item.path.parts)
    for item in items:
        if item.path.is_relative_to(TESTS) and (layer := item.path.relative_to(TESTS).parts[0]) in skipped:
            item.add_marker(pytest.mark.skip(reason=f"{VARIABLE} names {layer}"))
