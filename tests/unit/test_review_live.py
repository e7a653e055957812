"""Reviews of pods that are on a node: what of them is looked at."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rightarch.webhook.review import Refused, read_live

Object = dict[str, Any]


def pod(node: str | None = "n", **containers: dict[str, str]) -> Object:
    """A pod; per list of containers, their images by name."""
    lists = {key: [{"name": name, "image": image} for name, image in each.items()] for key, each in containers.items()}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": node, **lists}}


def review(new: Object, old: Object, **request: object) -> bytes:
    """An AdmissionReview of a change."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    asked = {"uid": "u", "kind": kind, "operation": "UPDATE", "object": new, "oldObject": old} | request
    return orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked})


BEFORE = pod(containers={"a": "x:1", "b": "y:1"}, initContainers={"i": "z:1"})


@pytest.mark.parametrize(
    ("after", "request_", "images"),
    [
        (pod(containers={"a": "x:2", "b": "y:1"}, initContainers={"i": "z:1"}), {}, ["x:2"]),
        (pod(containers={"a": "x:1", "b": "y:1"}, initContainers={"i": "z:2"}), {}, ["z:2"]),
        (
            pod(containers={"a": "x:1", "b": "y:1"}, initContainers={"i": "z:1"}, ephemeralContainers={"e": "x:1"}),
            {"subResource": "ephemeralcontainers"},
            ["x:1"],
        ),
    ],
)
def test_only_containers_with_another_image_are_looked_at(after: Object, request_: Object, images: list[str]) -> None:
    """Of all lists; the rest of the pod is as it is."""
    subject = read_live(review(after, BEFORE, **request_)).subject
    assert subject is not None
    assert [each["image"] for each in subject["spec"].pop("containers")] == images
    assert subject["spec"] == {"nodeName": "n"}
    assert subject["metadata"] == {"name": "p"}


@pytest.mark.parametrize(
    ("after", "before", "request_"),
    [
        (BEFORE, BEFORE, {}),
        (pod(None, containers={"a": "x:2"}), pod(None, containers={"a": "x:1"}), {}),
        (pod(containers={"a": "x:2"}), BEFORE, {"operation": "CREATE"}),
        (pod(containers={"a": "x:2"}), BEFORE, {"subResource": "status"}),
        (pod(containers={"a": "x:2"}), BEFORE, {"kind": {"group": "", "version": "v1", "kind": "PodTemplate"}}),
        (pod(containers={"b": "y:1"}), BEFORE, {}),
    ],
)
def test_all_else_passes(after: Object, before: Object, request_: Object) -> None:
    """No new image, no node, or something else that happens."""
    assert read_live(review(after, before, **request_)).subject is None


def test_what_can_not_be_read_is_refused() -> None:
    """With the place where it is wrong."""
    with pytest.raises(Refused, match=r"request\.oldObject\.spec\.ephemeralContainers\[0\]\.image"):
        read_live(review(BEFORE, {**BEFORE, "spec": {"ephemeralContainers": [{"image": 1}]}}))
