"""The command line, as a process: what it says, where, and with which status."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

COMMANDS = Path(sys.executable).parent
HEAVY = ("asyncio", "pydantic", "uvicorn", "aiohttp", "httpx", "kubernetes", "prometheus_client")


def run(*arguments: str, command: str = "rightarch", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an installed command, in an environment without settings but those given."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("RIGHTARCH_")}
    return subprocess.run(
        [COMMANDS / command, *arguments],
        env=usual | {"COLUMNS": "100"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("command", ["rightarch", "kubectl-rightarch"])
def test_the_version_is_told(command: str) -> None:
    """Both names are the same program."""
    done = run("--version", command=command)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"rightarch {version('rightarch')}\n", "")


def test_a_kubectl_plugin_is_called_by_kubectl() -> None:
    """The usage line shows what the user typed."""
    assert "Usage: kubectl rightarch webhook" in run("webhook", "--help", command="kubectl-rightarch").stdout


def test_help_shows_variables_defaults_and_an_example() -> None:
    """What an administrator needs, without leaving the terminal."""
    shown = run("webhook", "--help").stdout
    for said in ("RIGHTARCH_LOOKUP_BUDGET", "--allow-loopback-registries", "8443", "Example: rightarch webhook"):
        assert said in shown


def test_a_missing_option_is_wrong_usage() -> None:
    """Status 2, and which one, by both of its names."""
    done = run("webhook")
    assert done.returncode == 2
    assert "--cert-file" in done.stderr
    assert "RIGHTARCH_CERT_FILE" in done.stderr


def test_wrong_settings_are_said_without_a_traceback(tmp_path: Path) -> None:
    """Status 2, a line each; settings come from the environment as well."""
    key = tmp_path / "tls.key"
    key.touch()
    done = run("webhook", "--port=0", RIGHTARCH_CERT_FILE=str(tmp_path / "none"), RIGHTARCH_KEY_FILE=str(key))
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("rightarch: --cert-file (RIGHTARCH_CERT_FILE):")
    assert second.startswith("rightarch: --port (RIGHTARCH_PORT): '0':")


def test_a_certificate_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    """Said before anything listens, with the names of both files."""
    (tmp_path / "tls.crt").write_text("no certificate")
    (tmp_path / "tls.key").write_text("no key")
    done = run("webhook", f"--cert-file={tmp_path}/tls.crt", f"--key-file={tmp_path}/tls.key")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"--cert-file {tmp_path}/tls.crt with --key-file {tmp_path}/tls.key" in done.stderr


def test_the_command_line_itself_is_light() -> None:
    """Help and completion import nothing that only a server needs."""
    code = f"import sys, rightarch.cli; sys.exit(', '.join(set({HEAVY!r}) & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
