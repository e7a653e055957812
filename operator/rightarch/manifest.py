"""Manifests: from the documents of a registry to the platforms of an image.

Pure: ``read`` is a generator that yields what it needs fetched and receives the bytes, so that the protocol can be
tested with ``next`` and ``send``. Whoever drives it verifies digests and sizes.

Sources: OCI image specification 1.1 (image-index, manifest, config, descriptor), Docker image manifest version 2
schema 2, BuildKit's attestation storage.
"""

import hashlib
import re
from base64 import b64decode
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from rightarch.errors import ImageError, UnreadableImage
from rightarch.platforms import MAX_PLATFORMS, ImagePlatforms, Platform
from rightarch.reasons import Reason
from rightarch.reference import check_digest

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIGS: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
ACCEPT: Final = f"{OCI_INDEX}, {DOCKER_LIST}, {OCI_MANIFEST}, {DOCKER_MANIFEST}"
"""Always all four, in GET and HEAD alike: without the lists a registry may answer with one child of an index."""

MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest document that is read, in bytes: the OCI distribution specification's own bound for manifests."""
MAX_LOOKUP_BYTES: Final = 8 * 1024 * 1024
"""Bytes of all documents that are read for one image."""
MAX_VALUES: Final = 100_000
"""Brackets and commas of one document, counted before it is parsed: 4 MiB of nothing but lists cost a third of a second
of CPU and 100 MB, and whoever makes an image chooses what is in its documents. Real ones have a few thousand."""
MAX_ENTRIES: Final = 1000
MAX_DEPTH: Final = 4
MAX_FETCHES: Final = 32

_OS_VERSION: Final = re.compile(r"[A-Za-z0-9._-]{0,64}", re.ASCII)
_ATTESTATION: Final = "vnd.docker.reference.type"
_HASHES: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index as a registry served it; ``media_type`` is the Content-Type, parameters and all."""

    body: bytes
    media_type: str
    digest: str


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content: its digest, what it is, and for an entry of an index the platform that it is for."""

    media_type: str
    digest: str
    platform: Platform | None = None
    attestation: bool = False
    data: bytes | None = None

    @property
    def is_config(self) -> bool:
        """Whether it points to a configuration, which is a blob; all others that are followed are manifests."""
        return self.media_type in CONFIGS


Reading = Generator[Descriptor, bytes, ImagePlatforms]
"""Yields what to fetch by digest (a blob where ``is_config``, else a manifest); receives its verified bytes."""


def read(document: Document) -> Reading:
    """Work out the platforms of an image from what its reference resolved to.

    Raises:
        UnreadableImage: NotAnImage for artifacts, MalformedImage for what breaks the specification or its bounds.
    """
    budget = _Budget(len(document.body))
    content = _load(document.body, "manifest")
    if _is_index(content, document.media_type):
        entries = _entries(content)
        del content  # no document stays while the next one is waited for
        platforms = tuple(sorted((yield from _read_index(entries, budget, depth=1))))
        return ImagePlatforms(document.digest, platforms, indexed=True)
    config = _config(content)
    del content
    return ImagePlatforms(document.digest, ((yield from _read_config(config, budget)),), indexed=False)


def digest_of(body: bytes, like: str = "sha256:") -> str:
    """The digest of some content, by the algorithm of another digest."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{_HASHES[algorithm](body).hexdigest()}"


@dataclass(slots=True)
class _Budget:
    """What has been read for one image: bytes, and documents beside the first."""

    read: int
    fetches: int = 0

    def fetch(self, descriptor: Descriptor, what: str) -> Generator[Descriptor, bytes, Mapping[str, Any]]:
        """Have a document fetched, and parse it."""
        self.fetches += 1
        if self.fetches > MAX_FETCHES:
            raise _malformed(f"more than {MAX_FETCHES} documents would have to be read")
        body = yield descriptor
        self.read += len(body)
        if self.read > MAX_LOOKUP_BYTES:
            raise _malformed(f"its documents have more than {MAX_LOOKUP_BYTES} bytes together")
        return _load(body, what)


def _read_index(entries: list[Descriptor], budget: _Budget, depth: int) -> Generator[Descriptor, bytes, set[Platform]]:
    if depth > MAX_DEPTH:
        raise _malformed(f"indexes are nested more than {MAX_DEPTH} deep")
    platforms: set[Platform] = set()
    for entry in entries:
        if entry.media_type in INDEXES:
            nested = _entries((yield from budget.fetch(entry, "nested index")))
            platforms |= yield from _read_index(nested, budget, depth + 1)
        elif entry.media_type in MANIFESTS and not entry.attestation:
            platforms |= yield from _read_entry(entry, budget)
        if len(platforms) > MAX_PLATFORMS:
            raise _malformed(f"its index names more than {MAX_PLATFORMS} platforms")
    return platforms


def _read_entry(entry: Descriptor, budget: _Budget) -> Generator[Descriptor, bytes, set[Platform]]:
    """The platform that an entry names; where it names none, that of its manifest's configuration."""
    if entry.platform is not None:
        return {entry.platform} if entry.platform.known else set()
    try:
        config = _config((yield from budget.fetch(entry, "manifest")))
        return {(yield from _read_config(config, budget))}
    except ImageError as error:
        if error.reason is Reason.NOT_AN_IMAGE:  # an artifact beside the images, such as a signature
            return set()
        raise


