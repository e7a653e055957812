"""The commands in docs/image-inspect.md do what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.images import RegistryServer, attested

if TYPE_CHECKING:
    from tests.controlplane import CertificateAuthority

PAGE = Path(__file__).parents[2] / "docs" / "image-inspect.md"
TEXT = PAGE.read_text()
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE) for line in block.splitlines()
]
IMAGE = attested("linux/amd64", "linux/arm64", salt="docs")


@pytest.fixture
def environment(authority: CertificateAuthority, tmp_path: Path) -> dict[str, str]:
    """That of a user without credentials."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    home = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path), "PATH": path}
    return os.environ | home | {"RIGHTARCH_REGISTRY_CA_FILE": str(authority.certificate)}


def test_the_page_has_commands() -> None:
    """All of them are run below."""
    assert len(COMMANDS) == 11


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, server: RegistryServer, environment: dict[str, str]) -> None:
    """Each ends with status 0, or the one that its comment names."""
    server.push("team/app", "1.0", IMAGE)
    expected = re.search(r"# status (\d)$", command)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("registry.example.com", server.host)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == (int(expected[1]) if expected else 0), done.stderr
    assert done.stdout or "none" in command
    if "sha256sum" in command:
        assert done.stdout.split()[0] == IMAGE.digest.removeprefix("sha256:")


def test_the_table_is_what_is_printed(server: RegistryServer, environment: dict[str, str]) -> None:
    """But for digests and sizes."""
    server.push("team/app", "1.0", IMAGE)
    command = ["rightarch", "image", "inspect", f"{server.host}/team/app:1.0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    shown = re.search(r"^```\n(Name:.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert shown
    printed = done.stdout.replace(server.host, "registry.example.com")
    assert without_digests(printed) == without_digests(shown[1])


def without_digests(text: str) -> str:
    """The text without what differs from image to image."""
    return re.sub(r"[\d.]+ kB", "N kB", re.sub(r"sha256:[0-9a-f]+…?", "sha256:…", text))
