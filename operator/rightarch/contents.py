"""Contents: what an image's documents say to people: entries, layers, sizes, attestations.

Pure. What is malformed is told by ``manifest.read``, which decides for pods. Sources: OCI image specification 1.1
(descriptor, image-index, manifest, artifacts), BuildKit's attestation storage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from rightarch import manifest
from rightarch.errors import UnreadableImage
from rightarch.manifest import INDEXES, MANIFESTS, Document
from rightarch.platforms import Platform
from rightarch.reasons import Reason

_ABOUT: Final = "vnd.docker.reference.digest"
_KIND: Final = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True)
class Part:
    """What an index or a manifest points to.

    Attributes:
        size: of what it points to, in bytes.
        platform: the platform that an index states for it, normalised.
        attestation: whether it tells about another entry, such as its provenance.
        about: the digest of that entry, where it is named.
        raw: the descriptor as it stands in the document.
    """

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    attestation: bool = False
    about: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_index(self) -> bool:
        """Whether it is an index in an index."""
        return self.media_type in INDEXES

    @property
    def is_manifest(self) -> bool:
        """Whether it is a manifest, which has layers."""
        return self.media_type in MANIFESTS


@dataclass(frozen=True, slots=True)
class Contents:
    """A document and what it points to.

    Attributes:
        media_type: as the document states it, else as it was served.
        artifact_type: what it is if it is no image; empty for images.
        indexed: whether it is an index; then ``parts`` are its entries, else its configuration and layers.
        layers: how many of the parts are layers.
    """

    document: Document
    media_type: str
    artifact_type: str
    indexed: bool
    parts: tuple[Part, ...]
    layers: int = 0

    @property
    def root(self) -> Part:
        """The document itself, as something would point to it."""
        size = len(self.document.body)
        raw = {"mediaType": self.media_type, "digest": self.document.digest, "size": size}
        return Part(self.media_type, self.document.digest, size, raw=raw)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes by digest of what a node downloads, compressed as it is: the configuration and the layers."""
        return {} if self.indexed else {part.digest: part.size for part in self.parts}

    @property
    def json(self) -> Mapping[str, Any]:
        """The document."""
        content: Mapping[str, Any] = orjson.loads(self.document.body)
        return content


def parse(document: Document) -> Contents:
    """Read a document, of an image or of whatever else is in a registry.

    Raises:
        UnreadableImage: MalformedImage, for what ``manifest.read`` calls so, and for layers that are none.
    """
    image = _is_image(document)
    content: Mapping[str, Any] = orjson.loads(document.body)
    media_type = content.get("mediaType") or document.media_type.partition(";")[0].strip().lower()
    if "manifests" in content:
        entries = tuple(_part(entry, "entry of the index") for entry in content["manifests"])
        return Contents(document, media_type, "", indexed=True, parts=entries)
    layers = content.get("layers")
    layers = [] if layers is None else layers
    if not isinstance(layers, list):
        raise _malformed("its layers are not a list")
    configs = [content["config"]] if content.get("config") else []
    parts = tuple(_part(each, "layer") for each in (*configs, *layers))
    artifact_type = "" if image else _artifact_type(content, media_type)
    return Contents(document, media_type, artifact_type, indexed=False, parts=parts, layers=len(layers))


def _is_image(document: Document) -> bool:
    """Whether it is an image or an index of images, and well-formed as far as this document tells."""
    try:
        next(manifest.read(document), None)
    except UnreadableImage as error:
        if error.reason is not Reason.NOT_AN_IMAGE:
            raise
        return False
    return True


def _part(descriptor: object, what: str) -> Part:
    if not isinstance(descriptor, dict):
        raise _malformed(f"its {what} is not a JSON object")
    size = descriptor.get("size")
    texts = [descriptor.get("mediaType"), descriptor.get("digest")]
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not all(isinstance(t, str) for t in texts):
        raise _malformed(f"its {what} lacks a media type, a digest or a size")
    stated = descriptor.get("annotations")
    annotations: Mapping[str, Any] = stated if isinstance(stated, dict) else {}
    about = annotations.get(_ABOUT)
    return Part(
        media_type=descriptor["mediaType"],
        digest=descriptor["digest"],
        size=size,
        platform=_platform(descriptor.get("platform")),
        attestation=_KIND in annotations,
        about=about if isinstance(about, str) else "",
        raw=descriptor,
    )


def _platform(stated: object) -> Platform | None:
    if not isinstance(stated, dict):
        return None
    texts = (stated.get(name) or "" for name in ("os", "architecture", "variant", "os.version"))
    return Platform.of(*(text if isinstance(text, str) else "" for text in texts))


def _artifact_type(content: Mapping[str, Any], media_type: str) -> str:
    config = content.get("config") or {}
    kind = content.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    return kind if isinstance(kind, str) else media_type


def _malformed(problem: str) -> UnreadableImage:
    return UnreadableImage(Reason.MALFORMED_IMAGE, problem)
