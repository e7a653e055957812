"""Circuits: what opens one, what goes through an open one, and what closes it; all on a clock that the tests turn."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.errors import ImageError, UnresolvedImage
from rightarch.reasons import Reason
from rightarch.registry.circuit import FAILURES, LONGEST_PAUSE, PROBE_SECONDS, Circuits, Passage

BROKEN = UnresolvedImage(Reason.REGISTRY_FAILED, "it broke")
HOST, NOBODY, TEAM = b"registry.example", None, 7


@dataclass
class Turned:
    """Circuits, and the clock that they see."""

    now: float = 100.0

    def __post_init__(self) -> None:
        self.circuits = Circuits(lambda: self.now)

    def admit(self, client: int | None = NOBODY, host: bytes = HOST) -> Passage:
        """A request that passes."""
        return self.circuits.admit(host, client)

    def refused(self, client: int | None = NOBODY) -> ImageError:
        """A request that fails without being sent."""
        with pytest.raises(UnresolvedImage) as caught:
            self.circuits.admit(HOST, client)
        return caught.value

    def fail(self, times: int = 1, error: ImageError = BROKEN, client: int | None = NOBODY) -> ImageError:
        """Requests that fail, one after the other."""
        for _ in range(times - 1):
            self.admit(client).failed(error)
        return self.admit(client).failed(error)


def test_failures_in_a_row_open_and_an_answer_closes() -> None:
    """Three failures without an answer between: then requests fail at once, with the Reason of the last."""
    turned = Turned()
    turned.fail(2)
    turned.admit().answered()
    turned.fail(2)
    assert turned.circuits.open() == 0
    told = turned.fail()
    assert turned.circuits.open() == 1
    assert told.retry_after is not None
    assert 0.5 <= told.retry_after <= 1.0
    again = turned.refused()
    assert (again.reason, again.retry_after) == (Reason.REGISTRY_FAILED, told.retry_after)
    assert str(again).startswith("it broke; asked again in ")
    turned.admit(host=b"other.example").answered()


def test_one_probe_at_a_time() -> None:
    """After the pause one request goes through, and the others wait for what becomes of it."""
    turned = Turned()
    turned.fail(FAILURES)
    turned.now += 1.0
    probe = turned.admit()
    assert probe.probe
    assert turned.refused().retry_after == PROBE_SECONDS
    probe.answered()
    assert not turned.admit().probe
    assert (turned.circuits.open(), len(turned.circuits)) == (0, 0)


def test_a_probe_that_is_given_up_makes_room() -> None:
    """What ended with nothing learnt says nothing, and the next request is the probe."""
    turned = Turned()
    turned.fail(FAILURES)
    turned.now += 1.0
    turned.admit().abandoned()
    assert turned.admit().probe
    turned.now += PROBE_SECONDS  # one that never comes back
    assert turned.admit().probe


def test_requests_sent_before_it_opened_change_nothing() -> None:
    """Forty that time out together open it once; one of them that is answered after all closes it."""
    turned = Turned()
    passages = [turned.admit() for _ in range(40)]
    waits = [passage.failed(BROKEN).retry_after for passage in passages[:39]]
    assert waits[:2] == [None, None]
    assert len({*waits[2:]}) == 1
    passages[39].answered()
    assert not turned.admit().probe


@pytest.mark.parametrize("reason", [Reason.RATE_LIMITED, Reason.REGISTRY_FAILED])
def test_retry_after_opens_at_once_and_is_kept(reason: Reason) -> None:
    """A server that says when to come back is believed, also beyond the longest pause of ours."""
    turned = Turned()
    assert turned.fail(error=UnresolvedImage(reason, "wait", retry_after=600.0)).retry_after == 600.0
    turned.now += 599.0
    assert turned.refused().retry_after == 1.0
    turned.now += 1.0
    assert turned.admit().probe


def test_a_rate_limit_is_its_clients_own() -> None:
    """One whose requests are used up does not keep others from asking, nor says that the host fails."""
    turned = Turned()
    turned.fail(error=UnresolvedImage(Reason.RATE_LIMITED, "wait", retry_after=600.0))
    turned.refused()
    turned.admit(TEAM).answered()
    assert turned.refused().reason is Reason.RATE_LIMITED
    turned.now += 600.0
    turned.fail(FAILURES, client=TEAM)
    assert turned.refused().reason is turned.refused(TEAM).reason is Reason.REGISTRY_FAILED


def test_answers_that_refuse_are_answers() -> None:
    """That an image is not there, or may not be read, is no fault of the host."""
    turned = Turned()
    turned.fail(FAILURES * 3, ImageError.of(Reason.IMAGE_NOT_FOUND, "no such image"))
    assert turned.circuits.open() == 0


@given(st.lists(st.floats(0.0, PROBE_SECONDS), min_size=1, max_size=40))
def test_probes_are_never_far_apart(lengths: list[float]) -> None:
    """However long probes take to fail, the next one starts within the longest pause of the last one's start."""
    turned = Turned()
    turned.fail(FAILURES)
    turned.now += 1.0
    for length in lengths:
        probe, started = turned.admit(), turned.now
        assert probe.probe
        turned.now += length
        told = probe.failed(BROKEN).retry_after
        assert told is not None
        turned.now += told
        assert turned.now - started <= LONGEST_PAUSE + 0.1 + 1e-6  # which a float of this size may be off by


def test_hosts_are_remembered_within_bounds() -> None:
    """Pod authors name as many hosts as they like."""
    turned = Turned()
    for number in range(5000):
        turned.admit(host=str(number).encode()).failed(BROKEN)
    assert len(turned.circuits) == 4096
