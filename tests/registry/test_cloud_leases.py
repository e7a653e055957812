"""What was obtained is used as long as it is good, renewed before it ends, and asked for once at a time."""

import asyncio
from dataclasses import dataclass, field

import pytest

from rightarch.registry.cloud.exchange import Lease, NoCredential
from rightarch.registry.cloud.leases import Leases
from tests.registry.conftest import Clock


@dataclass
class Source:
    """Gives numbered values, or fails on demand.

    Attributes:
        life: seconds that values are good for.
        problem: what is raised in their place.
        open: lets exchanges end.
        begun: exchanges so far.
    """

    life: float = 1000.0
    problem: NoCredential | None = None
    open: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0

    async def __call__(self) -> Lease[str]:
        """The next value."""
        self.begun += 1
        number = self.begun
        await self.open.wait()
        if self.problem:
            raise self.problem
        return Lease(f"value {number}", self.life)


@pytest.fixture
def source() -> Source:
    """A source that answers at once."""
    source = Source()
    source.open.set()
    return source


@pytest.fixture
def leases(clock: Clock) -> Leases[str]:
    """Nothing was obtained yet."""
    return Leases(clock)


async def settled() -> None:
    """Let what is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_hundred_who_ask_at_once_cost_one_exchange(leases: Leases[str], source: Source) -> None:
    """They all wait for the same."""
    source.open.clear()
    waiting = [asyncio.create_task(leases.get("a", source)) for _ in range(100)]
    await settled()
    source.open.set()
    assert set(await asyncio.gather(*waiting)) == {"value 1"}
    assert source.begun == 1


async def test_who_gives_up_does_not_end_it_for_the_others(leases: Leases[str], source: Source) -> None:
    """The budget of an admission is shorter than an exchange may be."""
    source.open.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(leases.get("a", source), 0.01)
    source.open.set()
    assert await leases.get("a", source) == "value 1"
    assert source.begun == 1


@pytest.mark.parametrize(("life", "renewed"), [(12 * 3600.0, 32_400), (3600.0, 2700)])
async def test_a_value_is_renewed_in_the_background(
    leases: Leases[str], source: Source, clock: Clock, life: float, renewed: float
) -> None:
    """After three quarters of its life, on use; who uses it does not wait for it."""
    source.life = life
    await leases.get("a", source)
    clock.now = 999.0 + renewed
    assert (await leases.get("a", source), source.begun) == ("value 1", 1)
    clock.now = 1001.0 + renewed
    assert await leases.get("a", source) == "value 1"
    await settled()
    assert (await leases.get("a", source), source.begun) == ("value 2", 2)


@pytest.mark.parametrize(("life", "end"), [(12 * 3600.0, 43_140), (3600.0, 3540), (40.0, 30)])
async def test_a_value_in_its_last_minute_is_not_given_out(
    leases: Leases[str], source: Source, clock: Clock, life: float, end: float
) -> None:
    """It might end on the way to the registry; the last quarter, of one that lives for less than four minutes."""
    source.life = life
    await leases.get("a", source)
    clock.now = 1000.0 + end
    assert await leases.get("a", source) == "value 2"


async def test_a_value_that_can_t_be_renewed_is_used_to_its_end(
    leases: Leases[str], source: Source, clock: Clock
) -> None:
    """A token service that fails for an hour costs nothing."""
    await leases.get("a", source)
    source.problem = NoCredential("away", transient=True)
    for passed in (800, 850, 900):
        clock.now = 1000.0 + passed
        assert await leases.get("a", source) == "value 1"
        await settled()
    clock.now = 1000.0 + 941
    with pytest.raises(NoCredential, match="away"):
        await leases.get("a", source)


async def test_a_failure_is_remembered_for_five_seconds_and_then_for_up_to_a_minute(
    leases: Leases[str], source: Source, clock: Clock
) -> None:
    """Who asks meanwhile is told the same at once."""
    source.problem = NoCredential("no", transient=True)
    begun: list[int] = []
    for second in range(200):
        clock.now = 1000.0 + second
        with pytest.raises(NoCredential, match="no") as raised:
            await leases.get("a", source)
        assert raised.value.transient
        begun += [second] if source.begun > len(begun) else []
    assert begun == [0, 5, 15, 35, 75, 135, 195]
    source.problem, clock.now = None, 1300.0
    assert await leases.get("a", source) == f"value {source.begun}"


async def test_keys_are_apart(leases: Leases[str], source: Source) -> None:
    """A value is for its key alone."""
    assert [await leases.get(key, source) for key in "aba"] == ["value 1", "value 2", "value 1"]


async def test_a_value_that_is_good_no_more_is_forgotten_once_a_minute(
    leases: Leases[str], source: Source, clock: Clock
) -> None:
    """However many registries refuse it."""
    await leases.get("a", source)
    leases.drop("a")
    assert await leases.get("a", source) == "value 1"
    clock.now += 60
    leases.drop("a")
    assert await leases.get("a", source) == "value 2"
    leases.drop("b")


async def test_the_end_cancels_what_runs(leases: Leases[str], source: Source) -> None:
    """No task is left behind."""
    source.open.clear()
    waiting = asyncio.create_task(leases.get("a", source))
    await settled()
    await leases.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_lease_is_printed_without_its_value() -> None:
    """It is a secret."""
    assert repr(Lease("secret", 5.0)) == "Lease(life=5.0)"
