"""Chromium: on PATH, else Debian's package where this may be installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""It is to open one file, and to send nothing off the machine."""
_SECONDS: Final = 600


class Missing(Exception):
    """There is no browser."""


def chromium() -> str:
    """The program.

    Raises:
        Missing: it is not there, and can't be installed here; says what to do.
    """
    found = _found()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        found = _found()
    if found is None:
        raise Missing(f"none of {', '.join(NAMES)} is on PATH: install Chromium, or set RIGHTARCH_TEST_SKIP=browser")
    return found


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _install() -> None:
    """Install Debian's package; what apt-get says is told where it fails."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"]):
        done = subprocess.run(
            ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if done.returncode:
            raise Missing(f"apt-get {arguments[0]} can't give us Chromium: {done.stderr.strip()[-500:]}")


if __name__ == "__main__":
    print(chromium())
