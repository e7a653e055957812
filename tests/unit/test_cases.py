"""The golden cases of `tests/cases`, decided and applied."""

from pathlib import Path
from typing import Any

import pytest

from rightarch.cases import BadCase, Case, differences, outcome, read
from rightarch.reasons import Note, Reason

FOLDER = Path(__file__).parents[1] / "cases"
CASES = [case for path in sorted(FOLDER.glob("*.yaml")) for case in read(path.read_text(), path.name)]


OURS = ("decision", "gated", "applied-policy", "audit")
"""Labels that are always as the decision wants them; the share's may be its author's."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    """All fields are as the case says."""
    assert differences(case) == ""
    assert case.raw.get("architectures", []) == outcome(case)[0]["architectures"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_case_does_not_name_stays_as_it_was(case: Case) -> None:
    """Of the spec; and a pod that is refused, or only told of, is not touched at all."""
    _, decision, after = outcome(case)
    if case.raw.get("denied"):
        assert after == case.pod
        return
    assert without_ours(after["spec"]) == without_ours(case.raw["spec"])
    if not any(field in case.raw for field in ("terms", "preferences", "tolerations", "gate")):
        assert after["spec"] == case.raw["spec"]
    gates = [each["name"] for each in after["spec"].get("schedulingGates", [])]
    assert ("rightarch.dev/platforms" in gates) == decision.gate


@pytest.mark.parametrize("case", [case for case in CASES if not case.raw.get("denied")], ids=lambda case: case.name)
def test_the_labels_tell_what_was_decided(case: Case) -> None:
    """Reason, gate, policy, audit and share; those of the pod's author stay."""
    _, decision, after = outcome(case)
    found, own = after["metadata"]["labels"], case.pod["metadata"].get("labels", {})
    expected = {
        "decision": case.raw["reason"],
        "gated": "true" if case.raw.get("gate") else None,
        "applied-policy": decision.policy.label or None,
        "audit": "true" if case.raw.get("audit") else None,
    }
    assert {name: found.get(f"rightarch.dev/{name}") for name in OURS} == expected
    assert found.get("rightarch.dev/share") == case.raw.get("share")
    names = {f"rightarch.dev/{name}" for name in (*OURS, "share")}
    assert {name: found[name] for name in found.keys() - names} == {name: own[name] for name in own.keys() - names}


def test_every_reason_and_note_is_shown() -> None:
    """Causes of look-ups that pass stand in the message of Unresolved; that an answer is stale only memory knows."""
    decided = {reason for reason in Reason if not reason.transient} | {Reason.UNRESOLVED}
    assert {case.raw["reason"] for case in CASES} == decided
    assert {note for case in CASES for note in case.raw.get("notes", [])} >= set(Note) - {Note.STALE}


def without_ours(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec without what may be written: required and preferred terms, tolerations, gates."""
    affinity = dict(spec.get("affinity") or {})
    node = {key: value for key, value in (affinity.pop("nodeAffinity", None) or {}).items() if "Execution" not in key}
    if node:
        affinity["nodeAffinity"] = node
    rest = {key: value for key, value in spec.items() if key not in {"tolerations", "schedulingGates", "affinity"}}
    return rest | ({"affinity": affinity} if affinity else {})


def test_names_are_unique() -> None:
    """A sentence stands for one case."""
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)


CASE = """\
- name: {name}
  spec: {{containers: [{{image: app}}]}}
  images: {{app: [linux/amd64]}}
"""


def test_a_difference_is_told_field_by_field() -> None:
    """What the case says, and what is decided, and nothing that agrees."""
    text = CASE.format(name="x") + "  reason: AlreadyConstrained\n  architectures: [amd64]\n  warnings: [w]\n"
    (case,) = read(text, "f.yaml")
    assert (
        differences(case)
        == """\
--- what the case says
+++ what is decided
@@ -1,4 +1,8 @@
-reason: AlreadyConstrained
-terms: []
-warnings:
-- w
+reason: Constrained
+terms:
+- matchExpressions:
+  - key: kubernetes.io/arch
+    operator: In
+    values:
+    - amd64
+warnings: []
"""
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- spec: {}\n", "f.yaml:1: this is no case: it has no name"),
        ("\n" + CASE.format(name="x"), "f.yaml:2: x: a case has the spec of a pod, and the reason"),
        (CASE.format(name="x") + "  reason: Constrained\n  term: []\n", "f.yaml:1: x: there is no field term;"),
        ("a: b", "f.yaml: this is no list of cases"),
        ("a: [", "f.yaml: this is no YAML"),
    ],
)
def test_what_is_no_case(text: str, problem: str) -> None:
    """Is told with its place."""
    with pytest.raises(BadCase, match=problem):
        read(text, "f.yaml")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("nodes: [amd64]", "f.yaml:1: x: 'amd64' is not a platform"),
        ("policies: [{kind: ClusterArchitecturePolicy, metadata: {name: p}, spec: {mode: Of}}]", "cap/p: spec.mode"),
    ],
)
def test_what_can_not_be_read_of_a_case(fields: str, problem: str) -> None:
    """Is told with the name of the case."""
    (case,) = read(f"{CASE.format(name='x')}  reason: Constrained\n  {fields}\n", "f.yaml")
    with pytest.raises(BadCase, match=problem):
        differences(case)
