"""Images of every shape, built as bytes, and pushed by the registry's HTTP API.

Sources: OCI image specification 1.1, Docker image manifest version 2 schema 2, BuildKit's attestation storage, OCI
distribution specification 1.1 (pushing).
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
IN_TOTO = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Content:
    """Bytes and what they are."""

    media_type: str
    body: bytes

    @property
    def digest(self) -> str:
        """Their SHA-256."""
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}"

    def descriptor(self, **more: object) -> dict[str, Any]:
        """How an index or manifest points to them."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body), **more}


@dataclass(frozen=True)
class Image:
    """A manifest or index, with all that it needs.

    Attributes:
        root: what a tag points to.
        manifests: what the root points to, in an order in which a registry accepts them.
        blobs: configurations and layers.
    """

    root: Content
    manifests: tuple[Content, ...] = ()
    blobs: tuple[Content, ...] = ()

    @property
    def digest(self) -> str:
        """The digest that a tag resolves to."""
        return self.root.digest


@dataclass(frozen=True)
class Entry:
    """An entry of an index: the image, the platform that is stated for it (None: not stated), its annotations."""

    image: Image
    platform: str | None = None
    annotations: Mapping[str, str] | None = None


def single(platform: str, salt: str = "", *, docker: bool = False, inline: bool = False) -> Image:
    """A single manifest, with a configuration for ``os/architecture[/variant]`` and one layer.

    Args:
        platform: what the configuration says, as it stands: it is not normalised.
        salt: makes contents, and so digests, distinct.
        docker: whether the media types are Docker's.
        inline: whether the manifest carries the configuration in itself as well (``data``).
    """
    layer = Content(DOCKER_LAYER if docker else OCI_LAYER, _tar({"platform": platform, "salt": salt}))
    history = {"diff_ids": [layer.digest], "type": "layers"}
    config = Content(
        DOCKER_CONFIG if docker else OCI_CONFIG,
        _json(_platform(platform) | {"config": {"Cmd": ["/app"]}, "rootfs": history}),
    )
    described = config.descriptor(**({"data": b64encode(config.body).decode()} if inline else {}))
    return Image(_manifest(DOCKER_MANIFEST if docker else OCI_MANIFEST, described, [layer]), blobs=(config, layer))


def index(*entries: Entry, docker: bool = False, salt: str = "") -> Image:
    """An index (or Docker's manifest list) of other images."""
    kind = DOCKER_LIST if docker else OCI_INDEX
    content: dict[str, Any] = {"schemaVersion": 2, "mediaType": kind, "manifests": [_entry(each) for each in entries]}
    if salt and not docker:
        content["annotations"] = {"salt": salt}
    images = [entry.image for entry in entries]
    return Image(
        Content(kind, _json(content)),
        manifests=tuple(each for image in images for each in (*image.manifests, image.root)),
        blobs=tuple(blob for image in images for blob in image.blobs),
    )


def attested(*platforms: str, salt: str = "") -> Image:
    """A multi-arch index as BuildKit pushes it: an image per platform, and for each an attestation."""
    images = {platform: single(platform, salt) for platform in platforms}
    entries = [Entry(image, platform) for platform, image in images.items()]
    return index(*entries, *(_attestation(image) for image in images.values()))


def artifact(salt: str = "") -> Image:
    """What is in a registry and is no image: a Helm chart."""
    config = Content(HELM_CONFIG, _json({"name": "chart", "version": "1.0.0", "salt": salt}))
    layer = Content(HELM_LAYER, b"chart " + salt.encode())
    return Image(_manifest(OCI_MANIFEST, config.descriptor(), [layer]), blobs=(config, layer))


def push(client: httpx.Client, repository: str, tag: str, image: Image) -> str:
    """Push an image and return its digest.

    Args:
        client: its base URL is the registry; it brings authorization and trust.
        repository: the path, such as ``library/app``.
        tag: what points to the image afterwards.
        image: what to push.

    Raises:
        httpx.HTTPStatusError: the registry refuses a part of it.
    """
    for blob in image.blobs:
        _push_blob(client, repository, blob)
    for content in image.manifests:
        _push_manifest(client, repository, content.digest, content)
    _push_manifest(client, repository, tag, image.root)
    return image.digest


def _push_blob(client: httpx.Client, repository: str, blob: Content) -> None:
    if client.head(f"/v2/{repository}/blobs/{blob.digest}").status_code == httpx.codes.OK:
        return
    begun = client.post(f"/v2/{repository}/blobs/uploads/").raise_for_status()
    location = httpx.URL(client.base_url).join(begun.headers["location"]).copy_merge_params({"digest": blob.digest})
    headers = {"content-type": "application/octet-stream"}
    client.put(location, content=blob.body, headers=headers).raise_for_status()


def _push_manifest(client: httpx.Client, repository: str, name: str, content: Content) -> None:
    url = f"/v2/{repository}/manifests/{name}"
    client.put(url, content=content.body, headers={"content-type": content.media_type}).raise_for_status()


def _attestation(image: Image) -> Entry:
    statement = Content(IN_TOTO, _json({"_type": "https://in-toto.io/Statement/v0.1", "subject": [image.digest]}))
    history = {"diff_ids": [statement.digest], "type": "layers"}
    config = Content(OCI_CONFIG, _json(_platform("unknown/unknown") | {"config": {}, "rootfs": history}))
    annotations = {
        "vnd.docker.reference.digest": image.digest,
        "vnd.docker.reference.type": "attestation-manifest",
    }
    about = Image(_manifest(OCI_MANIFEST, config.descriptor(), [statement]), blobs=(config, statement))
    return Entry(about, "unknown/unknown", annotations)


def _entry(entry: Entry) -> dict[str, Any]:
    more: dict[str, object] = {}
    if entry.platform is not None:
        more["platform"] = _platform(entry.platform)
    if entry.annotations is not None:
        more["annotations"] = dict(entry.annotations)
    return entry.image.root.descriptor(**more)


def _manifest(media_type: str, config: Mapping[str, Any], layers: Sequence[Content]) -> Content:
    descriptors = [layer.descriptor() for layer in layers]
    document = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": descriptors}
    return Content(media_type, _json(document))


def _platform(text: str) -> dict[str, Any]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _tar(files: Mapping[str, str]) -> bytes:
    """A tar of small files, the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _json(content: object) -> bytes:
    return json.dumps(content).encode()
