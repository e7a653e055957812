"""The definitions of custom resources, as the real API server takes them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.controlplane import ControlPlane, KubectlError, wait_for
from tests.support.facts import CRD, DEFINITION, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane with the definitions, of its own: others run without."""
    with ControlPlane(kwok=False) as running:
        running.kubectl("apply", "-f", "-", input=DEFINITION)
        running.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=60s")
        wait_for(lambda: explanation(running, "imgp"))  # kubectl finds the kind a moment later
        yield running


def test_the_api_server_takes_the_definition_as_structural(plane: ControlPlane) -> None:
    """And explains each field."""
    conditions = yaml.safe_load(plane.kubectl("get", "crd", CRD, "-o", "yaml"))["status"]["conditions"]
    states = {condition["type"]: condition["status"] for condition in conditions}
    assert states["Established"] == states["NamesAccepted"] == "True"
    assert "NonStructuralSchema" not in states
    explained = wait_for(lambda: explanation(plane, "imgp.status.lastUsed"))
    assert "The day (UTC) of the last use that was written" in explained
    assert "imageplatforms.rightarch.dev" in plane.kubectl("api-resources", "--categories=rightarch", "-o", "name")


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("metadata", "name"), "nginx", "the name is 40 hexadecimal digits"),
        (("spec", "scope"), "Everybody", "Unsupported value"),
        (("spec", "reference"), "nginx", "should match"),
        (("spec", "scope"), "Namespace", "a namespace is named in the scope Namespace"),
        (("spec", "namespace"), "team-a", "a namespace is named in the scope Namespace"),
        (("spec", "namespace"), "Team A", "should match"),
        (("spec", "pullSecrets"), ["hub"], "pull secrets are those of a namespace"),
        (("spec", "pullSecrets"), ["hub", "hub"], "Duplicate value"),
        (("spec", "pullSecrets"), ["a/b"], "should match"),
        (("spec", "pullSecrets"), [f"s{index}" for index in range(33)], "must have at most 32 items"),
        (("spec", "pullSecrets"), [], "should have at least 1 items"),
        (("status", "digest"), "sha256:123", "should match"),
        (("status", "platforms"), ["amd64"], "should match"),
        (("status", "platforms"), ["linux/amd64", "linux/amd64"], "Duplicate value"),
        (("status", "lastUsed"), "yesterday", "lastUsed"),
        (("status", "learnedAt"), "now", "learnedAt"),
        (("status", "source"), "a b", "should match"),
        (("spec", "reference"), "docker.io/library/nginx@sha256:" + "2" * 64, "another digest than the reference"),
    ],
)
def test_the_api_server_refuses_what_is_wrong(
    plane: ControlPlane, path: tuple[str, str], value: object, problem: str
) -> None:
    """The definition says what an object may hold."""
    wrong = object_of("docker.io/library/nginx:1", "sha256:" + "1" * 64, ["linux/amd64"])
    wrong[path[0]][path[1]] = value
    with pytest.raises(KubectlError, match=problem):
        plane.kubectl("create", "-f", "-", input=yaml.safe_dump(wrong))


def test_the_api_server_takes_facts_of_all_scopes(plane: ControlPlane) -> None:
    """And shows whose they are."""
    wide = {"scope": "Namespace", "namespace": "n" * 63, "pullSecrets": [f"s{i}." + "x" * 240 for i in range(32)]}
    for index, scope in enumerate([{"scope": "Cluster"}, {"scope": "Namespace", "namespace": "team-a"}, wide]):
        thing = object_of("docker.io/library/scoped:1", "sha256:" + "1" * 64, ["linux/amd64"])
        thing["metadata"]["name"] = f"{index}" * 40
        thing["spec"] |= scope
        plane.apply(thing)
    shown = plane.kubectl("get", "imgp", "1" * 40, "-o", "wide", "--no-headers").split()
    assert {"Namespace", "team-a"} <= set(shown)


def test_an_object_never_comes_to_tell_of_another_image(plane: ControlPlane) -> None:
    """Its spec is what its name is made from."""
    right = object_of("docker.io/library/nginx:1", "sha256:" + "1" * 64, ["linux/amd64"])
    plane.apply(right)
    right["spec"]["reference"] = "docker.io/library/nginx:2"
    with pytest.raises(KubectlError, match="make another for another"):
        plane.kubectl("replace", "-f", "-", input=yaml.safe_dump(right))


def explanation(plane: ControlPlane, field: str) -> str:
    """What kubectl explains; nothing until the API server has published the schema."""
    with contextlib.suppress(KubectlError):
        return " ".join(plane.kubectl("explain", field).split())
    return ""
