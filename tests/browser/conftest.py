"""One browser for all tests of this layer; each test has a page of its own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from rightarch.cli.report_page import page as rendered
from tests.support.reports import report

from .chromium import FLAGS, chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Dialog, Page

SIZES = (3, 2000)
MANY = 300
"""Workloads of the page on which things are done: enough for all that happens, and quick to open."""
SCREENSHOTS = "RIGHTARCH_TEST_SCREENSHOTS"
TIMEOUT = 90_000
"""Milliseconds after which something is given up: how long a failure takes, and never what a test is about."""


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """The pages: of a few workloads, of many, of hostile ones, of some of which little is known, and of none."""
    with tempfile.TemporaryDirectory(prefix="rightarch-pages-") as name:
        for count in (*SIZES, MANY):
            (Path(name) / f"{count}.html").write_text(rendered(report(count)))
        (Path(name) / "hostile.html").write_text(rendered(report(5, hostile=True)))
        (Path(name) / "unknown.html").write_text(rendered(report(12, known=False)))
        (Path(name) / "empty.html").write_text(rendered(report(0, priced=False)))
        yield Path(name)


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """Chromium, with a new profile and no network.

    Not for the session: an event loop runs in this thread for as long as Playwright does, and others need their own.
    """
    program = chromium()
    with tempfile.TemporaryDirectory(prefix="rightarch-chromium-") as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=program, headless=True, args=list(FLAGS), offline=True, timeout=TIMEOUT
        )
        context.set_default_timeout(TIMEOUT)
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A page on which no error may be logged, and no dialogue opened, and from which nobody may be asked."""
    opened = browser.new_page()
    told: list[str] = []
    opened.on("console", lambda message: told.append(message.text))
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("dialog", lambda dialog: _refuse(dialog, told))
    opened.on("request", lambda request: told.extend([] if request.url.startswith("file:") else [request.url]))
    opened.set_viewport_size({"width": 1280, "height": 900})
    yield opened
    opened.close()
    assert told == []


def _refuse(dialog: Dialog, told: list[str]) -> None:
    told.append(dialog.message)
    dialog.dismiss()


@pytest.fixture
def shoot(page: Page, tmp_path: Path) -> Callable[[str], bytes]:
    """Takes a screenshot; kept where RIGHTARCH_TEST_SCREENSHOTS names a folder, to be looked at."""
    kept = Path(os.environ.get(SCREENSHOTS) or tmp_path)
    kept.mkdir(parents=True, exist_ok=True)
    return lambda name: page.screenshot(path=kept / f"{name}.png")
