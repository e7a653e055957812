"""Inspections: all that a registry tells of an image, gathered for people."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rightarch import contents, manifest
from rightarch.contents import Contents, Part
from rightarch.errors import ImageError, UnreadableImage
from rightarch.manifest import MAX_DEPTH, MAX_ENTRIES
from rightarch.platforms import Platform
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import Keychain, Registry

_AT_A_TIME: Final = 8
"""Documents of one image that are fetched at the same time."""


class Role(StrEnum):
    """What an entry is for."""

    IMAGE = "image"
    ATTESTATION = "attestation"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of an image's index, or of an index in it; of a single manifest, itself.

    Attributes:
        part: what points to it.
        platform: what it runs on; None for what is no image.
        contents: its manifest; None where that was not fetched or can't be had.
        problem: why its manifest can't be had.
    """

    part: Part
    role: Role
    platform: Platform | None = None
    contents: Contents | None = None
    problem: ImageError | None = None

    @property
    def size(self) -> int | None:
        """Bytes that a node downloads for it: configuration and layers, each once; None where that is not known."""
        return None if self.contents is None else sum(self.contents.sizes.values())


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a reference names, in the order of its index."""

    reference: Reference
    contents: Contents
    items: tuple[Item, ...]

    def of(self, role: Role) -> list[Item]:
        """The items of a role."""
        return [item for item in self.items if item.role is role]

    @property
    def size(self) -> int:
        """Bytes of the images of all platforms: what they share counts once."""
        sizes: dict[str, int] = {}
        for item in self.of(Role.IMAGE):
            sizes |= item.contents.sizes if item.contents else {}
        return sum(sizes.values())

    def lacks(self, required: Collection[Platform]) -> list[Platform]:
        """Those of the required platforms for which there is no image: the same architecture and variant."""
        there = {_key(i.platform) for i in self.of(Role.IMAGE) if i.platform and i.problem is None}
        return [each for each in required if _key(each) not in there]


class Inspector:
    """Inspects images.

    Args:
        registry: asked for documents; its memory is not used.
        keychain: whose credentials are tried.
        everything: whether manifests that are no images' are fetched as well.
    """

    def __init__(self, registry: Registry, keychain: Keychain, *, everything: bool = False) -> None:
        self._registry = registry
        self._keychain = keychain
        self._everything = everything

    async def inspect(self, reference: Reference) -> Inspection:
        """All that the registry tells of an image. What part of it can't be had is told by its item.

        Raises:
            ImageError: why nothing can be told.
        """
        root = contents.parse(await self._registry.document(reference, self._keychain))
        walk = _Walk(self._registry, self._keychain, reference, everything=self._everything)
        items = await walk.entries(root, 1) if root.indexed else [await walk.manifest(root, root.root)]
        for item in items[:1] if not root.indexed else ():
            if item.problem is not None:
                raise item.problem
        return Inspection(reference, root, tuple(items))


class _Walk:
    """One image: from its index to the manifests."""

    def __init__(self, registry: Registry, keychain: Keychain, reference: Reference, *, everything: bool) -> None:
        self._registry = registry
        self._keychain = keychain
        self._reference = reference
        self._everything = everything
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._left = MAX_ENTRIES

    async def entries(self, index: Contents, depth: int) -> list[Item]:
        """The items of an index, and of those in it."""
        found = await asyncio.gather(*(self._entry(part, depth) for part in index.parts))
        return [item for items in found for item in items]

    async def manifest(self, read: Contents, part: Part) -> Item:
        """The item for a manifest: an image, if its configuration says for which platform."""
        if read.artifact_type and part.platform is None:  # where a platform is stated, nodes believe it
            return Item(part, Role.OTHER, contents=read)
        try:
            platform = part.platform or await self._configured(read)
        except ImageError as error:
            return Item(part, Role.IMAGE, contents=read, problem=error)
        return Item(part, Role.IMAGE, platform, read)

    async def _entry(self, part: Part, depth: int) -> list[Item]:
        role = _role(part)
        if not (part.is_index or part.is_manifest) or (role is not Role.IMAGE and not self._everything):
            return [Item(part, role)]
        try:
            read = await self._fetched(part, depth)
            if part.is_index:
                return await self.entries(read, depth + 1)
        except ImageError as error:
            return [Item(part, role, part.platform, problem=error)]
        return [await self.manifest(read, part) if role is Role.IMAGE else Item(part, role, contents=read)]

    async def _fetched(self, part: Part, depth: int) -> Contents:
        self._left -= 1
        if self._left < 0 or (part.is_index and depth >= MAX_DEPTH):
            raise UnreadableImage(Reason.MALFORMED_IMAGE, "it has more indexes and manifests than are read")
        reference = Reference(self._reference.domain, self._reference.path, None, part.digest)
        async with self._slots:
            return contents.parse(await self._registry.document(reference, self._keychain))

    async def _configured(self, read: Contents) -> Platform:
        """The platform that a manifest's configuration says."""
        reading = manifest.read(read.document)
        try:
            wanted = next(reading)
            while True:
                async with self._slots:
                    blob = await self._registry.blob(self._reference, wanted.digest, self._keychain)
                wanted = reading.send(blob)
        except StopIteration as stop:
            platforms: Sequence[Platform] = stop.value.platforms
            return platforms[0]


def _role(part: Part) -> Role:
    if part.attestation:
        return Role.ATTESTATION
    named = part.platform is None or part.platform.known
    return Role.IMAGE if named and (part.is_manifest or part.is_index) else Role.OTHER


def _key(platform: Platform) -> tuple[str, str, str]:
    return platform.os, platform.architecture, platform.variant
