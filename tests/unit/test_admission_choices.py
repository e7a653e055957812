"""Admission by what a policy chooses: refusals as the API server takes them, and shares that are counted."""

import base64
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from rightarch.keychains import Keychains
from rightarch.metrics import Metrics
from rightarch.policy import Kind, Policy
from rightarch.registry import Registry, RegistryOptions
from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes
from rightarch.webhook.pods import PodAdmission
from rightarch.webhook.rules import Rules
from tests.support.json_patch import patched

if TYPE_CHECKING:
    from rightarch.cluster import Cluster

SHARE = "rightarch.dev/share"
FACTS = {"imageOverrides": [{"pattern": "registry.test/*", "platforms": ["linux/amd64", "linux/arm64"]}]}
"""Nobody is asked for the image."""
THIRD = {"architectures": {"share": [{"architecture": "arm64", "percent": 30}]}}


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    """A client that is never used."""
    client = Registry(RegistryOptions())
    yield client
    await client.aclose()


def admission(registry: Registry, spec: dict[str, Any]) -> PodAdmission:
    """Admission of pods in a cluster of one policy."""
    rulebook = Rulebook()
    rulebook.namespaces.put({"metadata": {"name": "shop"}})
    policy = Policy.of(Kind.CLUSTER, {"metadata": {"name": "fleet", "uid": "u"}, "spec": FACTS | spec})
    assert not policy.problem
    rulebook.shelves[Kind.CLUSTER].put(policy)
    cluster = cast("Cluster", None)
    return PodAdmission(registry, Nodes(), Metrics(), Keychains(cluster, ()), Rules(rulebook, cluster))


def pod(**labels: str) -> dict[str, Any]:
    """A pod of a ReplicaSet."""
    owner = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "uid": "r1", "controller": True}
    metadata = {"generateName": "web-", "labels": {"app": "web", **labels}, "ownerReferences": [owner]}
    spec = {"containers": [{"name": "c", "image": "registry.test/app:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def ask(asked: PodAdmission, thing: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
    """The answer to the creation of a pod."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {
        "uid": "u1",
        "kind": kind,
        "operation": "CREATE",
        "namespace": "shop",
        "object": thing,
        "dryRun": dry_run,
    }
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    response: dict[str, Any] = orjson.loads(await asked(json.dumps(body).encode(), time.monotonic(), 1.0))["response"]
    return response


async def created(asked: PodAdmission, thing: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
    """The pod as it would be stored."""
    response = await ask(asked, thing, dry_run=dry_run)
    return patched(thing, json.loads(base64.b64decode(response["patch"])))


async def test_a_refusal_is_one_of_the_policy_and_not_a_failure(registry: Registry) -> None:
    """Forbidden, with where that is said, why, and what to do; nothing is patched."""
    allowed = {"architectures": {"allowed": ["s390x"]}, "onNotAllowed": "Deny"}
    assert await ask(admission(registry, allowed), pod()) == {
        "uid": "u1",
        "allowed": False,
        "status": {
            "code": 403,
            "reason": "Forbidden",
            "message": "rightarch: cap/fleet refuses it (onNotAllowed: Deny): its images run on amd64, arm64 (linux), "
            "and cap/fleet allows s390x alone. Build the images for an allowed architecture, and let the pod's own "
            "constraints admit it.",
        },
    }


async def test_a_refusal_can_not_be_made_to_steer_a_terminal(registry: Registry) -> None:
    """Pod authors choose what it quotes."""
    thing = pod()
    thing["spec"]["nodeSelector"] = {"kubernetes.io/arch": "\x1b[2J\u202e"}
    response = await ask(admission(registry, {"onConflict": "Deny"}), thing)
    assert not response["allowed"]
    assert response["status"]["message"].isprintable()
    assert len(response["status"]["message"]) < 1100


async def test_of_ten_pods_three_prefer_what_shall_have_30_percent(registry: Registry) -> None:
    """Also while no pod is seen yet: a burst comes faster than a watch tells of it."""
    asked = admission(registry, THIRD)
    pods = [await created(asked, pod()) for _ in range(10)]
    assert Counter(each["metadata"]["labels"][SHARE] for each in pods) == {"arm64": 3, "others": 7}
    for each in pods:
        [preferred] = each["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        [expression] = preferred["preference"]["matchExpressions"]
        assert preferred["weight"] == 100
        assert expression["values"] == [{"arm64": "arm64", "others": "amd64"}[each["metadata"]["labels"][SHARE]]]


async def test_a_dry_run_advances_nothing(registry: Registry) -> None:
    """It gets the choice that the next pod gets, however often it is asked for."""
    asked = admission(registry, THIRD)
    for _ in range(5):
        assert (await created(asked, pod(), dry_run=True))["metadata"]["labels"][SHARE] == "others"
    assert (await created(asked, pod()))["metadata"]["labels"][SHARE] == "others"
    for _ in range(5):
        assert (await created(asked, pod(), dry_run=True))["metadata"]["labels"][SHARE] == "arm64"


async def test_a_second_call_for_the_same_pod_counts_nothing_again(registry: Registry) -> None:
    """The choice of the first is kept, and the pod as it was."""
    asked = admission(registry, THIRD)
    for _ in range(10):
        once = await created(asked, pod())
        assert "patch" not in await ask(asked, once)
    later = [(await created(asked, pod()))["metadata"]["labels"][SHARE] for _ in range(10)]
    assert Counter(later) == {"arm64": 3, "others": 7}


async def test_a_pod_without_a_choice_makes_none(registry: Registry) -> None:
    """What is allowed leaves one architecture; and an audit writes no preference that could be counted."""
    for spec in (
        {"architectures": THIRD["architectures"] | {"allowed": ["arm64", "s390x"]}},
        {"mode": "Audit", **THIRD},
    ):
        stored = await created(admission(registry, spec), pod())
        assert SHARE not in stored["metadata"]["labels"]


async def test_who_is_refused_is_told_once_whose_warning_it_is(registry: Registry) -> None:
    """A refusal comes with the warnings of its policy."""
    spec = {"architectures": {"allowed": ["s390x"]}, "onNotAllowed": "Deny", "allowOptOut": False}
    thing = pod()
    thing["metadata"]["annotations"] = {"rightarch.dev/policy": "ignore"}
    response = await ask(admission(registry, spec), thing)
    assert not response["allowed"]
    [warning] = response["warnings"]
    assert warning.startswith("rightarch: the annotation")
