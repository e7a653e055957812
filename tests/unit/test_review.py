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


TERMS = ".spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def required(terms: object) -> dict[str, Any]:
    """The spec of a pod that requires terms of node affinity."""
    node = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"affinity": {"nodeAffinity": node}}


def test_a_pod_that_is_created_is_read() -> None:
    """Its raw object, and for the log the name that its name is generated from."""
    found = read(review(dryRun=True))
    assert (found.uid, found.subject, found.namespace, found.name, found.dry_run) == (
        "7f0b2891",
        POD,
        "shop",
        "web-",
        True,
    )


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
    assert read(review(**request_)).subject is None


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
        (review(object={**POD, "metadata": None}), "request.object.metadata is missing"),
    ],
)
def test_what_is_no_review_is_refused_with_its_reason(body: bytes, said: str) -> None:
    """400, and the first thing that is wrong."""
    with pytest.raises(Refused) as caught:
        read(body)
    assert caught.value.status == 400
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"containers": "many"}, ".spec.containers is not a JSON array"),
        ({"containers": 3}, ".spec.containers is not a JSON array"),
        ({"containers": ["app"]}, ".spec.containers[0] is not a JSON object"),
        ({"containers": [{"image": "a"}, None]}, ".spec.containers[1] is null"),
        ({"containers": [{"image": "a"}, {"image": ["b"]}]}, ".spec.containers[1].image is not a JSON string"),
        ({"initContainers": [{"image": 1.5}]}, ".spec.initContainers[0].image is not a JSON string"),
        ({"nodeSelector": ["kubernetes.io/arch"]}, ".spec.nodeSelector is not a JSON object"),
        ({"nodeSelector": {"kubernetes.io/arch": 64}}, ".spec.nodeSelector['kubernetes.io/arch'] is not a JSON string"),
        ({"affinity": []}, ".spec.affinity is not a JSON object"),
        ({"affinity": {"nodeAffinity": "x"}}, ".spec.affinity.nodeAffinity is not a JSON object"),
        (required([None]), f"{TERMS}[0] is null"),
        (required([{"matchExpressions": {}}]), f"{TERMS}[0].matchExpressions is not a JSON array"),
        (required([{"matchExpressions": [{"key": "a"}]}]), f"{TERMS}[0].matchExpressions[0].operator is missing"),
        (
            required([{"matchFields": [{"key": "a", "operator": "In", "values": [1]}]}]),
            f"{TERMS}[0].matchFields[0].values[0] is not a JSON string",
        ),
        ({"os": "linux"}, ".spec.os is not a JSON object"),
        ({"nodeName": {}}, ".spec.nodeName is not a JSON string"),
        ({"imagePullSecrets": [{"name": 1}]}, ".spec.imagePullSecrets[0].name is not a JSON string"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(spec: dict[str, Any], path: str) -> None:
    """By its path: what sends such a thing is no API server, and whoever wrote it looks for where."""
    with pytest.raises(Refused) as caught:
        read(review(object={**POD, "spec": spec}))
    assert (caught.value.status, str(caught.value)) == (400, f"request.object{path}")


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"labels": ["a"]}, "labels is not a JSON object"),
        ({"labels": {"a": None}}, "labels['a'] is not a JSON string"),
        ({"annotations": {"rightarch.dev/decision": {}}}, "annotations['rightarch.dev/decision'] is not a JSON string"),
        ({"name": 5}, "name is not a JSON string"),
    ],
)
def test_so_are_those_of_the_metadata(metadata: dict[str, Any], path: str) -> None:
    """Which every object has."""
    with pytest.raises(Refused) as caught:
        read(review(object={**POD, "metadata": metadata}))
    assert str(caught.value) == f"request.object.metadata.{path}"


def test_null_is_as_good_as_nothing_and_what_is_not_read_may_be_anything() -> None:
    """As the API server has it, and its newer versions."""
    spec: dict[str, Any] = {
        "containers": None,
        "nodeSelector": None,
        "affinity": None,
        "volumes": 7,
        "os": {"name": None, "next": []},
    }
    found = read(review(object={**POD, "metadata": {"labels": None, "uid": 9}, "spec": spec}))
    assert found.subject is not None
    assert found.subject["spec"] == spec


@pytest.mark.parametrize("operation", [["CREATE"], {"a": 1}, None, 5])
def test_an_operation_that_is_none_passes(operation: object) -> None:
    """It is no creation."""
    assert read(review(operation=operation)).subject is None


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
