"""The bell: a step at each ring and when it is due, and again after each failure."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from rightarch.bell import Bell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@contextlib.asynccontextmanager
async def heeding(bell: Bell, step: Callable[[], Awaitable[float]], failed: Callable[[], None]) -> AsyncIterator[None]:
    """Heed a bell for the length of a block."""
    task = asyncio.create_task(bell.heed(step, failed, "do it"))
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a list tells nobody
            await asyncio.sleep(0.001)


async def test_a_step_is_taken_at_the_start_at_each_ring_and_when_it_is_due() -> None:
    """A ring during a step is not lost."""
    bell, due = Bell(), [0.01, 60.0, 60.0, 60.0]
    taken: list[float] = []

    async def step() -> float:
        taken.append(due[len(taken)])
        if len(taken) == 3:
            bell.put({})
        await asyncio.sleep(0)
        return taken[-1]

    async with heeding(bell, step, lambda: None):
        for rung, count in ((False, 2), (True, 4)):
            if rung:
                bell.replace([])
            await until(lambda count=count: len(taken) >= count)  # type: ignore[misc] # binds the loop's value
            await asyncio.sleep(0.05)
            assert len(taken) == count


async def test_a_failure_is_counted_logged_and_followed_by_another_try(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it was: nobody else would take the step."""
    failures: list[None] = []
    done = asyncio.Event()

    async def step() -> float:
        if len(failures) < 2:
            raise ZeroDivisionError
        done.set()
        return 60

    async with heeding(Bell(), step, lambda: failures.append(None)):
        await asyncio.wait_for(done.wait(), 60)
    assert len(failures) == 2
    assert [record.message for record in caplog.records] == ["a task failed, and is tried again"] * 2
