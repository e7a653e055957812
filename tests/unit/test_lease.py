"""The Lease of the controllers, as the webhook sees it: until when a gate may be added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rightarch.lease import Lease, Renewal


@dataclass
class Time:
    """Two clocks that are set by hand."""

    passed: float = 1000.0
    wall: float = 1_800_000_000.0

    def lease(self) -> Lease:
        """A Lease by these clocks."""
        return Lease(lambda: self.passed, lambda: self.wall)

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds
        self.wall += seconds


@pytest.fixture
def time() -> Time:
    """The clocks."""
    return Time()


def held(lease: Lease) -> bool:
    """Whether it is held now, which changes with the time."""
    return lease.held


def test_nothing_is_held_before_anything_was_seen(time: Time) -> None:
    """Nor where there is no Lease at all."""
    lease = time.lease()
    assert not held(lease)
    lease.replace([])
    assert not held(lease)


def test_a_renewal_lasts_thirty_seconds(time: Time) -> None:
    """From the moment at which it was seen, whatever the other clock says."""
    lease = time.lease()
    for wrong in (-3600, 0, 3600):
        lease.put(Renewal("a", time.wall + wrong))
        time.go(29.9)
        assert held(lease)
        time.go(0.2)
        assert not held(lease)


@pytest.mark.parametrize(("age", "expected"), [(-5, True), (0, True), (29, True), (31, False), (86400, False)])
def test_a_lease_that_was_there_before_is_as_old_as_it_says(time: Time, age: float, expected: bool) -> None:
    """Last week's makes nobody wait for a controller that is not there."""
    lease = time.lease()
    lease.replace([Renewal("a", time.wall - age)])
    assert held(lease) is expected


def test_what_is_seen_again_is_no_news(time: Time) -> None:
    """A list after a lost watch has what was known: the time goes on."""
    lease, renewal = time.lease(), Renewal("a", time.wall)
    lease.put(renewal)
    time.go(20)
    lease.replace([renewal])
    lease.put(renewal)
    time.go(11)
    assert not held(lease)


def test_who_gives_it_back_renews_nothing(time: Time) -> None:
    """The next leader has what is left of the thirty seconds; then it counts from its own renewals."""
    lease = time.lease()
    lease.put(Renewal("a", time.wall))
    time.go(2)
    lease.put(Renewal("", time.wall))
    assert held(lease)
    time.go(29)
    assert not held(lease)
    lease.put(Renewal("b", time.wall))
    assert held(lease)


def test_a_lease_that_is_deleted_is_held_by_nobody(time: Time) -> None:
    """At once."""
    lease = time.lease()
    lease.put(Renewal("a", time.wall))
    lease.remove(Renewal("a", time.wall))
    assert not held(lease)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            {"spec": {"holderIdentity": "a", "renewTime": "2027-01-15T08:00:00.250000Z"}},
            Renewal("a", 1_800_000_000.25),
        ),
        ({"spec": {"holderIdentity": "a", "renewTime": "yesterday"}}, Renewal("a", 0.0)),
        ({"spec": {"holderIdentity": None, "renewTime": None}}, Renewal("", 0.0)),
        ({}, Renewal("", 0.0)),
    ],
)
def test_a_raw_lease_is_read_as_far_as_it_can_be(raw: dict[str, Any], expected: Renewal) -> None:
    """Anybody with the right to may write one."""
    assert Renewal.of(raw) == expected
