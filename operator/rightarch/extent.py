"""Extent: how deep YAML and JSON are nested, and how much YAML stands for by its aliases. Pure.

Both are looked at before anything is made of a file: the parser's C half has no limit of its own, and ends the process
where its stack does, and a few lines of YAML can stand for billions of values. No manifest comes near these limits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import yaml

MAX_NESTING: Final = 200
"""Levels of lists and mappings; a definition of a custom resource has some dozens."""
MAX_ALIASED: Final = 1_000_000
"""Values that the aliases of a file may stand for altogether."""
TOO_DEEP: Final = f"lists and mappings are nested more than {MAX_NESTING} deep"
_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Excessive(yaml.MarkedYAMLError):
    """YAML of an extent that nobody means; says where and why."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The extent of a value.

    Attributes:
        size: values in it, itself too, and in the place of each alias what it stands for.
        height: levels of lists and mappings in it, itself too; 0 of any other value.
    """

    size: int = 1
    height: int = 0

    def within(self, whole: "Extent") -> "Extent":
        """That of a list or mapping which has this value beside what was in it before."""
        return Extent(whole.size + self.size, max(whole.height, self.height + 1))


def check(text: str) -> None:
    """See that the extent of YAML is one that can be read.

    Raises:
        Excessive: it is not.
        yaml.YAMLError: it is no YAML.
    """
    stream = _Stream()
    for event in yaml.parse(text, Loader=_PARSER):
        stream.take(event)


def is_shallow(content: object) -> bool:
    """Whether what was read of JSON is nested no deeper than YAML may be."""
    level = [content]
    for _ in range(MAX_NESTING + 1):
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return True
        level = [item for each in level for item in _items(each)]
    return False


def _items(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class _Stream:
    """What the events of a parser have told so far."""

    def __init__(self) -> None:
        self._open = list[tuple[str | None, Extent]]()
        self._anchors = dict[str | None, Extent]()
        self._aliased = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event.

        Raises:
            Excessive: that makes it too much.
        """
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors.clear()
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, Extent(height=1)))
            self._expect(len(self._open) <= MAX_NESTING, TOO_DEEP, event)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, extent = self._open.pop()
            self._anchors[anchor] = extent
            self._add(extent)
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._meant(event))
        elif isinstance(event, yaml.ScalarEvent):
            self._add(Extent())

    def _meant(self, event: yaml.AliasEvent) -> Extent:
        """The extent of what an alias stands for; of one that stands for nothing the parser itself tells later."""
        endless = any(anchor == event.anchor for anchor, _ in self._open)
        self._expect(not endless, "an alias is part of what it stands for", event)
        extent = self._anchors.get(event.anchor, Extent())
        self._aliased += extent.size
        self._expect(len(self._open) + extent.height <= MAX_NESTING, TOO_DEEP, event)
        self._expect(self._aliased <= MAX_ALIASED, f"aliases stand for more than {MAX_ALIASED} values", event)
        return extent

    def _add(self, extent: Extent) -> None:
        if self._open:
            anchor, whole = self._open[-1]
            self._open[-1] = anchor, extent.within(whole)

    def _expect(self, fine: bool, problem: str, event: yaml.Event) -> None:
        if not fine:
            raise Excessive(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type] # the C half's mark
