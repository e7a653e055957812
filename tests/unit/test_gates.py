"""Releases: by which word each is counted, and whose account ends gates by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rightarch.cli.releasing import Outcome, _in_a_pod, _text
from rightarch.controller.gates import Verdict
from rightarch.placement import Decision, Failure
from rightarch.reasons import Reason

if TYPE_CHECKING:
    from pathlib import Path

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
