"""Looking: what registries tell of the images of a report. Each image is asked for once, some at a time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rightarch import contents, manifest
from rightarch.contents import Part
from rightarch.errors import ImageError, UnreadableImage
from rightarch.gather import parse
from rightarch.manifest import Document
from rightarch.placement import Failure
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Reason
from rightarch.reference import DOCKER_HUB, Reference
from rightarch.registry import Keys, Registry
from rightarch.report.storage import Passed, Shelf, Storage

AT_A_TIME: Final = 32
"""Images that are asked for at the same time."""

Image = ImagePlatforms | Failure


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image to look up.

    Attributes:
        names: all names that pods have for it.
        keys: in whose name.
    """

    reference: Reference
    names: tuple[str, ...]
    keys: Keys


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is left to measure of an image: its blobs where it is for one platform, else its entries."""

    wanted: Wanted
    platform: str
    blobs: Mapping[str, int]
    parts: tuple[Part, ...]


def distinct(names: Iterable[str]) -> tuple[dict[Reference, tuple[str, ...]], dict[str, Failure]]:
    """The different images that some names stand for, each with its names; and the names that stand for none."""
    found: dict[str, tuple[Reference, list[str]]] = {}
    wrong: dict[str, Failure] = {}
    for name in sorted(set(names)):
        reference = parse(name)
        if isinstance(reference, Failure):
            wrong[name] = reference
        else:
            found.setdefault(reference.canonical, (reference, []))[1].append(name)
    return {reference: tuple(each) for reference, each in found.values()}, wrong


class Looking:
    """Looks images up.

    Args:
        registry: asked; its memory is not used, since each image is asked for once.
        done: hears of each image that is answered.
        sizes: whether what is needed to measure images is remembered.
    """

    def __init__(self, registry: Registry, done: Callable[[Reference], None], *, sizes: bool = False) -> None:
        self._registry, self._done, self._sizes = registry, done, sizes
        self._seen: list[_Seen] = []
        self._sizeless: Counter[Reason] = Counter()
        self._weary: set[str] = set()
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def look(self, wanted: Iterable[Wanted]) -> dict[str, Image]:
        """What is known of each image, by all of its names."""
        images = list(wanted)
        outcomes = await asyncio.gather(*map(self._one, images))
        return {name: outcome for each, outcome in zip(images, outcomes, strict=True) for name in each.names}

    async def measure(self, shelf: Shelf, *, hub: bool) -> Storage:
        """How large what was found is: a request for each platform that was not measured yet.

        Args:
            shelf: sums up.
            hub: whether Docker Hub is asked too, which counts each request against a limit.
        """
        asked = [each for each in self._seen if hub or not each.parts or each.wanted.reference.domain != DOCKER_HUB]
        shelf.leave(Passed.DOCKER_HUB, len(self._seen) - len(asked))
        for reason, count in self._sizeless.items():
            shelf.leave(reason, count)
        await asyncio.gather(*(self._measure(each, shelf) for each in asked))
        return shelf.total()

    async def _one(self, wanted: Wanted) -> Image:
        async with self._slots:
            try:
                document = await self._registry.document(wanted.reference, wanted.keys)
                image = await self._read(document, wanted)
            except ImageError as error:
                self._hear(error, wanted.reference)
                return Failure(error.reason, str(error), error.retry_after)
            finally:
                self._done(wanted.reference)
        if self._sizes:
            self._remember(wanted, document, image)
        return image

    async def _read(self, document: Document, wanted: Wanted) -> ImagePlatforms:
        """Drive the reading of a document, fetching what it asks for, as a look-up of the webhook does.

        Raises:
            ImageError: why its platforms can't be told.
        """
        reading = manifest.read(document)
        try:
            part = next(reading)
            while True:
                part = reading.send(await self._fetched(wanted, part.digest, blob=part.is_config))
        except StopIteration as stop:
            image: ImagePlatforms = stop.value
            return image
        except UnreadableImage as error:
            if error.reason not in {Reason.NOT_AN_IMAGE, Reason.MALFORMED_IMAGE}:
                raise
            raise UnreadableImage(error.reason, f"{wanted.reference} can't be used: {error}") from None

    async def _fetched(self, wanted: Wanted, digest: str, *, blob: bool) -> bytes:
        if blob:
            return await self._registry.blob(wanted.reference, digest, wanted.keys)
        return (await self._registry.document(_by_digest(wanted.reference, digest), wanted.keys)).body

    def _remember(self, wanted: Wanted, document: Document, image: ImagePlatforms) -> None:
        """Keep what measuring needs. It takes more than the verdict does: nodes run images that state no sizes."""
        try:
            read = contents.parse(document)
        except ImageError as error:
            self._sizeless[error.reason] += 1
            return
        platform = "" if image.indexed else str(image.platforms[0])
        parts = tuple(part for part in read.parts if part.is_manifest and not part.attestation) if read.indexed else ()
        self._seen.append(_Seen(wanted, platform, read.sizes, parts))

    async def _measure(self, seen: _Seen, shelf: Shelf) -> None:
        if not seen.parts:
            shelf.put([(seen.platform, seen.blobs)] if seen.platform else [])
            return
        if seen.wanted.reference.domain in self._weary:
            shelf.leave(Reason.RATE_LIMITED)
            return
        try:
            shelf.put([await self._part(seen, part) for part in seen.parts if part.platform and part.platform.known])
        except ImageError as error:
            self._hear(error, seen.wanted.reference)
            shelf.leave(error.reason)

    def _hear(self, error: ImageError, reference: Reference) -> None:
        """Ask a registry that has had enough for no sizes: what it still grants is worth more elsewhere."""
        if error.reason is Reason.RATE_LIMITED:
            self._weary.add(reference.domain)

    async def _part(self, seen: _Seen, part: Part) -> tuple[str, Mapping[str, int]]:
        async with self._slots:
            reference = _by_digest(seen.wanted.reference, part.digest)
            document = await self._registry.document(reference, seen.wanted.keys)
        return str(part.platform), contents.parse(document).sizes


def _by_digest(reference: Reference, digest: str) -> Reference:
    return Reference(reference.domain, reference.path, None, digest)
