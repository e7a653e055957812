"""The pages of the documentation: their links lead somewhere, and the bounds that they state are those of the code."""

import re
from pathlib import Path

import pytest

from rightarch import events, extent, gather, metrics
from rightarch.registry import RegistryOptions
from rightarch.serving import connection, load
from rightarch.webhook import endpoint

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/*/*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
MIB = 1024 * 1024


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading of it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for path, anchor in LINK.findall(text):
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), path
        assert not anchor or anchor in anchors(there), f"{path}#{anchor}"


def test_the_page_on_security_states_the_bounds_of_the_code() -> None:
    """Each row of its table of what one may cost."""
    options = RegistryOptions()
    text = (ROOT / "docs" / "security.md").read_text()
    budget, arrival = endpoint.MAX_BUDGET, connection.REQUEST_SECONDS
    timeout = f"{options.lookup_timeout:g} seconds"
    lookups = f"{options.max_lookups} in flight, half of them for one namespace"
    for row in (
        f"| a review | {endpoint.MAX_BODY // MIB} MiB; {arrival:g} seconds to arrive and be answered, {budget:g} of",
        f"| all connections to a replica | {load.MAX_CONNECTIONS:,} ".replace(",", " ").strip(),
        f"and {load.MAX_HELD // MIB} MiB of bodies |",
        f"| images of a pod | {gather.MAX_IMAGES}, of which {gather.MAX_LOOKUPS} are looked up at a time |",
        f"| look-ups of a replica | {lookups}, {options.max_lookups_per_registry} at one registry; {timeout} each |",
        f"| Events | {events.PER_SECOND} in a second; of {events.MAX_WAITING} that wait, {events.MAX_OF_ONE} of one",
        f"| labels of metrics | {metrics.MAX_NAMES} names of others', then `other` |",
        f"| nesting of a document | {extent.MAX_NESTING} levels |",
    ):
        assert row in text, row
