"""What documents say to people: entries, layers, sizes; what is malformed for pods is malformed here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rightarch import contents, manifest
from rightarch.errors import ImageError
from rightarch.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Document
from rightarch.reasons import Reason
from tests.images import artifact, attested, single

DIGEST = f"sha256:{'0' * 64}"
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": DIGEST, "size": 7}
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST.replace("0", "1"), "size": 5}


def document(content: object, media_type: str = OCI_MANIFEST) -> Document:
    """A document as a registry would serve it."""
    body = json.dumps(content).encode()
    return Document(body, media_type, manifest.digest_of(body))


def test_an_index() -> None:
    """Its entries, and which of them tell about others."""
    image = attested("linux/amd64", "linux/arm64/v8")
    parsed = contents.parse(Document(image.root.body, OCI_INDEX, image.digest))
    assert (parsed.indexed, parsed.media_type, parsed.artifact_type, parsed.layers) == (True, OCI_INDEX, "", 0)
    assert [str(part.platform) for part in parsed.parts[:2]] == ["linux/amd64", "linux/arm64"]
    assert [part.attestation for part in parsed.parts] == [False, False, True, True]
    assert [part.about for part in parsed.parts[2:]] == [part.digest for part in parsed.parts[:2]]
    assert [part.is_manifest for part in parsed.parts] == [True] * 4
    assert parsed.sizes == {}


def test_a_manifest() -> None:
    """Its configuration and layers, each digest once."""
    parsed = contents.parse(document({"config": CONFIG, "layers": [LAYER, LAYER]}))
    assert (parsed.indexed, parsed.layers, sum(parsed.sizes.values())) == (False, 2, 12)
    assert parsed.root.raw == {"mediaType": OCI_MANIFEST, "digest": parsed.document.digest, "size": parsed.root.size}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (json.loads(artifact().root.body), "application/vnd.cncf.helm.config.v1+json"),
        ({"artifactType": "application/x", "config": CONFIG | {"mediaType": "application/y"}}, "application/x"),
        ({"schemaVersion": 1, "fsLayers": []}, "application/vnd.docker.distribution.manifest.v1+json"),
    ],
)
def test_what_is_no_image(content: dict[str, Any], kind: str) -> None:
    """Is named by its own type; what has none, by its media type."""
    served = "application/vnd.docker.distribution.manifest.v1+json" if "fsLayers" in content else OCI_MANIFEST
    assert contents.parse(document(content, served)).artifact_type == kind


@pytest.mark.parametrize("annotations", [7, "x", [], None, {"vnd.docker.reference.digest": 7}])
def test_annotations_of_a_layer_mean_nothing(annotations: object) -> None:
    """Whatever they are."""
    parsed = contents.parse(document({"config": CONFIG, "layers": [LAYER | {"annotations": annotations}]}))
    assert [part.about for part in parsed.parts] == ["", ""]


def test_the_stated_media_type_counts() -> None:
    """Where a document states none, it is what it was served as, without parameters."""
    image = single("linux/arm/v7", docker=True)
    assert contents.parse(Document(image.root.body, "text/plain", image.digest)).media_type == DOCKER_MANIFEST
    unstated = document({"config": CONFIG, "layers": []}, f"{OCI_MANIFEST}; charset=utf-8")
    assert contents.parse(unstated).media_type == OCI_MANIFEST


BROKEN = {
    "layers that are no list": {"config": CONFIG, "layers": {}},
    "a layer that is no object": {"config": CONFIG, "layers": ["x"]},
    "a layer without a size": {"config": CONFIG, "layers": [{**LAYER, "size": None}]},
    "a negative size": {"config": CONFIG, "layers": [{**LAYER, "size": -1}]},
    "a size that is true": {"config": CONFIG, "layers": [{**LAYER, "size": True}]},
    "a layer without a digest": {"config": CONFIG, "layers": [{**LAYER, "digest": 1}]},
    "an entry that is no object": {"manifests": ["x"]},
    "an index with layers": {"manifests": [], "layers": []},
    "no object": [],
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_malformed(content: object) -> None:
    """Is said so."""
    with pytest.raises(ImageError) as caught:
        contents.parse(document(content, OCI_INDEX if "manifests" in str(content) else OCI_MANIFEST))
    assert caught.value.reason is Reason.MALFORMED_IMAGE
