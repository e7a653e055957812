"""The report's page in Chromium: what it shows, by mouse and by keyboard, in light, in dark, on paper, on a phone."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from tests.support.reports import HOSTILE, report

from .conftest import MANY, SIZES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Locator, Page

pytestmark = pytest.mark.timeout(900)  # the first test may have to install the browser

ROWS = "#workloads tbody tr"
SHOWN = f"{ROWS}:not([hidden])"
CONTRAST = """
selector => {
  const parts = text => (text.match(/[\\d.]+(?:e-?\\d+)?/g) || []).map(Number);
  const colour = text => {
    const p = parts(text);
    const scale = text.startsWith("color(") ? 255 : 1;
    return {rgb: p.slice(0, 3).map(v => v * scale), alpha: p.length > 3 ? p[3] : 1};
  };
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(colour(getComputedStyle(e).backgroundColor));
    let rgb = [255, 255, 255];
    for (const {rgb: over, alpha} of layers.reverse()) rgb = rgb.map((v, i) => v * (1 - alpha) + over[i] * alpha);
    return rgb;
  };
  const light = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(selector)].slice(0, 100).map(element => {
    const [a, b] = [light(colour(getComputedStyle(element).color).rgb), light(behind(element))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  });
}
"""
"""The contrast of some texts with what is behind them, as WCAG 2 computes it."""

INTRUDE = """
() => new Promise(done => {
  document.addEventListener("securitypolicyviolation", event => done(event.violatedDirective));
  const script = document.createElement("script");
  script.textContent = "window.ran = true";
  document.body.append(script);
})
"""
"""Tries to run a script of somebody else's."""


def opened(page: Page, folder: Path, name: object = MANY) -> None:
    """Open a page from its file."""
    page.goto(f"{(folder / str(name)).as_uri()}.html")


@pytest.mark.parametrize("count", SIZES)
def test_all_workloads_are_there(page: Page, folder: Path, count: int) -> None:
    """A row for each, a bar for each namespace, and the headline's share."""
    opened(page, folder, count)
    expected = report(count)
    assert page.locator(ROWS).count() == count
    assert page.locator("#count").inner_text() == f"{count:,} of {count:,}"
    assert page.locator(".spaces li").count() == len(expected.namespaces)
    assert page.locator(".big").inner_text().replace("\n", "") == f"{round(expected.ready * 100)}%"
    assert page.title() == "arm64 readiness of context production"


def test_the_bars_of_a_namespace_fill_it(page: Page, folder: Path) -> None:
    """The verdicts are stacked without a gap from one end to the other."""
    opened(page, folder)
    ends = page.eval_on_selector_all(
        ".spaces svg",
        "bars => bars.map(bar => [...bar.querySelectorAll('rect')].map(r => [parseFloat(r.getAttribute('x')),"
        " parseFloat(r.getAttribute('width'))]))",
    )
    for bars in ends:
        start = 0.0
        for x, width in bars:
            assert x == pytest.approx(start, abs=0.01)
            start += width
        assert start == pytest.approx(100, abs=0.01)


def test_the_pareto_line_rises(page: Page, folder: Path) -> None:
    """From the first bar's end, to no more than all of it; the bars get no longer."""
    opened(page, folder)
    widths = page.eval_on_selector_all(".pareto .held", "bars => bars.map(b => parseFloat(b.getAttribute('width')))")
    sums = page.eval_on_selector_all(".pareto .dot", "dots => dots.map(d => parseFloat(d.getAttribute('cx')))")
    assert widths == sorted(widths, reverse=True)
    assert sums == sorted(sums)
    assert sums[0] == widths[0]
    assert sums[-1] <= 100


@pytest.mark.parametrize("name", ["hostile", MANY])
def test_the_pareto_line_goes_through_its_dots(page: Page, folder: Path, name: object) -> None:
    """However few images there are: dots and line are drawn on one scale."""
    opened(page, folder, name)
    line = page.locator(".pareto .sum").bounding_box()
    dots = [dot.bounding_box() for dot in page.locator(".pareto .dot").all()]
    assert line
    centres = [(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2) for dot in dots if dot]
    assert (line["x"], line["y"]) == pytest.approx(centres[0], abs=1.5)
    assert (line["x"] + line["width"], line["y"] + line["height"]) == pytest.approx(centres[-1], abs=1.5)


