"""The golden cases of `tests/cases`, decided and applied."""

from pathlib import Path

import pytest

from rightarch.cases import BadCase, Case, differences, outcome, read

FOLDER = Path(__file__).parents[1] / "cases"
CASES = [case for path in sorted(FOLDER.glob("*.yaml")) for case in read(path.read_text(), path.name)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    """All fields are as the case says, and the label is its Reason; what it does not name of the spec is as it was."""
    assert differences(case) == ""
    got, _, after = outcome(case)
    assert after["metadata"]["labels"]["rightarch.dev/decision"] == case.raw["reason"]
    if not any(field in case.raw for field in ("terms", "preferences", "tolerations", "gate")):
        assert after["spec"] == case.raw["spec"]
    assert case.raw.get("architectures", []) == got["architectures"]


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
