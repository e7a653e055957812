"""What docs/policies.md says is so: its policies are taken, its commands do what they say, no field is left out."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from rightarch.crds import definitions
from rightarch.policy import Policy
from tests.controlplane import binary, wait_for
from tests.support.installation import Release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.controlplane import ControlPlane

TEXT = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
POLICIES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE) for line in block.splitlines()
]


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The chart, without its processes; and the namespace that the page speaks of."""
    release = Release(control_plane, tmp_path_factory.mktemp("page"))
    release.install({})
    try:
        control_plane.kubectl("create", "namespace", "shop")
        yield release
        control_plane.kubectl("delete", "clusterrolebinding", "policies", "--ignore-not-found")
        control_plane.kubectl("delete", "namespace", "shop", "--wait=false")
    finally:
        release.uninstall()


def test_all_of_the_page_is_tested() -> None:
    """What is not in such a block would be passed over."""
    assert (len(POLICIES), len(COMMANDS)) == (6, 12)
    assert TEXT.count("```") == 2 * (6 + 3)


@pytest.mark.parametrize("text", POLICIES, ids=lambda text: yaml.safe_load(text)["metadata"]["name"])
def test_the_api_server_takes_each_policy(installed: Release, text: str) -> None:
    """And so does Rightarch, where it reads one from a file."""
    said = installed.plane.kubectl("apply", "--dry-run=server", "-f", "-", input=text)
    assert "created" in said
    assert Policy.of_manifest(yaml.safe_load(text)).spec is not None


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_works(installed: Release, tmp_path: Path, command: str) -> None:
    """In their order; whether somebody may do something is answered as the comment says."""
    (tmp_path / "policy.yaml").write_text(POLICIES[0])
    command, _, comment = command.partition("#")
    environment = os.environ | {
        "KUBECONFIG": str(installed.plane.kubeconfig),
        "PATH": f"{binary('kubectl').parent}:{os.environ['PATH']}",
    }

    def run() -> subprocess.CompletedProcess[str]:
        shell = ["bash", "-c", command]
        return subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    if "can-i" in command:
        wait_for(lambda: run().stdout.strip() == (comment.strip() or "yes"))
    else:
        assert (done := run()).returncode == 0, done.stderr


def test_every_field_is_explained() -> None:
    """By its name, in a table or in the text."""

    def names(schema: dict[str, Any]) -> set[str]:
        found = set(schema.get("properties", {}))
        parts = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
        return found.union(*map(names, parts))

    version = definitions()["clusterarchitecturepolicies"]["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    text = re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", text))))
    assert names(schema) - words == set()
