"""Tags: which tags of a repository are newer ones of the same flavour. Pure.

A tag that tells a version is that, between what stays: ``v1.27.3-alpine3.20`` is version 1.27.3 in the flavour
``v…-alpine#``. Only tags that write as many numbers are compared: ``1.27`` and ``1.28`` move, ``1.27.3`` does not.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_TAG: Final = re.compile(
    r"(?P<before>(?:[A-Za-z][A-Za-z_]*[-_.])*[A-Za-z]*?)(?P<version>[0-9]{1,9}(?:\.[0-9]{1,9}){0,3})(?P<after>(?:[-_+.].*)?)",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"[0-9]+", re.ASCII)
_EARLY: Final = re.compile(
    r"(?i)(?:^|[-_.+0-9])(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|canary|test|a|b)[-_.0-9]*(?:$|[-_.])"
)
_DATE: Final = 10_000_000
"""A first number as large as this is a day, such as 20261123."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a tag says.

    Attributes:
        flavour: all of it but the numbers.
        numbers: the version.
        build: the numbers after it, such as that of a base image.
        early: whether it says of itself that it is no release.
    """

    flavour: str
    numbers: tuple[int, ...]
    build: tuple[int, ...]
    early: bool

    @classmethod
    def of(cls, tag: str) -> "Version | None":
        """What a tag says; None for one that tells no version."""
        match = _TAG.fullmatch(tag)
        if match is None:
            return None
        numbers = tuple(map(int, match["version"].split(".")))
        after = match["after"]
        flavour = f"{match['before']}{'#.' * len(numbers)}{_NUMBER.sub('#', after)}"
        return cls(flavour, numbers, tuple(int(n[:18]) for n in _NUMBER.findall(after)), bool(_EARLY.search(after)))

    @property
    def age(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What orders versions of one flavour."""
        return self.numbers, self.build


def newer(tag: str, tags: Iterable[str]) -> list[str]:
    """The few tags that are worth a look.

    The newest that changes the last number alone, then the newest of the same major version, then the newest of all.

    Args:
        tag: the one that is in use.
        tags: those of its repository.

    Returns:
        At most three, of the same flavour and newer; none for a tag that tells no version.
    """
    own = Version.of(tag)
    if own is None:
        return []
    found = {each: version for each in tags if (version := Version.of(each)) and _succeeds(version, own)}
    ordered = sorted(found, key=lambda each: found[each].age)
    kept = (len(own.numbers) - 1, 1, 0)
    picked = (next((t for t in reversed(ordered) if found[t].numbers[:n] == own.numbers[:n]), None) for n in kept)
    return list(dict.fromkeys(each for each in picked if each is not None))


def _succeeds(version: Version, own: Version) -> bool:
    dated = own.numbers[0] >= _DATE
    return (
        version.flavour == own.flavour
        and version.age > own.age
        and version.early <= own.early
        and (version.numbers[0] >= _DATE) is dated
    )
