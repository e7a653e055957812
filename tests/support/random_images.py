"""Images of all shapes at random, with what they were made to say."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.images import Entry, Image, artifact, attested, index, single

if TYPE_CHECKING:
    from random import Random

SPELLINGS = {
    "linux/amd64": "linux/amd64",
    "linux/amd64/v1": "linux/amd64",
    "linux/amd64/v3": "linux/amd64/v3",
    "linux/x86_64": "linux/amd64",
    "linux/arm64": "linux/arm64",
    "linux/arm64/v8": "linux/arm64",
    "linux/aarch64": "linux/arm64",
    "linux/arm64/v9": "linux/arm64/v9",
    "linux/arm": "linux/arm/v7",
    "linux/arm/v7": "linux/arm/v7",
    "linux/arm/v6": "linux/arm/v6",
    "linux/arm/6": "linux/arm/v6",
    "linux/armhf": "linux/arm/v7",
    "linux/386": "linux/386",
    "linux/i386": "linux/386",
    "linux/ppc64le": "linux/ppc64le",
    "linux/s390x": "linux/s390x",
    "linux/riscv64": "linux/riscv64",
    "linux/loong64": "linux/loong64",
    "windows/amd64": "windows/amd64",
    "darwin/arm64": "darwin/arm64",
}
"""Platforms as they are found in registries, and what containerd's ``platforms.Normalize`` makes of them."""


@dataclass(frozen=True)
class Made:
    """An image, and the platforms that it was made for, normalised and sorted; None for what is no image."""

    image: Image
    platforms: tuple[str, ...] | None


def made(random: Random, salt: str) -> Made:
    """An image of a random shape; the salt keeps it apart from others."""
    if random.random() < 0.1:
        return Made(artifact(salt), None)
    if random.random() < 0.25:
        platform = random.choice([*SPELLINGS])
        return Made(_single(random, platform, salt), (SPELLINGS[platform],))
    image, platforms = _index(random, salt, 1)
    return Made(image, tuple(sorted(platforms)))


def _index(random: Random, salt: str, depth: int) -> tuple[Image, set[str]]:
    docker = random.random() < 0.25
    entries: list[Entry] = []
    platforms: set[str] = set()
    for number in range(random.randrange(6)):
        entry, more = _entry(random, f"{salt}-{number}", depth)
        entries.append(entry)
        platforms |= more
    built = index(*entries, docker=docker, salt=salt)
    if random.random() < 0.25 and depth == 1 and not docker:
        about = attested("linux/amd64", salt=f"{salt}-attested")
        built = _joined(built, about)
        platforms.add("linux/amd64")
    return built, platforms


def _entry(random: Random, salt: str, depth: int) -> tuple[Entry, set[str]]:
    """An entry of an index, and what it adds to its platforms."""
    kind = random.random()
    platform = random.choice([*SPELLINGS])
    if kind < 0.55:
        return Entry(_single(random, platform, salt), platform), {SPELLINGS[platform]}
    if kind < 0.7:
        return Entry(_single(random, platform, salt)), {SPELLINGS[platform]}
    if kind < 0.8:
        return Entry(_single(random, platform, salt), "unknown/unknown"), set()
    if kind < 0.85 or depth >= 3:
        return Entry(artifact(salt)), set()
    nested, platforms = _index(random, salt, depth + 1)
    return Entry(nested, random.choice([None, platform])), platforms


def _single(random: Random, platform: str, salt: str) -> Image:
    docker = random.random() < 0.3
    return single(platform, salt, docker=docker, inline=not docker and random.random() < 0.2)


def _joined(first: Image, second: Image) -> Image:
    """The entries of two indexes in one."""
    document = json.loads(first.root.body)
    document["manifests"] += json.loads(second.root.body)["manifests"]
    root = replace(first.root, body=json.dumps(document).encode())
    return Image(root, (*first.manifests, *second.manifests), (*first.blobs, *second.blobs))
