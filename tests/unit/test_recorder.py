"""What is worth writing, and when: decided beside admissions, from what the cluster is known to hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import pytest

from rightarch.errors import ImageError
from rightarch.facts import recorder as module
from rightarch.facts.calendar import DAY, Calendar
from rightarch.facts.fact import Fact
from rightarch.facts.memory import Memory
from rightarch.facts.recorder import Recorder
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Key, Registry, RegistryOptions

NOON = 1_790_856_000.0
"""2026-10-01, 12:00 UTC."""
TODAY, TOMORROW = date(2026, 10, 1), date(2026, 10, 2)
KEY = ("", "127.0.0.1:9/app/web:1")
OLD = ImagePlatforms("sha256:" + "1" * 64, (Platform("linux", "amd64"),), indexed=False)
NEW = ImagePlatforms("sha256:" + "2" * 64, (Platform("linux", "arm64"),), indexed=False)
FACT = Fact(KEY, OLD, "127.0.0.1:9", int(NOON) - 60, TODAY)


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: float

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


class Desk:
    """A recorder with its surroundings; both of its clocks go together."""

    def __init__(self) -> None:
        self.clock = Clock(NOON)
        self.registry = Registry(RegistryOptions(), clock=self.clock)
        self.calendar = Calendar(DAY, self.clock)
        self.memory = Memory(self.registry, self.calendar)
        self.recorder = Recorder(self.memory, self.calendar, self.clock)
        self.registry.observer = self.recorder

    def pass_(self, seconds: float) -> None:
        """Let time go by."""
        self.clock.now += seconds
        self.recorder.turn()

    async def written(self) -> list[Fact]:
        """What the writer would write now; the cluster holds it from then on."""
        facts = []
        while len(self.recorder):
            fact = self.recorder.fact(*await self.recorder.next())
            if fact is not None:
                self.memory.put(fact)
                facts.append(fact)
        return facts


@pytest.fixture
async def desk() -> Desk:
    """A recorder in a cluster without facts."""
    return Desk()


def failed(reason: Reason) -> ImageError:
    """The outcome of a look-up."""
    return ImageError.of(reason, "it failed")


async def test_what_was_found_is_written_once(desk: Desk) -> None:
    """Finding the same again is no news, using it neither."""
    desk.recorder.found(KEY, OLD)
    assert await desk.written() == [replace(FACT, learned_at=int(NOON))]
    desk.recorder.found(KEY, OLD)
    desk.recorder.used(KEY, OLD)
    assert await desk.written() == []


async def test_another_digest_is_written(desk: Desk) -> None:
    """With the time at which it was learnt."""
    desk.memory.put(FACT)
    desk.recorder.found(KEY, NEW)
    assert await desk.written() == [replace(FACT, image=NEW, learned_at=int(NOON))]


async def test_what_somebody_learnt_later_stays(desk: Desk) -> None:
    """Our own news waited, and was overtaken."""
    desk.memory.put(FACT)
    desk.recorder.found(KEY, NEW)
    desk.memory.put(replace(FACT, learned_at=int(NOON) + 5))
    assert await desk.written() == []


async def test_a_failure_without_a_fact_is_not_written(desk: Desk) -> None:
    """What was never read is not kept."""
    desk.recorder.found(KEY, failed(Reason.IMAGE_NOT_FOUND))
    assert await desk.written() == []


async def test_a_failure_and_its_end_are_written(desk: Desk) -> None:
    """Each once, however often it is met; the image stays."""
    desk.memory.put(FACT)
    for _ in range(3):
        desk.recorder.found(KEY, failed(Reason.RATE_LIMITED))
    assert await desk.written() == [replace(FACT, last_failure="RateLimited")]
    desk.recorder.found(KEY, failed(Reason.RATE_LIMITED))
    assert await desk.written() == []
    desk.recorder.found(KEY, OLD)
    assert await desk.written() == [replace(FACT, learned_at=int(NOON))]


async def test_replicas_that_fail_differently_do_not_take_turns(desk: Desk) -> None:
    """The class of a lasting failure is changed by one process once in ten minutes."""
    desk.memory.put(FACT)
    desk.recorder.found(KEY, failed(Reason.TIMED_OUT))
    assert len(await desk.written()) == 1
    desk.memory.put(replace(FACT, last_failure="RateLimited"))  # by another replica
    desk.recorder.found(KEY, failed(Reason.TIMED_OUT))
    assert await desk.written() == []
    desk.pass_(601)
    desk.recorder.found(KEY, failed(Reason.TIMED_OUT))
    assert [fact.last_failure for fact in await desk.written()] == ["TimedOut"]


async def test_the_first_use_of_a_day_is_written_within_a_day(desk: Desk) -> None:
    """At a moment that chance chooses, and once."""
    desk.memory.put(FACT)
    desk.recorder.used(KEY, OLD)
    desk.pass_(DAY)
    assert await desk.written() == []  # it was used on the day that the fact names
    for _ in range(3):
        desk.recorder.used(KEY, OLD)
    desk.pass_(DAY)
    assert await desk.written() == [replace(FACT, last_used=TOMORROW)]
    desk.pass_(DAY)
    assert await desk.written() == []


async def test_a_use_that_another_replica_wrote_is_not_written(desk: Desk) -> None:
    """Its moment came first."""
    desk.memory.put(FACT)
    desk.pass_(DAY)
    desk.recorder.used(KEY, OLD)
    desk.memory.put(replace(FACT, last_used=TOMORROW))
    desk.pass_(DAY)
    assert await desk.written() == []


async def test_uses_are_spread_over_the_day(desk: Desk) -> None:
    """All images of a cluster may be used in the first minute."""
    keys: list[Key] = [("", f"127.0.0.1:9/app:{index}") for index in range(1000)]
    for key in keys:
        desk.memory.put(replace(FACT, key=key))
    desk.pass_(DAY)
    for key in keys:
        desk.recorder.used(key, OLD)
    counts = []
    for _ in range(10):
        desk.pass_(DAY / 10)
        counts.append(len(await desk.written()))
    assert sum(counts) == 1000
    assert all(50 < count < 150 for count in counts)


async def test_what_finds_no_room_is_counted_and_found_again_when_used(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster without the definition must not fill the memory."""
    monkeypatch.setattr(module, "MAX_PENDING", 1)
    desk.recorder.found(KEY, OLD)
    desk.recorder.found(("", "127.0.0.1:9/b:1"), OLD)
    assert desk.recorder.dropped == 1
    assert len(await desk.written()) == 1
    desk.recorder.used(("", "127.0.0.1:9/b:1"), OLD)
    assert [fact.key for fact in await desk.written()] == [("", "127.0.0.1:9/b:1")]


