"""Releases: by which word each is counted, and whose account ends gates by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from rightarch.cli.releasing import Outcome, _in_a_pod, _text
from rightarch.cluster import Cluster, ClusterError
from rightarch.controller.gates import Gates, Verdict
from rightarch.controller.held import Held
from rightarch.keychains import Keychains
from rightarch.metrics import ProcessMetrics
from rightarch.placement import Decision, Failure
from rightarch.policy import Kind, Policy
from rightarch.reasons import Reason
from rightarch.registry import Registry, RegistryOptions
from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from rightarch.events import Events

AWAY = Failure(Reason.REGISTRY_UNREACHABLE, "away")
ABSENT = Failure(Reason.IMAGE_NOT_FOUND, "absent")


@pytest.mark.parametrize(
    ("reason", "images", "left", "outcome"),
    [
        (Reason.CONSTRAINED, {}, 30, "Resolved"),
        (Reason.NO_COMMON_ARCHITECTURE, {"a": AWAY}, 30, "Resolved"),  # what is known settles it
        (Reason.IMAGE_NOT_FOUND, {"a": AWAY, "b": ABSENT}, 30, "Unreadable"),
        (Reason.UNRESOLVED, {"a": AWAY}, 0, "TimedOut"),
        (Reason.UNRESOLVED, {"a": AWAY}, 30, "ByPolicy"),
        (Reason.SKIPPED, {}, -1, "ByPolicy"),
    ],
)
def test_a_release_is_counted_by_its_cause(
    reason: Reason, images: dict[str, Failure], left: float, outcome: str
) -> None:
    """Not by what the images turn out to be afterwards."""
    assert Verdict(Decision(reason, "", images=images), left).outcome == outcome


@pytest.mark.parametrize(
    ("decision", "left", "holds"),
    [
        (Decision(Reason.UNRESOLVED, "", gate=True), 1, True),
        (Decision(Reason.UNRESOLVED, "", gate=True), 0, False),
        (Decision(Reason.UNRESOLVED, ""), 1, False),
        (None, 1, False),
    ],
)
def test_no_pod_is_held_longer_than_it_may(decision: Decision | None, left: float, holds: bool) -> None:
    """Whatever was decided; nor where deciding failed."""
    assert Verdict(decision, left).holds is holds


def test_a_failure_of_ours_is_counted_as_a_refusal() -> None:
    """The pod is released as it is."""
    assert Verdict(None, 30).outcome == "Refused"


@pytest.mark.parametrize(
    ("environment", "config", "inside"),
    [
        ({"KUBERNETES_SERVICE_HOST": "h"}, False, True),
        ({"KUBERNETES_SERVICE_HOST": "h"}, True, False),
        ({"KUBERNETES_SERVICE_HOST": "h", "KUBECONFIG": "f"}, False, False),
        ({"KUBERNETES_SERVICE_HOST": "h", "KUBECONFIG": ""}, False, True),
        ({}, False, False),
    ],
)
def test_a_pods_own_account_is_used_only_without_a_kubeconfig(
    tmp_path: Path, environment: dict[str, str], config: bool, inside: bool
) -> None:
    """As kubectl does it."""
    if config:
        (tmp_path / ".kube").mkdir()
        (tmp_path / ".kube/config").touch()
    assert _in_a_pod(environment, tmp_path) is inside


def test_outcomes_are_a_table() -> None:
    """With ages as kubectl shows them."""
    outcomes = [
        Outcome("shop", "web", 90, "released"),
        Outcome("shop", "web-with-a-long-name", 7300, "not held"),
        Outcome("a", "b", None, "failed", "there is no such pod"),
    ]
    assert _text(outcomes, "table").splitlines() == [
        "NAMESPACE  POD                   AGE  RESULT",
        "shop       web                   90s  released",
        "shop       web-with-a-long-name   2h  not held",
        "a          b                       -  failed",
    ]


OVERRIDE = {"pattern": "registry.test/*", "platforms": ["linux/arm64"]}
KNOWN = Rulebook()
"""Nobody is asked for the image."""
KNOWN.shelves[Kind.CLUSTER].put(
    Policy.of(Kind.CLUSTER, {"metadata": {"name": "known"}, "spec": {"imageOverrides": [OVERRIDE]}})
)
OURS, THEIRS = {"name": "rightarch.dev/platforms"}, {"name": "example.com/quota"}


def waiting(name: str, version: str, *gates: Mapping[str, str]) -> dict[str, Any]:
    """A pod that is held."""
    metadata: dict[str, Any] = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version}
    metadata |= {"creationTimestamp": "2020-01-01T00:00:00Z", "labels": {"rightarch.dev/gated": "true"}}
    spec = {"containers": [{"name": "c", "image": "registry.test/app:1"}], "schedulingGates": list(gates)}
    return {"metadata": metadata, "spec": spec}


class Answers:
    """An API server of pods that refuses changes of some versions."""

    def __init__(self, refused: Mapping[str, int], *pods: Mapping[str, Any]) -> None:
        self.refused, self.pods = refused, list(pods)
        self.changes: dict[str, list[str]] = {}

    async def pages(self, _: str, __: object = None) -> AsyncIterator[tuple[list[Mapping[str, Any]], str]]:
        """The pods as they are."""
        yield self.pods, "1"

    async def patch(self, path: str, _: str, change: list[dict[str, Any]]) -> None:
        """Take a change, unless its version is refused."""
        version = change[0]["value"]
        if version in self.refused:
            raise ClusterError(self.refused[version], "no")
        self.changes[path.rpartition("/")[2]] = [each["path"] for each in change[1:]]


async def released(answers: Answers, seen: Mapping[str, Any]) -> list[str]:
    """The paths of what is changed on a pod that was seen, when it is released."""
    registry, cluster = Registry(RegistryOptions()), cast("Cluster", answers)
    events, metrics = cast("Events", None), ProcessMetrics()
    gates = Gates(cluster, registry, Keychains(cluster, ()), Nodes(), events, metrics, lambda: True, KNOWN)
    held = Held.of(seen)
    gates._held.renew(held)  # as the watch does
    assert await gates._attempts(held.key) is None
    await registry.aclose()
    return answers.changes[seen["metadata"]["name"]]


async def test_a_pod_that_others_change_at_the_same_moment_is_constrained_all_the_same() -> None:
    """The API server tells of an operation that does not fit before it tells of the version."""
    answers = Answers({"1": 422}, waiting("web", "2", OURS))
    assert "/spec/affinity" in await released(answers, waiting("web", "1", THEIRS, OURS))


class Strict(Answers):
    """One that takes no affinity."""

    async def patch(self, path: str, form: str, change: list[dict[str, Any]]) -> None:
        """Take any other change."""
        if any(each["path"] == "/spec/affinity" for each in change):
            raise ClusterError(422, "no")
        await super().patch(path, form, change)


async def test_a_pod_whose_change_is_refused_is_released_as_it_is() -> None:
    """Nobody else has changed it: what was decided can't be written."""
    pod = waiting("web", "1", OURS)
    assert await released(Strict({}, pod), pod) == [
        "/spec/schedulingGates/0/name",
        "/spec/schedulingGates",
        "/metadata/labels/rightarch.dev~1gated",
    ]


async def test_one_pod_that_can_not_be_labelled_keeps_no_other_from_it() -> None:
    """Its namespace may have rules of its own."""
    answers = Answers({"1": 403}, waiting("web", "1", OURS), waiting("billing", "2", OURS))
    for pod in answers.pods:
        pod["metadata"]["labels"].clear()
    registry, cluster = Registry(RegistryOptions()), cast("Cluster", answers)
    keychains, metrics = Keychains(cluster, ()), ProcessMetrics()
    await Gates(cluster, registry, keychains, Nodes(), cast("Events", None), metrics, lambda: True, KNOWN).find()
    await registry.aclose()
    assert list(answers.changes) == ["billing"]
