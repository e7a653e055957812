"""Words: documented constants that are their own text and know what they mean."""

from enum import StrEnum
from typing import Self


class Word(StrEnum):
    """A word that stands alike in labels, metrics, reports and code; subclasses name theirs.

    Each member is written as the arguments of ``__init__``: its text first.

    Attributes:
        meaning: one sentence for people.
    """

    def __new__(cls, value: str, *_: object) -> Self:
        """Make a member that is its own text, whatever else it carries."""
        member = str.__new__(cls, value)
        member._value_ = value
        return member

    def __init__(self, _value: str, meaning: str = "") -> None:
        self.meaning = meaning