async def test_a_fact_that_failed_for_good_does_not_answer(desk: Desk) -> None:
    """Its registry said so: whoever asks next, asks the registry."""
    reference = Reference.parse(KEY[1])
    desk.memory.put(replace(FACT, last_failure="AccessDenied"))
    assert desk.registry.known(reference, AnonymousKeychain()) is None
    desk.memory.put(replace(FACT, last_failure="RateLimited"))
    assert desk.registry.known(reference, AnonymousKeychain()) == OLD


async def test_a_list_takes_the_place_of_all_that_was_held(desk: Desk) -> None:
    """What it lacks is forgotten, by the registry client too."""
    desk.memory.put(FACT)
    desk.memory.replace([])
    assert (len(desk.memory), desk.memory.seen.is_set()) == (0, True)
    assert desk.registry.known(Reference.parse(KEY[1]), AnonymousKeychain()) is None


async def test_a_fact_from_the_future_is_confirmed_at_once(desk: Desk) -> None:
    """Some clock is wrong: the tag must not be believed until then."""
    desk.memory.put(replace(FACT, learned_at=int(NOON) + 86400))
    assert desk.registry.known(Reference.parse(KEY[1]), AnonymousKeychain(), record=False) == OLD
    assert desk.registry.stats.refreshes == 1
    await desk.registry.aclose()
