"""Globs: patterns of images, where ``*`` stands for any characters, ``/`` too, and ``?`` for one."""

import re
from functools import lru_cache

from rightarch.reference import Reference


def matches(pattern: str, reference: Reference) -> bool:
    """Whether an image is meant: by its canonical name, with its tag or digest or, for a pattern of all, without."""
    compiled = _compiled(pattern)
    return bool(compiled.fullmatch(reference.canonical) or compiled.fullmatch(reference.name))


def literal_length(pattern: str) -> int:
    """Characters that stand for themselves: the more there are, the more specific is the pattern."""
    return len(pattern) - pattern.count("*") - pattern.count("?")


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Each part between two stars is taken where it is found first, and never sought again: no name takes long."""
    first, *rest = (_literal(part) for part in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}", re.DOTALL)


def _literal(part: str) -> str:
    return ".".join(map(re.escape, part.split("?")))
