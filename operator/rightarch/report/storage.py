"""Storage: how large images are, platform by platform. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Passed(StrEnum):
    """Why an image is not measured; else it is the Reason for which its sizes can't be told."""

    KNOWN = "Known"
    """The cluster knows what it is for, so that no registry was asked."""
    DOCKER_HUB = "DockerHub"
    """Docker Hub counts each request against a limit."""


@dataclass(frozen=True, slots=True)
class Storage:
    """What registries store of images, compressed as they are.

    Attributes:
        sizes: bytes per platform; what images share is counted once.
        images: how many were measured.
        total: bytes of all platforms together; what platforms share is counted once.
        passed: how many were not, by why: a member of ``Passed``, or a Reason.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    images: int = 0
    total: int = 0
    passed: Mapping[str, int] = field(default_factory=dict)


class Shelf:
    """Sums blobs up, each once."""

    def __init__(self) -> None:
        self._blobs: dict[str, dict[str, int]] = {}
        self._images = 0
        self._passed: dict[str, int] = {}

    def put(self, platforms: Iterable[tuple[str, Mapping[str, int]]]) -> None:
        """Take an image: for each platform its blobs, as bytes by digest."""
        self._images += 1
        for platform, blobs in platforms:
            self._blobs.setdefault(platform, {}).update(blobs)

    def leave(self, why: str, count: int = 1) -> None:
        """Count images that are not measured."""
        if count:
            self._passed[str(why)] = self._passed.get(why, 0) + count

    def total(self) -> Storage:
        """The sums."""
        everything: dict[str, int] = {}
        for blobs in self._blobs.values():
            everything |= blobs
        sizes = {platform: sum(blobs.values()) for platform, blobs in self._blobs.items()}
        ordered = dict(sorted(sizes.items(), key=lambda each: (-each[1], each[0])))
        return Storage(ordered, self._images, sum(everything.values()), dict(self._passed))