def test_a_column_is_sorted_by_keyboard(page: Page, folder: Path) -> None:
    """Numbers begin with the largest, texts with the first; what is sorted is told to screen readers."""
    opened(page, folder)
    page.locator("#workloads th", has_text="vCPU").get_by_role("button").focus()
    page.keyboard.press("Enter")
    cells = page.eval_on_selector_all(ROWS, "rows => rows.map(row => Number(row.cells[6].dataset.value))")
    assert cells == sorted(cells, reverse=True)
    assert cells[0] > cells[-1]
    assert page.locator("#workloads th", has_text="vCPU").get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")
    cells = page.eval_on_selector_all(ROWS, "rows => rows.map(row => Number(row.cells[6].dataset.value))")
    assert cells == sorted(cells)
    page.locator("#workloads th", has_text="Namespace").get_by_role("button").press("Space")
    names = page.eval_on_selector_all(ROWS, "rows => rows.map(row => row.cells[2].textContent)")
    assert names == sorted(names)
    assert page.locator("#workloads th[aria-sort]").count() == 1


def test_search_finds_all_words(page: Page, folder: Path) -> None:
    """The slash goes there, each word must be in the row, Escape ends it."""
    opened(page, folder)
    page.keyboard.press("/")
    page.keyboard.type("vault-agent DaemonSet")
    rows = page.locator(SHOWN)
    assert 0 < rows.count() < 60
    assert all("vault-agent" in text and "DaemonSet" in text for text in rows.all_inner_texts())
    assert page.locator("#count").inner_text() == f"{rows.count()} of {MANY}"
    page.keyboard.type(" nobody-is-called-so")
    assert page.locator("#empty").is_visible()
    page.keyboard.press("Escape")
    assert page.locator(SHOWN).count() == MANY


def test_verdicts_are_hidden_and_shown(page: Page, folder: Path) -> None:
    """A button for each that there is; it says whether it is on."""
    opened(page, folder)
    ready = page.get_by_role("button", name="Ready", exact=True)
    ready.click()
    assert ready.get_attribute("aria-pressed") == "false"
    assert page.locator(f"{SHOWN}[data-verdict=Ready]").count() == 0
    assert page.locator(SHOWN).count() == MANY - page.locator(f"{ROWS}[data-verdict=Ready]").count()
    ready.click()
    assert page.locator(SHOWN).count() == MANY


def test_each_finding_has_a_link(page: Page, folder: Path) -> None:
    """From a workload to what blocks it, from there to the workload; and from elsewhere, to a row that was hidden."""
    opened(page, folder)
    link = page.locator(f"{ROWS}[data-verdict=Blocked] td.why a").first
    target = page.locator(followed(page, link))
    target.wait_for(state="visible")
    assert link.inner_text() in target.inner_text()
    named = unquote(followed(page, target.locator("li a").first).removeprefix("#"))
    assert page.evaluate("name => document.getElementById(name).matches('tbody tr')", named)
    opened(page, folder, "3")
    anchor = page.locator(f"{ROWS} td.name a").first.get_attribute("href")
    page.locator("#search").fill("nobody")
    page.evaluate("anchor => { location.hash = anchor }", anchor)
    page.wait_for_selector(f"{ROWS}:target:not([hidden])")


def followed(page: Page, link: Locator) -> str:
    """Click a link within the page; where it leads, once that is where the page is."""
    before = page.evaluate("location.hash")
    link.click()
    page.wait_for_function("before => location.hash !== before", arg=before)
    return str(page.evaluate("location.hash"))