def _config(content: Mapping[str, Any]) -> Descriptor:
    """A single manifest does not say what it is for; its configuration does. Never assume amd64."""
    if "config" not in content:
        raise UnreadableImage(Reason.NOT_AN_IMAGE, "its manifest has no image configuration")
    config = _descriptor(_mapping(content["config"], "config"))
    if not config.is_config:
        raise UnreadableImage(Reason.NOT_AN_IMAGE, "its configuration is not that of a container image")
    return config


def _read_config(config: Descriptor, budget: _Budget) -> Generator[Descriptor, bytes, Platform]:
    if config.data is not None and digest_of(config.data, config.digest) == config.digest:
        content = _load(config.data, "configuration")
    else:
        content = yield from budget.fetch(config, "configuration")
    platform = _platform(content)
    if not platform.known:
        raise _malformed("its configuration names no architecture")
    return platform


def _entries(content: Mapping[str, Any]) -> list[Descriptor]:
    entries = content.get("manifests")
    if not isinstance(entries, list):
        raise _malformed("its index has no list of manifests")
    if len(entries) > MAX_ENTRIES:
        raise _malformed(f"its index has {len(entries)} entries; {MAX_ENTRIES} are read at most")
    return [_descriptor(_mapping(entry, "entry of the index")) for entry in entries]


def _is_index(content: Mapping[str, Any], content_type: str) -> bool:
    """Tell an index from a manifest, refusing documents that could be read as both."""
    served = content_type.partition(";")[0].strip().lower()
    stated = _text(content, "mediaType") or served
    kinds = INDEXES | MANIFESTS
    if served in kinds and stated in kinds and served != stated:
        raise _malformed("its Content-Type and its mediaType differ")
    index = stated in INDEXES if stated in kinds else "manifests" in content
    if index and ("config" in content or "layers" in content):
        raise _malformed("it is an index that has the fields of a manifest")
    if not index and "manifests" in content:
        raise _malformed("it is a manifest that has the fields of an index")
    return index


def _descriptor(entry: Mapping[str, Any]) -> Descriptor:
    digest = _text(entry, "digest")
    if problem := check_digest(digest):
        raise _malformed(f"one of its digests is wrong: {problem}")
    annotations = _mapping(entry.get("annotations") or {}, "annotations")
    platform = entry.get("platform")
    return Descriptor(
        media_type=_text(entry, "mediaType").lower(),
        digest=digest,
        platform=None if platform is None else _platform(_mapping(platform, "platform")),
        attestation=_ATTESTATION in annotations,
        data=_data(entry),
    )


def _platform(content: Mapping[str, Any]) -> Platform:
    os_version = _text(content, "os.version")
    if not _OS_VERSION.fullmatch(os_version):
        raise _malformed("one of its platforms has an os.version that is none")
    return Platform.of(_text(content, "os"), _text(content, "architecture"), _text(content, "variant"), os_version)


def _data(entry: Mapping[str, Any]) -> bytes | None:
    """Content that a descriptor carries in itself."""
    try:
        return b64decode(_text(entry, "data"), validate=True) or None
    except ValueError:  # also what it raises for characters that are not ASCII
        raise _malformed("the data of a descriptor is not base64") from None


def _load(body: bytes, what: str) -> Mapping[str, Any]:
    if sum(map(body.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise _malformed(f"its {what} has more than {MAX_VALUES} values")
    try:
        return _mapping(orjson.loads(body), what)
    except orjson.JSONDecodeError:
        raise _malformed(f"its {what} is not JSON") from None


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(f"its {what} is not a JSON object")
    return value


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if value is not None and not isinstance(value, str):
        raise _malformed(f"its field {key!r} is not text")
    return value or ""


def _malformed(problem: str) -> UnreadableImage:
    return UnreadableImage(Reason.MALFORMED_IMAGE, problem)
