"""Who gets how many of the look-ups in flight, when some ask for more than there are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from rightarch.registry.places import Places

if TYPE_CHECKING:
    from collections.abc import Sequence

TOTAL, EACH = 64, 32


def taken(places: Places, asker: str, *, registries: Sequence[str] = (), most: int = 1000) -> int:
    """Take as many as there are, each at a registry of its own unless some are named; gives how many."""
    for number in range(most):
        registry = registries[number % len(registries)] if registries else f"{asker}{number}"
        if not places.free(registry, asker):
            return number
        places.take(registry, asker)
    return most


def test_who_asks_alone_gets_half() -> None:
    """Of all, and of those at one registry."""
    assert taken(Places(TOTAL, EACH), "a") == TOTAL // 2
    assert taken(Places(TOTAL, EACH), "a", registries=["r"]) == EACH // 2


def test_we_ourselves_get_what_there_is() -> None:
    """Nobody else chose what we ask for."""
    assert taken(Places(TOTAL, EACH), "") == TOTAL
    assert taken(Places(TOTAL, EACH), "", registries=["r"]) == EACH


def test_the_next_one_finds_a_place() -> None:
    """However many ask for all that they can get, as long as they are fewer than the places."""
    places = Places(TOTAL, EACH)
    shares = [taken(places, f"greedy{number}") for number in range(5)]
    assert shares == [32, 16, 8, 4, 2]
    assert places.free("registry", "modest")


def test_shares_become_equal() -> None:
    """As look-ups end, and all who are greedy try again."""
    places, askers = Places(TOTAL, TOTAL), ("a", "b", "c")
    held = {asker: taken(places, asker, registries=["r"]) for asker in askers}
    for _ in range(200):
        for asker in askers:
            places.leave("r", asker)
            held[asker] -= 1
        for asker in reversed(askers):
            held[asker] += taken(places, asker, registries=["r"])
    assert set(held.values()) <= {TOTAL // 4, TOTAL // 4 + 1}


def test_a_registry_that_is_full_leaves_the_others() -> None:
    """Its places are some of all."""
    places = Places(TOTAL, EACH)
    assert taken(places, "", registries=["full"]) == EACH
    assert not places.free("full", "")
    assert places.free("other", "")
    places.leave("full", "")
    assert places.free("full", "")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "x", "y"]), st.booleans()), max_size=200))
def test_never_more_than_there_are(steps: list[tuple[str, str, bool]]) -> None:
    """Whoever comes and goes; and what everybody has left is as at the beginning."""
    places, held = Places(8, 4), Counter[tuple[str, str]]()
    for registry, asker, leaving in steps:
        if leaving and held[registry, asker]:
            places.leave(registry, asker)
            held[registry, asker] -= 1
        elif not leaving and places.free(registry, asker):
            places.take(registry, asker)
            held[registry, asker] += 1
        assert held.total() <= 8
        assert all(sum(n for (at, _), n in held.items() if at == each) <= 4 for each in "abc")
    for (registry, asker), number in held.items():
        for _ in range(number):
            places.leave(registry, asker)
    assert taken(places, "x") == 4
