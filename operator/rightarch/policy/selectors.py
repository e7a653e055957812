"""Selectors: which labels meet the conditions of one label selector, or of which of a thousand."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from rightarch.policy.spec import Selector, SelectorRequirement

Labels = Mapping[str, str]

_MEMORY: Final = 8192
"""Combinations of labels whose answer is remembered."""


def matches(selector: Selector | None, labels: Labels) -> bool:
    """Whether labels meet all conditions of a selector; none has none.

    Source: the Kubernetes documentation of labels and selectors: NotIn holds where the label is absent, too.
    """
    if selector is None:
        return True
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _HOLDS[each.operator](each, labels) for each in selector.match_expressions
    )


_HOLDS: Final[Mapping[str, Callable[[SelectorRequirement, Labels], bool]]] = {
    "In": lambda asked, labels: labels.get(asked.key) in asked.values,
    "NotIn": lambda asked, labels: labels.get(asked.key) not in asked.values,
    "Exists": lambda asked, labels: asked.key in labels,
    "DoesNotExist": lambda asked, labels: asked.key not in labels,
}


class Selectors:
    """Many selectors, asked together: the cost grows with those that may match, not with all.

    Sets of selectors are integers, whose bit n stands for the n-th.

    Args:
        selectors: in their order; None matches everything.

    Attributes:
        keys: the labels that any of them looks at.
    """

    def __init__(self, selectors: Iterable[Selector | None]) -> None:
        self._selectors = tuple(selectors)
        self._always = 0
        self._maybe = 0
        self._by_pair: dict[tuple[str, str | None], int] = {}
        for index, selector in enumerate(self._selectors):
            self._file(1 << index, selector)
        self.keys = frozenset(key for selector in self._selectors for key in _keys(selector))
        self._known: dict[tuple[tuple[str, str], ...], int] = {}

    def matching(self, labels: Labels) -> int:
        """The set of all selectors that labels meet."""
        relevant = tuple(pair for pair in labels.items() if pair[0] in self.keys)
        known = self._known.get(relevant)
        if known is None:
            if len(self._known) >= _MEMORY:  # whoever makes pods chooses their labels
                self._known.clear()
            known = self._known[relevant] = self._find(labels, relevant)
        return known

    def _file(self, bit: int, selector: Selector | None) -> None:
        """File a selector under labels without which it can't match."""
        if selector is None or not (selector.match_labels or selector.match_expressions):
            self._always |= bit
            return
        pairs = _needed(selector)
        if pairs is None:
            self._maybe |= bit
            return
        for pair in pairs:
            self._by_pair[pair] = self._by_pair.get(pair, 0) | bit

    def _find(self, labels: Labels, relevant: Iterable[tuple[str, str]]) -> int:
        candidates = self._maybe
        for key, value in relevant:
            candidates |= self._by_pair.get((key, value), 0) | self._by_pair.get((key, None), 0)
        found = self._always
        for index in members(candidates):
            if matches(self._selectors[index], labels):
                found |= 1 << index
        return found


def members(selected: int) -> Iterable[int]:
    """The numbers of a set of selectors, in ascending order."""
    while selected:
        lowest = selected & -selected
        yield lowest.bit_length() - 1
        selected ^= lowest


def _keys(selector: Selector | None) -> Iterable[str]:
    if selector is not None:
        yield from selector.match_labels
        yield from (each.key for each in selector.match_expressions)


def _needed(selector: Selector) -> list[tuple[str, str | None]] | None:
    """Labels of which one must be there, None as value for any; None where a selector may do without them all."""
    for key, value in selector.match_labels.items():
        return [(key, value)]
    for each in selector.match_expressions:
        if each.operator == "In":
            return [(each.key, value) for value in each.values]
    for each in selector.match_expressions:
        if each.operator == "Exists":
            return [(each.key, None)]
    return None
