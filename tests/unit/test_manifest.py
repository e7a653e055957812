"""Documents of a registry are read into platforms, whatever their shape, and nothing but ImageErrors comes of them."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rightarch import manifest
from rightarch.errors import ImageError, UnreadableImage
from rightarch.manifest import OCI_INDEX, OCI_MANIFEST, Document
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Reason
from tests.images import Content, Entry, Image, artifact, attested, index, single

if TYPE_CHECKING:
    from collections.abc import Callable

ANY_DIGEST = "sha256:" + "0" * 64
IN_TOTO = {"vnd.docker.reference.type": "attestation-manifest"}


def document(content: Content) -> Document:
    """What a registry serves for some content."""
    return Document(content.body, content.media_type, content.digest)


def drive(image: Image) -> tuple[ImagePlatforms, list[str]]:
    """Read an image as a registry holds it: what is told, and the digests that were asked for on the way."""
    held = {each.digest: each.body for each in (image.root, *image.manifests, *image.blobs)}
    asked: list[str] = []
    reading = manifest.read(document(image.root))
    try:
        wanted = next(reading)
        while True:
            asked.append(wanted.digest)
            wanted = reading.send(held[wanted.digest])
    except StopIteration as stop:
        return stop.value, asked


def told(image: Image) -> list[str]:
    """The platforms of an image, as text."""
    return [str(platform) for platform in drive(image)[0].platforms]


def raw(content: object, media_type: str = manifest.OCI_INDEX) -> Image:
    """An image of a single document that is written by hand."""
    return Image(Content(media_type, json.dumps(content).encode()))


def refused(image: Image) -> UnreadableImage:
    """The error of an image that can't be read."""
    with pytest.raises(UnreadableImage) as caught:
        drive(image)
    return caught.value


AMD64, ARM64 = single("linux/amd64", "a"), single("linux/arm64", "b")

SHAPES = {
    "index": (index(Entry(ARM64, "linux/arm64/v8"), Entry(AMD64, "linux/amd64")), ["linux/amd64", "linux/arm64"], 0),
    "docker list": (
        index(Entry(single("linux/arm/v6", docker=True), "linux/arm/v6"), docker=True),
        ["linux/arm/v6"],
        0,
    ),
    "single manifest": (ARM64, ["linux/arm64"], 1),
    "single docker manifest": (single("linux/s390x", docker=True), ["linux/s390x"], 1),
    "configuration inline": (single("linux/ppc64le", inline=True), ["linux/ppc64le"], 0),
    "attestations": (attested("linux/amd64", "linux/arm64"), ["linux/amd64", "linux/arm64"], 0),
    "entry without platform": (index(Entry(AMD64), Entry(ARM64, "linux/arm64")), ["linux/amd64", "linux/arm64"], 2),
    "artifact without platform": (index(Entry(artifact()), Entry(ARM64, "linux/arm64")), ["linux/arm64"], 1),
    "nested index": (index(Entry(index(Entry(AMD64, "linux/amd64"))), Entry(ARM64)), ["linux/amd64", "linux/arm64"], 3),
    "empty index": (index(), [], 0),
    "the same platform twice": (index(Entry(AMD64, "linux/amd64"), Entry(ARM64, "linux/amd64")), ["linux/amd64"], 0),
    "windows": (index(Entry(AMD64, "windows/amd64"), Entry(ARM64, "linux/arm64")), ["linux/arm64", "windows/amd64"], 0),
    "only an attestation": (index(Entry(AMD64, "linux/amd64", IN_TOTO)), [], 0),
    "unknown media type": (raw({"manifests": [{"mediaType": "text/plain", "digest": ANY_DIGEST}]}), [], 0),
    "media type in the header alone": (raw({"manifests": []}), [], 0),
    "media type nowhere": (raw({"manifests": []}, "application/json"), [], 0),
    "parameters of the media type": (raw({"manifests": []}, f"{manifest.OCI_INDEX}; charset=utf-8"), [], 0),
}


@pytest.mark.parametrize(("image", "platforms", "fetches"), SHAPES.values(), ids=SHAPES)
def test_shapes(image: Image, platforms: list[str], fetches: int) -> None:
    """Each shape tells its platforms, sorted and once each, and costs no more documents than it must."""
    told, asked = drive(image)
    assert [str(platform) for platform in told.platforms] == platforms
    assert len(asked) == fetches
    assert told.digest == image.digest


def test_whether_a_node_picks() -> None:
    """An index is told from a single manifest."""
    assert drive(index(Entry(AMD64, "linux/amd64")))[0].indexed
    assert not drive(AMD64)[0].indexed


