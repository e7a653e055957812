"""The commands in docs/explain.md do what the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.images import RegistryServer, attested, single
from tests.registry.test_explain import POLICY, deployment, run

if TYPE_CHECKING:
    from tests.controlplane import CertificateAuthority

TEXT = (Path(__file__).parents[2] / "docs" / "explain.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if "# cluster" not in line  # those are run in tests/cluster
]
(CASE,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
(TABLE,) = re.findall(r"^```\n(Deployment.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(authority: CertificateAuthority, tmp_path: Path) -> dict[str, str]:
    """That of a user without credentials and without a cluster."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    home = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path), "PATH": path}
    return os.environ | home | {"RIGHTARCH_REGISTRY_CA_FILE": str(authority.certificate)}


@pytest.fixture
def folder(tmp_path: Path, server: RegistryServer) -> Path:
    """A folder with the files that the page names."""
    server.push("team/app", "1.0", attested("linux/amd64", "linux/arm64"))
    server.push("team/agent", "1.0", single("linux/amd64"))
    server.push("team/other", "1.0", single("linux/arm64"))
    app, agent, other = (f"{server.host}/team/{name}:1.0" for name in ("app", "agent", "other"))
    (tmp_path / "web.yaml").write_text(yaml.safe_dump(deployment("web", app, agent), sort_keys=False))
    (tmp_path / "apart.yaml").write_text(yaml.safe_dump(deployment("apart", agent, other)))
    (tmp_path / "policy.yaml").write_text(f"{POLICY}  priority: -1\n")
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "own.yaml").write_text(CASE)
    (tmp_path / "wrong.yaml").write_text(CASE.replace("architectures: [arm64]\n  terms", "architectures: []\n  terms"))
    return tmp_path


def test_all_commands(environment: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends with status 0, or the one that its comment names; the table is what is printed."""
    assert len(COMMANDS) == 13
    monkeypatch.chdir(folder)
    printed = [_run(command, environment, folder) for command in COMMANDS]
    shown = re.sub(r"127\.0\.0\.1:\d+", "registry.example.com", printed[0])
    assert _unspaced(shown).startswith(_unspaced(TABLE))
    assert (folder / "web.patched.yaml").read_text() == (folder / "web.yaml").read_text()


def _unspaced(text: str) -> str:
    """A table whose columns may have other widths."""
    return re.sub(r" +", " ", text)


def _run(command: str, environment: dict[str, str], folder: Path) -> str:
    """Run a command; those with a pipe in a shell, all others in this process, since each would take a second."""
    expected = re.search(r"# status (\d)$", command)
    if re.search(r"[|>]", command):
        status, output = _run_in_shell(command, environment, folder)
    else:
        done = run(environment, *shlex.split(command, comments=True)[1:])
        status, output = done.returncode, done.stdout
    assert status == (int(expected[1]) if expected else 0), f"{command}: {output}"
    return output


def _run_in_shell(command: str, environment: dict[str, str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout
