"""Files of manifests: what is in them, as kubectl reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rightarch.manifests import KINDS, Manifests, Unreadable, read

POD = {"containers": [{"name": "c", "image": "app"}]}


def names(manifests: Manifests) -> list[str]:
    """The workloads, by kind and name."""
    return [str(each) for each in manifests.workloads]


HELM = """\
---
# Source: web/templates/serviceaccount.yaml
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
# Source: web/templates/empty.yaml
---
# Source: web/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  annotations: {at: 2026-01-02, mode: 0644}
spec:
  template:
    metadata: {labels: {1: yes}}
    spec: {containers: [{image: app}]}
"""


def test_output_of_helm() -> None:
    """Documents that are empty, or of other kinds, pass; each workload knows its place."""
    found = read(HELM, "web.yaml")
    (web,) = found.workloads
    assert (str(web), web.namespace, web.place, web.pointer) == ("deployment/web", "shop", "web.yaml:10", (2,))
    assert web.pod["spec"] == {"containers": [{"image": "app"}]}
    assert [each["kind"] for each in found.objects] == ["ServiceAccount"]
    assert found.notes == ()


def test_values_are_those_that_kubectl_sends() -> None:
    """What looks like a time is text, since JSON has none; keys are text; YAML 1.1 for the rest."""
    (web,) = read(HELM, "web.yaml").workloads
    assert web.thing["metadata"]["annotations"] == {"at": "2026-01-02", "mode": 420}
    assert web.pod["metadata"]["labels"] == {"1": True}


@pytest.mark.parametrize(("group", "kind"), KINDS)
def test_every_kind_with_a_template(group: str, kind: str) -> None:
    """Is found with its pod, wherever its template is, in any version."""
    thing: dict[str, Any] = {"spec": POD}
    for key in reversed(KINDS[group, kind]):
        thing = {key: thing}
    api_version = f"{group}/v1beta1" if group else "v1"
    text = json.dumps({"apiVersion": api_version, "kind": kind, "metadata": {"generateName": "a-"}, **thing})
    (found,) = read(text, "f").workloads
    assert (found.kind, found.name, found.pod["spec"]) == (kind, "a-", POD)


def test_lists_are_taken_apart() -> None:
    """Those of kubectl, and those of the API itself, whose items don't say what they are."""
    pod = {"metadata": {"name": "p"}, "spec": POD}
    named = {"apiVersion": "v1", "kind": "Pod", **pod}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [named, {"kind": "List", "items": [named]}]})
    found = read(text, "f")
    assert names(found) == ["pod/p", "pod/p"]
    assert [each.pointer for each in found.workloads] == [(0, "items", 0), (0, "items", 1, "items", 0)]
    found = read(json.dumps({"apiVersion": "v1", "kind": "PodList", "items": [pod]}), "f")
    assert names(found) == ["pod/p"]


def test_unknown_kinds_with_containers_are_passed_over_aloud() -> None:
    """With the place of the containers, so that nobody takes them for looked at; others without a word."""
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"}}
    rollout["spec"] = {"template": {"spec": POD}}
    deployment = rollout | {"apiVersion": "example.com/v1", "kind": "Deployment"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    text = "\n---\n".join(map(json.dumps, (rollout, deployment, service)))
    found = read(text, "f.yaml")
    assert (len(found.workloads), len(found.objects)) == (0, 3)
    first, second = found.notes
    assert first == (
        "f.yaml:1: Rollout web (argoproj.io/v1alpha1) is passed over: spec.template.spec has containers, but the kind "
        "is not known; its pods are decided on creation"
    )
    assert second.startswith("f.yaml:3: Deployment web (example.com/v1) is passed over")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", r"f:2:1: this is no YAML: "),
        ("a: b: c", r"f:1:5: this is no YAML: mapping values are not allowed"),
        ("kind: Pod\n---\njust text", r"f:3: this is no object of Kubernetes: it has no kind"),
        ("image: app", r"f:1: this is no object of Kubernetes"),
        ("kind: List\nitems: [1]", r"f:1: this is no object of Kubernetes"),
        ("a: \x00", r"f: this is no YAML"),
        ("a: !!python/object:os.system x", r"f:1:4: this is no YAML: could not determine a constructor"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, problem: str) -> None:
    """File, line and column, as far as they are known."""
    with pytest.raises(Unreadable, match=problem):
        read(text, "f")


def of_depth(levels: int) -> str:
    """A document with lists in lists, which is YAML and JSON."""
    return '{"kind": "Odd", "spec": ' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


@pytest.mark.parametrize("text", [of_depth(201), of_depth(900), of_depth(100_000), "[" * 100_000], ids=len)
@pytest.mark.parametrize("before", ["", "# YAML\n"])
def test_nesting_has_a_limit(before: str, text: str) -> None:
    """What is nested deeper than anybody means is refused, in YAML and JSON, and ends no process."""
    with pytest.raises(Unreadable, match=r"^odd:?[0-9:]*: lists and mappings are nested more than 200 deep$"):
        read(before + text, "odd")


@pytest.mark.parametrize("before", ["", "# YAML\n"])
def test_nesting_within_the_limit(before: str) -> None:
    """Definitions of custom resources nest deep, too."""
    assert len(read(before + of_depth(200), "odd").objects) == 1


def doubled(times: int) -> str:
    """YAML of as many lines, each of which stands for twice as much as the one before."""
    lines = [f"l{index}: &l{index} [*l{index - 1}, *l{index - 1}]" for index in range(1, times)]
    return "\n".join(["kind: Odd", "l0: &l0 [lol, lol]", *lines])


def test_aliases_have_a_limit() -> None:
    """Some lines that would take all memory are refused at the one that is too much; some that don't are read."""
    with pytest.raises(Unreadable, match=r"^bomb:19:18: aliases stand for more than 1000000 values$"):
        read(doubled(60), "bomb")
    assert len(read(doubled(12), "file").objects) == 1


def test_aliases_nest_as_what_they_stand_for() -> None:
    """What is nested by aliases is as deep as what is nested by brackets."""
    lines = [f"l{index}: &l{index} [*l{index - 1}]" for index in range(1, 250)]
    with pytest.raises(Unreadable, match="nested more than 200 deep"):
        read("\n".join(["kind: Odd", "l0: &l0 []", *lines]), "odd")


def test_an_alias_within_what_it_stands_for() -> None:
    """A value that never ends is none of JSON's."""
    with pytest.raises(Unreadable, match=r"^odd:2:16: an alias is part of what it stands for$"):
        read("kind: Odd\nspec: &all [0, *all]", "odd")
