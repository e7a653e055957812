"""What requirements admit of a label: laws, held against plain membership."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.capacity.allowed import Allowed, read

VALUES = ["amd64", "arm64", "1", "2", "3", "4", "x1", ""]
DOMAIN = [None, *VALUES]
"""What a node may have: a value, or not the label."""

requirements: st.SearchStrategy[tuple[str, list[str]]] = st.one_of(
    st.tuples(st.sampled_from(["In", "NotIn"]), st.lists(st.sampled_from(VALUES), min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["Exists", "DoesNotExist"]), st.just([])),
    st.tuples(st.sampled_from(["Gt", "Lt", "Gte", "Lte"]), st.sampled_from([["1"], ["2"], ["3"]])),
)
"""Operators with values."""


def passes(operator: str, values: list[str], value: str | None) -> bool:
    """Whether a node passes a requirement, as the API reference tells it."""
    number = int(value) if value is not None and value.isdecimal() else None
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    if number is None:
        return False
    bound = int(values[0])
    return {"Gt": number > bound, "Lt": number < bound, "Gte": number >= bound, "Lte": number <= bound}[operator]


@given(requirements)
def test_a_requirement_admits_what_passes_it(requirement: tuple[str, list[str]]) -> None:
    """Value by value, and the lack of the label."""
    allowed = Allowed.of(*requirement)
    assert [allowed.admits(value) for value in DOMAIN] == [passes(*requirement, value) for value in DOMAIN]


@given(st.lists(requirements, min_size=1, max_size=4))
def test_requirements_of_a_label_are_anded(each: list[tuple[str, list[str]]]) -> None:
    """In any number, and what admits something is not empty."""
    together = read({"key": "k", "operator": operator, "values": values} for operator, values in each)["k"]
    admitted = [value for value in DOMAIN if all(passes(*requirement, value) for requirement in each)]
    assert [value for value in DOMAIN if together.admits(value)] == admitted
    if admitted:
        assert not together.empty


@given(requirements, requirements)
def test_the_order_of_requirements_does_not_matter(one: tuple[str, list[str]], other: tuple[str, list[str]]) -> None:
    """Neither for what is admitted nor for whether anything is."""
    ahead, behind = Allowed.of(*one) & Allowed.of(*other), Allowed.of(*other) & Allowed.of(*one)
    assert ahead.empty == behind.empty
    assert [ahead.admits(value) for value in DOMAIN] == [behind.admits(value) for value in DOMAIN]


@pytest.mark.parametrize(
    ("each", "words"),
    [
        ([("In", ["b", "a"])], "In [a, b]"),
        ([("In", list("gfedcba"))], "In [a, b, c, d, e, and 2 more]"),
        ([("NotIn", ["a"])], "NotIn [a]"),
        ([("Exists", [])], "Exists"),
        ([("DoesNotExist", [])], "DoesNotExist"),
        ([("Gt", ["4"]), ("Lt", ["9"])], ">= 5 and <= 8"),
        ([("In", ["a"]), ("In", ["b"])], "nothing"),
        ([("Gt", ["what"])], "nothing"),
    ],
)
def test_what_is_admitted_is_told_in_the_operators_words(each: list[tuple[str, list[str]]], words: str) -> None:
    """And in no more words than a person reads."""
    assert str(read({"key": "k", "operator": operator, "values": values} for operator, values in each)["k"]) == words