MANIFEST = json.loads(AMD64.root.body)
DESCRIPTOR = {"mediaType": manifest.OCI_MANIFEST, "digest": ANY_DIGEST}


def mapped(**fields: object) -> Image:
    """A manifest with some fields replaced."""
    return replace(AMD64, root=Content(manifest.OCI_MANIFEST, json.dumps(MANIFEST | fields).encode()))


def listed(**fields: object) -> Image:
    """An index of one descriptor with some fields replaced."""
    return raw({"manifests": [DESCRIPTOR | fields]})


def nested(depth: int) -> Image:
    """An index in an index, to some depth."""
    image = index(Entry(AMD64, "linux/amd64"))
    for _ in range(depth - 1):
        image = index(Entry(image))
    return image


REFUSED = {
    "artifact": (artifact(), Reason.NOT_AN_IMAGE, "not that of a container image"),
    "no configuration": (raw({"layers": []}, manifest.OCI_MANIFEST), Reason.NOT_AN_IMAGE, "no image configuration"),
    "not JSON": (Image(Content(manifest.OCI_INDEX, b"<html>")), Reason.MALFORMED_IMAGE, "not JSON"),
    "nothing": (Image(Content(manifest.OCI_INDEX, b"")), Reason.MALFORMED_IMAGE, "not JSON"),
    "an array": (raw([]), Reason.MALFORMED_IMAGE, "not a JSON object"),
    "deep": (Image(Content(manifest.OCI_INDEX, b"[" * 100_000)), Reason.MALFORMED_IMAGE, "not JSON"),
    "index and manifest": (raw({"manifests": [], "layers": []}), Reason.MALFORMED_IMAGE, "fields of a manifest"),
    "manifest and index": (mapped(manifests=[]), Reason.MALFORMED_IMAGE, "fields of an index"),
    "types differ": (mapped(mediaType=manifest.OCI_INDEX), Reason.MALFORMED_IMAGE, "differ"),
    "type is no text": (mapped(mediaType=[]), Reason.MALFORMED_IMAGE, "not text"),
    "no entries": (raw({"manifests": None}), Reason.MALFORMED_IMAGE, "no list"),
    "entry is no object": (raw({"manifests": [1]}), Reason.MALFORMED_IMAGE, "not a JSON object"),
    "bad digest": (listed(digest="sha256:x"), Reason.MALFORMED_IMAGE, "digest"),
    "bad platform": (listed(platform="linux/amd64"), Reason.MALFORMED_IMAGE, "not a JSON object"),
    "bad architecture": (listed(platform={"architecture": 64}), Reason.MALFORMED_IMAGE, "not text"),
    "bad annotations": (listed(annotations=["x"]), Reason.MALFORMED_IMAGE, "not a JSON object"),
    "data is not base64": (listed(data="*"), Reason.MALFORMED_IMAGE, "base64"),
    "data is not ASCII": (listed(data="é"), Reason.MALFORMED_IMAGE, "base64"),
    "unknown platform": (single("unknown/unknown"), Reason.MALFORMED_IMAGE, "no architecture"),
    "too many entries": (raw({"manifests": [DESCRIPTOR] * 1001}), Reason.MALFORMED_IMAGE, "1001 entries"),
    "too deep": (nested(5), Reason.MALFORMED_IMAGE, "nested"),
    "too many documents": (
        index(*(Entry(single("linux/amd64", str(number))) for number in range(33))),
        Reason.MALFORMED_IMAGE,
        "more than 32 documents",
    ),
}


