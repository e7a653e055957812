"""AdmissionReviews: what is read, what is refused, and how the answer looks."""

from base64 import b64decode
from typing import Any

import orjson
import pytest

from rightarch.durations import seconds
from rightarch.webhook.review import Refused, allow, read

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "web-"}, "spec": {"containers": []}}


def review(**request: object) -> bytes:
    """A review of a pod's creation, with other members where given; None leaves one out."""
    usual = {
        "uid": "7f0b2891",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": "shop",
        "object": POD,
        "dryRun": False,
    }
    members = {key: value for key, value in (usual | request).items() if value is not None}
    return orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": members})


def test_a_pod_that_is_created_is_read() -> None:
    """Its raw object, and for the log the name that its name is generated from."""
    found = read(review(dryRun=True))
    assert (found.uid, found.pod, found.namespace, found.name, found.dry_run) == ("7f0b2891", POD, "shop", "web-", True)


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "UPDATE"},
        {"operation": "DELETE", "object": None},
        {"subResource": "eviction", "kind": {"group": "policy", "version": "v1", "kind": "Eviction"}},
        {"subResource": "binding"},
        {"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}},
    ],
)
def test_what_is_no_creation_of_a_pod_passes(request_: dict[str, Any]) -> None:
    """A rule that matches more than it should breaks nothing: there is no pod to decide about."""
    assert read(review(**request_)).pod is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"[" * 2000, "the body is not JSON"),
        (b"\xff{}", "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b"{}", "the body is not an AdmissionReview of admission.k8s.io/v1"),
        (review().replace(b"k8s.io/v1", b"k8s.io/v1beta1"), "the body is not an AdmissionReview"),
        (review().replace(b"AdmissionReview", b"ConversionReview"), "the body is not an AdmissionReview"),
        (orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}), "request is not a JSON"),
        (review(uid=None), "request.uid is missing"),
        (review(uid=7), "request.uid is missing"),
        (review(kind=None), "request.kind is not a JSON object"),
        (review(object=None), "request.object is not a JSON object"),
        (review(object={**POD, "kind": "Node"}), "request.object is not a Pod of v1"),
        (review(object={**POD, "spec": []}), "request.object.spec is not a JSON object"),
        (review(object={**POD, "metadata": None}), "request.object.metadata is not a JSON object"),
    ],
)
def test_what_is_no_review_is_refused_with_its_reason(body: bytes, said: str) -> None:
    """400, and the first thing that is wrong."""
    with pytest.raises(Refused) as caught:
        read(body)
    assert caught.value.status == 400
    assert str(caught.value).startswith(said)


def test_an_answer_without_a_patch_has_no_patch() -> None:
    """The API server refuses a patch type without a patch."""
    assert orjson.loads(allow("u")) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "u", "allowed": True},
    }


def test_a_patch_is_sent_as_base64() -> None:
    """Of its JSON, as the type of the patch says."""
    patch = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
    response = orjson.loads(allow("u", patch))["response"]
    assert response["patchType"] == "JSONPatch"
    assert orjson.loads(b64decode(response["patch"])) == patch


def test_warnings_keep_to_what_the_api_server_passes_on() -> None:
    """Each has 256 characters at most, all of them 4 KiB, and no character that a header can't carry."""
    said = orjson.loads(allow("u", warnings=["x" * 300, "tab\there\nand\x1b[31mred"] + ["é" * 256] * 20))["response"][
        "warnings"
    ]
    assert said[:2] == ["x" * 255 + "…", "tab?here?and?[31mred"]
    assert all(len(each) <= 256 for each in said)
    assert 3500 < sum(len(each.encode()) for each in said) <= 4096


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", 5),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("1h0m0s", 3600),
        ("0", 0),
        ("", None),
        ("5", None),
        ("s5", None),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str, expected: float | None) -> None:
    """The API server states its own deadline so."""
    assert seconds(text) == expected