def test_names_from_the_cluster_are_but_text(page: Page, folder: Path) -> None:
    """Markup and templates in the name of a namespace, a pod, an image: shown as they are, never run."""
    opened(page, folder, "hostile")
    row = page.locator(ROWS, has_text="onerror").first
    assert HOSTILE in row.inner_text()
    assert page.locator("main img, main script").count() == 0
    assert page.locator("script").count() == 1
    row.locator("td.name a").click()
    page.wait_for_selector(f"{ROWS}:target")
    assert page.locator(f"{ROWS}:target").count() == 1


def test_the_page_forbids_itself_everything_else(browser: BrowserContext, folder: Path) -> None:
    """What might get into it against all odds runs nothing: the policy knows its own script and style by their hash."""
    with browser.new_page() as page:
        opened(page, folder, 3)
        policy = page.locator("meta[http-equiv]").get_attribute("content") or ""
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert page.evaluate(INTRUDE).startswith("script-src")
        assert page.evaluate("window.ran") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("count", SIZES)
def test_light_and_dark_can_be_read(
    page: Page, folder: Path, shoot: Callable[[str], bytes], scheme: str, count: int
) -> None:
    """By the system's choice: every text has the contrast of WCAG AA; the button turns it round."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    opened(page, folder, count)
    picture = shoot(f"report-{count}-{scheme}")
    assert struct.unpack(">II", picture[16:24]) == (1280, 900)
    for selector in (".big", ".sub", ".hint", ".legend span", ".facts dt", "td.name a", "td.why", ".chip", ".notes li"):
        ratios = page.evaluate(CONTRAST, selector)
        assert all(ratio >= 4.5 for ratio in ratios), f"{selector}: {min(ratios):.2f}"
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Light / dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


@pytest.mark.parametrize("count", SIZES)
def test_a_narrow_window_has_it_all(page: Page, folder: Path, shoot: Callable[[str], bytes], count: int) -> None:
    """Nothing is wider than the window but the table, which scrolls by itself."""
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, folder, count)
    shoot(f"report-{count}-narrow")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator(".big").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_is_white(page: Page, folder: Path, shoot: Callable[[str], bytes], scheme: str) -> None:
    """Whatever the screen is; what can't be pressed on paper is not on it, and nothing is folded away."""
    page.emulate_media(media="print", color_scheme="dark" if scheme == "dark" else "light")
    opened(page, folder)
    if scheme == "dark":
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert all(ratio >= 4.5 for ratio in page.evaluate(CONTRAST, "td.why, .chip, .hint, .sub"))
    assert not page.locator(".tools").is_visible()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    shoot(f"report-print-{scheme}")


def test_it_prints(page: Page, folder: Path) -> None:
    """As a PDF of A4 across, as many pages as it takes."""
    opened(page, folder, "3")
    paper = page.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF-")
    wide, high = (float(n) for n in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", paper)[0])
    assert (round(wide), round(high)) == (842, 595)


def test_what_is_not_known_is_never_nothing(page: Page, folder: Path, shoot: Callable[[str], bytes]) -> None:
    """No cost and no saving of nodes without a price, no risk where no node could be read; the columns sort anyway."""
    opened(page, folder, "unknown")
    shoot("report-unknown")
    facts = page.locator(".facts").inner_text()
    assert "prices are missing" in facts
    assert "it is not known which nodes there are" in facts
    assert "What moving saves is not known" in page.locator(".hero").inner_text()
    page.locator("#workloads th", has_text="Could save/h").get_by_role("button").click()
    cells = page.eval_on_selector_all(ROWS, "rows => rows.map(row => [1, 8, 9].map(n => row.cells[n].textContent))")
    assert cells == [["?", "-", "-"]] * 12


def test_without_workloads_it_says_so(page: Page, folder: Path) -> None:
    """No empty table, no division by nothing."""
    opened(page, folder, "empty")
    assert "There is no workload to report on." in page.locator("main").inner_text()
    assert page.locator("#workloads").count() == 0


def test_without_scripts_all_can_be_read(page: Page, folder: Path) -> None:
    """The table is a part of the file, and made by no script."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    opened(page, folder, "3")
    assert page.locator(ROWS).count() == 3
    assert not page.locator("#theme").is_visible()