@pytest.mark.parametrize(("image", "reason", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(image: Image, reason: Reason, words: str) -> None:
    """What is no image, breaks the specification or its bounds is refused, with the cause."""
    error = refused(image)
    assert error.reason is reason
    assert words in str(error)


def test_nesting_within_the_bound() -> None:
    """Four indexes deep is still read."""
    assert told(nested(4)) == ["linux/amd64"]


def test_inline_data_of_another_digest_is_not_believed() -> None:
    """A configuration that a manifest carries in itself counts only if it has the digest that is stated."""
    other = json.loads(single("linux/arm64", "x", inline=True).root.body)["config"]["data"]
    lying = mapped(config=MANIFEST["config"] | {"data": other})
    platforms, asked = drive(lying)
    assert [str(platform) for platform in platforms.platforms] == ["linux/amd64"]
    assert asked == [MANIFEST["config"]["digest"]]


def test_digest_of() -> None:
    """The digest is that of the algorithm of another one, SHA-256 where there is none."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert manifest.digest_of(b"") == f"sha256:{empty}"
    assert manifest.digest_of(b"", "sha512:x").startswith("sha512:cf83e1357eefb8bd")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
KINDS = st.sampled_from(
    [manifest.OCI_INDEX, manifest.DOCKER_LIST, manifest.OCI_MANIFEST, *sorted(manifest.CONFIGS), "text/plain", ""]
)
KEYS = st.sampled_from(
    ["mediaType", "manifests", "config", "layers", "digest", "platform", "annotations", "data", "architecture", "os"]
)
VALUES = SCALARS | KINDS | st.sampled_from([ANY_DIGEST, "YWJj", "amd64", "linux", "é"])
DOCUMENTS = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=12
)


@given(DOCUMENTS, KINDS, st.lists(DOCUMENTS, max_size=4))
@example({"manifests": [{"mediaType": manifest.OCI_INDEX, "digest": ANY_DIGEST}]}, manifest.OCI_INDEX, [{"config": 1}])
def test_nothing_but_image_errors(content: object, media_type: str, answers: list[object]) -> None:
    """Whatever JSON a registry serves, it is an image or an UnreadableImage."""
    check(json.dumps(content).encode(), media_type, [json.dumps(answer).encode() for answer in answers])


@given(st.binary(max_size=200), KINDS)
def test_nothing_but_image_errors_of_bytes(body: bytes, media_type: str) -> None:
    """Whatever bytes a registry serves, they are an image or an UnreadableImage."""
    check(body, media_type, [])


def check(body: bytes, media_type: str, answers: list[bytes]) -> None:
    """Read a document; answers run out with a transient error, as when the registry fails midway."""
    reading = manifest.read(Document(body, media_type, ANY_DIGEST))
    reasons = {Reason.MALFORMED_IMAGE, Reason.NOT_AN_IMAGE, Reason.TIMED_OUT}
    outcome: object = None
    try:
        next(reading)
        for answer in answers:
            reading.send(answer)
        reading.throw(ImageError.of(Reason.TIMED_OUT, "no more"))
    except StopIteration as stop:
        outcome = stop.value
    except ImageError as error:
        outcome = error.reason
    assert isinstance(outcome, ImagePlatforms) or outcome in reasons


def test_documents_that_are_cheap_to_send_and_dear_to_parse_are_refused_unparsed() -> None:
    """4 MiB of nothing but lists cost a third of a second of CPU and 100 MB each, and an image may have many."""
    body = b'{"manifests":[],"x":[' + b"[]," * ((manifest.MAX_BYTES - 30) // 3) + b"[]]}"
    document = Document(body, OCI_INDEX, manifest.digest_of(body))
    with pytest.raises(ImageError) as caught:
        next(manifest.read(document))
    assert caught.value.reason is Reason.MALFORMED_IMAGE
    refusing = min(processor_seconds(lambda: refuse(document)) for _ in range(3))
    parsing = processor_seconds(lambda: json.loads(body))
    assert refusing < parsing / 4, "counting takes milliseconds, whatever a machine takes for parsing"


def refuse(document: Document) -> None:
    """Begin to read a document, which ends at once."""
    with contextlib.suppress(ImageError):
        next(manifest.read(document))


def processor_seconds(work: Callable[[], object]) -> float:
    """How long this thread has the processor for some work."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def test_all_documents_of_an_image_have_a_bound_together() -> None:
    """Each within its own bound, they are not read for ever."""
    padded = b'{"manifests":[],"x":"' + b"x" * (manifest.MAX_BYTES - 40) + b'"}'
    entry = {"mediaType": OCI_INDEX, "digest": manifest.digest_of(padded), "size": len(padded)}
    body = orjson.dumps({"manifests": [entry] * 10})
    reading = manifest.read(Document(body, OCI_INDEX, manifest.digest_of(body)))
    next(reading)
    reading.send(padded)
    with pytest.raises(ImageError) as caught:
        reading.send(padded)
    assert caught.value.reason is Reason.MALFORMED_IMAGE


def test_what_is_remembered_of_an_image_is_bounded() -> None:
    """Neither the number of platforms nor the length of a version is the image's author's to choose."""
    many = [{"os": "linux", "architecture": f"a{index}"} for index in range(200)]
    long = [{"os": "windows", "architecture": "amd64", "os.version": "1" * 4000}]
    for platforms in (many, long):
        entries = [{"mediaType": OCI_MANIFEST, "digest": f"sha256:{'0' * 64}", "platform": each} for each in platforms]
        body = orjson.dumps({"manifests": entries})
        with pytest.raises(ImageError) as caught:
            next(manifest.read(Document(body, OCI_INDEX, manifest.digest_of(body))))
        assert caught.value.reason is Reason.MALFORMED_IMAGE
