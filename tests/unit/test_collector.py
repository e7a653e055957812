"""Facts are deleted when nobody uses them, and when all may read what few could."""

from __future__ import annotations

from datetime import date, timedelta

from rightarch.facts.collector import SUPERSEDED, UNUSED, garbage
from rightarch.facts.fact import Fact, name_of
from rightarch.platforms import ImagePlatforms, Platform

TODAY = date(2026, 3, 20)
IMAGE = ImagePlatforms("sha256:" + "1" * 64, (Platform("linux", "arm64"),), indexed=False)


def fact(scope: str, name: str = "app", *, learned: int = 100, unused: int = 0, failure: str | None = None) -> Fact:
    """A fact that was last used some days ago."""
    reference = f"docker.io/library/{name}:1"
    return Fact((scope, reference), IMAGE, "registry.example", learned, TODAY - timedelta(unused), failure)


def why(*facts: Fact) -> list[str | None]:
    """Why each of the facts is deleted, or None."""
    found = garbage(facts, TODAY, 14)
    assert found.keys() <= {name_of(each.key) for each in facts}
    return [found.get(name_of(each.key)) for each in facts]


def test_what_nobody_used_for_days_is_deleted() -> None:
    """In any scope, whether it can be read or not; a last use so many days ago is not too long ago."""
    scopes = ["", "cluster", "team-a/hub"]
    for days, expected in [(0, None), (14, None), (15, UNUSED), (400, UNUSED)]:
        assert why(*(fact(scope, unused=days) for scope in scopes)) == [expected] * 3
    assert why(fact("", unused=15, failure="ImageNotFound")) == [UNUSED]


def test_a_day_of_tomorrow_is_no_reason() -> None:
    """Clocks differ, and midnight is not everywhere at once."""
    assert why(fact("", unused=-1)) == [None]


def test_what_all_may_read_supersedes_what_few_could() -> None:
    """Where it was learnt later: nobody asks without a credential as long as one with it succeeds."""
    public, private, own = fact("", learned=200), fact("team-a/hub"), fact("cluster")
    assert why(public, private, own) == [None, SUPERSEDED, SUPERSEDED]
    assert why(fact("", learned=100), private) == [None, None]
    assert why(fact("", learned=50), private) == [None, None]
    assert why(fact("", "other", learned=200), private) == [None, None]


def test_what_does_not_answer_supersedes_nothing() -> None:
    """The public one was once read, and can't be any more; one whose registry fails for now goes on."""
    private = fact("team-a/hub")
    assert why(fact("", learned=200, failure="AccessDenied"), private) == [None, None]
    assert why(fact("", learned=200, failure="RateLimited"), private) == [None, SUPERSEDED]


def test_what_the_cluster_may_read_leaves_what_a_namespace_may() -> None:
    """A pod's own pull secrets come first, and may be all that is left one day."""
    assert why(fact("cluster", learned=200), fact("team-a/hub"), fact("team-b/")) == [None, None, None]
