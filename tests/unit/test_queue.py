"""The queue: every key that is added is worked on, by one worker at a time, again with growing pauses until done."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from rightarch.controller.queue import FIRST_PAUSE, LONGEST_PAUSE, Queue, Within, backoff, soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import pytest


@asynccontextmanager
async def running(queue: Queue[str]) -> AsyncIterator[None]:
    """Have a queue worked on."""
    task = asyncio.create_task(queue.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(done: Callable[[], bool]) -> None:
    """Wait for a state of the queue, which tells nobody of it."""
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - as said
            await asyncio.sleep(0.001)


async def idle(queue: Queue[str]) -> None:
    """Wait until nothing is left to do."""
    await until(lambda: not any(queue.counts().values()))


class Script:
    """Work whose outcomes are given per key; afterwards it is done. Notes what was done, and at the same time."""

    def __init__(self, outcomes: dict[str, list[float | Within | Exception | None]] | None = None) -> None:
        self.outcomes, self.calls, self.at_once = outcomes or {}, list[str](), Counter[str]()
        self.most = 0

    async def __call__(self, key: str) -> float | Within | None:
        """Work on a key."""
        self.calls.append(key)
        self.at_once[key] += 1
        assert self.at_once[key] == 1, "one worker at a time"
        self.most = max(self.most, self.at_once.total())
        await asyncio.sleep(0.001)
        self.at_once[key] -= 1
        outcome = self.outcomes[key].pop(0) if self.outcomes.get(key) else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_keys_are_worked_on_once_in_their_order() -> None:
    """However often they are added before."""
    work = Script()
    queue = Queue(work, workers=1)
    for key in "abcabca":
        queue.add(key)
    async with running(queue):
        await idle(queue)
    assert work.calls == ["a", "b", "c"]
    assert queue.outcomes == {"done": 3, "again": 0, "failed": 0}


async def test_no_more_are_worked_on_at_once_than_there_are_workers() -> None:
    """And as many as there are."""
    work = Script()
    queue = Queue(work, workers=3)
    for number in range(20):
        queue.add(str(number))
    async with running(queue):
        await idle(queue)
    assert (work.most, len(work.calls)) == (3, 20)


async def test_a_key_added_while_it_is_worked_on_is_worked_on_again() -> None:
    """What it stands for may have changed since it was read."""
    queue: Queue[str]
    calls = []

    async def work(key: str) -> None:
        calls.append(key)
        if len(calls) == 1:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(0)

    queue = Queue(work)
    queue.add("a")
    async with running(queue):
        await idle(queue)
    assert calls == ["a", "a"]


async def test_what_is_not_done_is_tried_again_with_growing_pauses() -> None:
    """The pause is asked for by the number of failures in a row, and what the last one asked for."""
    pauses: list[tuple[int, float]] = []

    def pause(attempts: int, least: float) -> float:
        pauses.append((attempts, least))
        return 0.001

    work = Script({"a": [0.0, 7.0, 0.0, None, 0.0]})
    queue = Queue(work, pause=pause)
    for _ in range(2):
        queue.add("a")
        async with running(queue):
            await idle(queue)
    assert pauses == [(1, 0.0), (2, 7.0), (3, 0.0), (1, 0.0)]
    assert queue.outcomes == {"done": 2, "again": 4, "failed": 0}


async def test_a_pause_that_grew_is_cut_to_what_the_work_allows() -> None:
    """What waits for a registry is tried again within seconds, however often it failed."""
    work = Script({"a": [Within(0.0, 0.002), Within(0.001, 0.003)]})
    queue = Queue(work, pause=lambda *_: 60.0)
    queue.add("a")
    async with running(queue):
        await idle(queue)
    assert work.calls == ["a", "a", "a"]


def test_what_waits_for_a_registry_is_tried_every_five_seconds() -> None:
    """A probe may take 4.5 s, which leaves half a second. No registry is asked before the time that it named."""
    assert soon(None) == Within(0.0, 4.5)
    assert soon(600.0) == Within(600.0, 600.4)
    for attempts in (1, 3, 100):
        assert min(backoff(attempts, 0.1, 1.0), soon(0.1).most) <= 0.5


async def test_an_error_of_ours_costs_no_other_key(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and counted, and the key is tried again."""
    work = Script({"a": [KeyError("x")]})
    queue = Queue(work, workers=1, pause=lambda *_: 0.001)
    queue.add("a")
    queue.add("b")
    async with running(queue):
        await idle(queue)
    assert work.calls == ["a", "b", "a"]
    assert queue.outcomes == {"done": 2, "again": 1, "failed": 1}
    assert "failed on a key" in caplog.text


async def test_a_key_that_waits_keeps_waiting_unless_it_is_new() -> None:
    """To be mentioned does not mend it; a change of what it stands for may."""
    work = Script({"a": [0.0, 0.0]})
    queue = Queue(work, pause=lambda *_: 60.0)
    queue.add("a")
    async with running(queue):
        await until(lambda: queue.counts()["waiting",] == 1)
        queue.add("a")
        await asyncio.sleep(0.02)
        assert work.calls == ["a"]
        queue.add_afresh("a")
        await until(lambda: len(work.calls) == 2 and queue.counts()["waiting",] == 1)
        queue.forget("a")
        assert not any(queue.counts().values())


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=30),
    st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from([0.0, None, ValueError("x")]), max_size=3)),
    st.integers(1, 4),
)
def test_every_key_ends_done(
    keys: list[str], outcomes: dict[str, list[float | Within | Exception | None]], workers: int
) -> None:
    """Whatever fails on the way, nothing is left over, and nothing is worked on by two."""

    async def scenario() -> None:
        work = Script({key: list(each) for key, each in outcomes.items()})
        queue = Queue(work, workers=workers, pause=lambda *_: 0.0)
        async with running(queue):
            for key in keys:
                queue.add(key)
                await asyncio.sleep(0)
            await idle(queue)
        assert set(work.calls) == set(keys)
        assert queue.outcomes["done"] >= len(set(keys))

    asyncio.run(scenario())


@given(st.integers(1, 10_000), st.floats(0, 1000), st.floats(0, 1))
def test_pauses_grow_within_bounds(attempts: int, least: float, chance: float) -> None:
    """Never shorter than asked for, never longer than the longest, and at least half of what is due."""
    pause = backoff(attempts, least, chance)
    assert max(least, FIRST_PAUSE / 2) <= pause <= max(least, LONGEST_PAUSE)
    assert backoff(attempts + 1, least, chance) >= pause
