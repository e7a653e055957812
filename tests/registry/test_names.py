"""Names and platforms are read as the kubelet and containerd read them: their own libraries say so."""

from __future__ import annotations

import itertools
from random import Random

from rightarch.errors import InvalidReference
from rightarch.platforms import Platform
from rightarch.reference import Reference
from tests.fuzz import mutation
from tests.fuzz.targets import REFERENCES
from tests.support import names

TEXTS = 100_000
LONGEST_HOST = 259

OPERATING_SYSTEMS = ["linux", "Linux", "windows", "macos", "darwin", "freebsd"]
ARCHITECTURES = [
    "amd64", "x86_64", "x86-64", "X86_64", "AMD64", "i386", "386", "arm64", "aarch64", "ARM64", "arm", "ARM", "armhf",
    "armel", "ppc64le", "s390x", "riscv64", "loong64", "mips64le", "unknown", "", "sparc",
]  # fmt: skip
VARIANTS = ["", "v1", "V1", "v2", "v3", "v4", "5", "v5", "6", "v6", "7", "v7", "V7", "8", "v8", "v8.0", "9", "v9", "x"]


def test_references() -> None:
    """A hundred thousand texts, sense and nonsense: the same are references, with the same canonical form."""
    made = (mutation.text(Random(f"names {number}"), REFERENCES) for number in range(TEXTS))
    texts = [text for text in made if not any("\ud800" <= character <= "\udfff" for character in text)]
    answers = names.references(texts)
    assert len(answers) == len(texts)
    differing = [
        (text, theirs)
        for text, theirs in zip(texts, answers, strict=True)
        if ours(text) != theirs and not refused_on_purpose(theirs)
    ]
    assert differing == []
    assert 20_000 < sum(theirs is not None for theirs in answers) < 80_000


def ours(text: str) -> list[str] | None:
    """Rightarch's reading, in the form of the oracle's."""
    try:
        found = Reference.parse(text)
    except InvalidReference:
        return None
    return [found.canonical, found.domain, found.path]


def refused_on_purpose(theirs: list[str] | None) -> bool:
    """What the library reads, and no registry serves.

    Hosts that DNS can't carry; and names without any host, which it makes of a first component with a dot and an
    underscore, and which containerd can't pull.
    """
    return theirs is not None and (len(theirs[1]) > LONGEST_HOST or not theirs[1])


def test_platforms() -> None:
    """Every spelling of every platform has containerd's normal form."""
    given = list(itertools.product(OPERATING_SYSTEMS, ARCHITECTURES, VARIANTS))
    differing = [
        ("/".join(each), theirs)
        for each, theirs in zip(given, names.platforms(given), strict=True)
        if [(mine := Platform.of(*each)).os, mine.architecture, mine.variant] != theirs
    ]
    assert differing == []
