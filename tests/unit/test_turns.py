"""Who begins when many want to begin at once."""

from __future__ import annotations

import asyncio

from rightarch.registry.turns import Turns


async def test_askers_take_turns() -> None:
    """Each in the order in which it asked; who comes late waits for one of each."""
    turns, begun = Turns(), list[str]()

    async def begin(asker: str, number: int) -> None:
        await turns.wait(asker)
        begun.append(f"{asker}{number}")

    many = [asyncio.create_task(begin("a", number)) for number in range(5)]
    await asyncio.sleep(0)
    late = [asyncio.create_task(begin(asker, 0)) for asker in "bc"]
    await asyncio.gather(*many, *late)
    assert begun == ["a0", "a1", "b0", "c0", "a2", "a3", "a4"]


async def test_one_begins_in_each_turn_of_the_event_loop() -> None:
    """So that whatever else there is to do is done between any two."""
    turns, loop = Turns(), asyncio.get_running_loop()
    begun: list[int] = []
    turned = 0

    def turn() -> None:
        nonlocal turned
        turned += 1
        if turned < 100:
            loop.call_soon(turn)

    async def begin() -> None:
        await turns.wait("a")
        begun.append(turned)

    turn()
    await asyncio.gather(*(begin() for _ in range(20)))
    assert len(set(begun)) == 20


async def test_who_gives_up_holds_up_nobody() -> None:
    """A look-up that is cancelled before its turn; and afterwards it goes on as at the beginning."""
    turns = Turns()
    tasks = [asyncio.create_task(turns.wait("a")) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done, _ = await asyncio.wait(tasks, timeout=60)
    assert [task.cancelled() for task in tasks] == [False, True, False]
    assert len(done) == 3
    async with asyncio.timeout(60):
        await turns.wait("b")
