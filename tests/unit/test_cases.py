"""The golden cases of `tests/cases`, decided and applied."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rightarch.capacity import Capacity
from rightarch.placement import Failure, Input, apply, decide
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.reasons import Reason
from tests.support.json_patch import patched

FOLDER = Path(__file__).parents[1] / "cases"
CASES = [case for path in sorted(FOLDER.glob("*.yaml")) for case in yaml.safe_load(path.read_text())]
Case = Mapping[str, Any]


def known(image: str | list[str]) -> ImagePlatforms | Failure:
    """What a case says of an image: an index, a single manifest, or why nothing is known."""
    if isinstance(image, list):
        return ImagePlatforms("sha256:0", tuple(map(Platform.parse, image)), indexed=True)
    if "/" in image:
        return ImagePlatforms("sha256:0", (Platform.parse(image),), indexed=False)
    return Failure(Reason(image), "as the case says")


def given(case: Case) -> Input:
    """The input of a decision."""
    pod = {"metadata": case.get("metadata", {}), "spec": case["spec"]}
    nodes = (Platform.parse(text) for text in case.get("nodes", ["linux/amd64", "linux/arm64"]))
    capacity = Capacity(frozenset((node.os, node.architecture) for node in nodes))
    return Input(pod, {name: known(image) for name, image in case["images"].items()}, capacity)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: Case) -> None:
    """Reason, architectures, operating system, notes, warnings and the terms are as the case says."""
    before = given(case)
    decision = decide(before)
    after = patched(before.pod, apply(decision, before.pod))
    assert decision.reason == case["reason"]
    assert list(decision.architectures) == case.get("architectures", [])
    assert decision.os == case.get("os", "linux")
    assert list(decision.notes) == case.get("notes", [])
    assert len(decision.warnings) == len(case.get("warnings", []))
    for words, warning in zip(case.get("warnings", []), decision.warnings, strict=True):
        assert words in warning
    assert after["metadata"]["labels"] == {"rightarch.dev/decision": case["reason"]}
    if "terms" in case:
        assert terms(after["spec"]) == case["terms"]
    else:
        assert after["spec"] == case["spec"]


def test_names_are_unique() -> None:
    """A sentence stands for one case."""
    names = [case["name"] for case in CASES]
    assert sorted(set(names)) == sorted(names)


def terms(spec: Mapping[str, Any]) -> list[Any]:
    """The required terms of a spec; none is an empty list."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    found: list[Any] = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get(
        "nodeSelectorTerms", []
    )
    return found
