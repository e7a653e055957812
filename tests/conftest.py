"""What holds for all tests: a layer (a folder under tests/) may be left out, on demand only."""

from __future__ import annotations

import os
import signal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter
    from xdist.remote import Producer

LAYERS = ("registry", "cluster", "e2e", "karpenter", "browser")
VARIABLE = "RIGHTARCH_TEST_SKIP"
TESTS = Path(__file__).parent
LONGEST = "karpenter"
"""The layer that takes longest: it begins first, and its files share one Karpenter."""
AGAIN = "again"
"""The outcome of a test that failed the first time; the second time counts."""


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
        if (layer := _layer(item)) in skipped:
            item.add_marker(pytest.mark.skip(reason=f"{VARIABLE} names {layer}"))


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Give a test on real components that fails a second chance, and tell of it: it may have met a stalled machine.

    A test of the pure core has none, nor has one whose fixtures fail.
    """
    if not isinstance(item, pytest.Function) or _layer(item) not in LAYERS:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if any(each.when == "call" and each.failed for each in reports):
        for each in reports:
            if each.when == "call":
                each.outcome = AGAIN  # type: ignore[assignment] # of our own, which counts as no failure
                item.ihook.pytest_runtest_logreport(report=each)
        item._initrequest()  # as all who run a test twice do: there is no other way to new fixtures
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for each in reports:
        item.ihook.pytest_runtest_logreport(report=each)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Show a test that is run again by a letter of its own."""
    return (AGAIN, "A", "AGAIN") if str(report.outcome) == AGAIN else None


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Tell which tests were run again, with why they failed: a test that is often here has a race, or the product."""
    for report in terminalreporter.stats.get(AGAIN, ()):
        terminalreporter.section(f"run again: {report.nodeid}", "-")
        terminalreporter.line(report.longreprtext)


def _layer(item: pytest.Item) -> str:
    """The folder of tests that an item is in; empty for one from elsewhere."""
    return item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
