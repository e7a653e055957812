"""Parsers of what strangers write stay calm, whatever they are given; ``make fuzz`` gives them more."""

from __future__ import annotations

import pytest

from tests.fuzz import TARGETS, fuzz

RUNS = dict.fromkeys(TARGETS, 30_000) | {"references": 100_000}
SEED = 5


@pytest.mark.parametrize("name", TARGETS)
def test_parsers(name: str) -> None:
    """No exception but those that are documented; what is accepted is in its normal form."""
    done = fuzz(name, RUNS[name], SEED)
    assert done.runs / 200 < done.accepted < done.runs, "sense and nonsense must both come through"
