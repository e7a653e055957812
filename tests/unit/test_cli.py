"""The command line, as a process: what it says, where, and with which status."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from rightarch.settings import ControllerSettings, ProcessSettings, WebhookSettings, option, variable

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
        timeout=120,
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


@pytest.mark.parametrize(("command", "model"), [("webhook", WebhookSettings), ("controller", ControllerSettings)])
def test_every_setting_is_an_option(command: str, model: type[ProcessSettings]) -> None:
    """With its variable, its default and its description, as the settings have them."""
    shown = run(command, "--help", COLUMNS="300").stdout
    for name, field in model.model_fields.items():
        [line] = [line for line in shown.splitlines() if line.startswith(f"│ {option(name)} ")]
        assert field.description
        assert f"{field.description[1:]}." in line
        assert f"[env var: {variable(name)}]" in line
        if isinstance(field.default, int | str) and field.default is not False:
            assert f"[default: ({field.default})]" in line


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--port=x"], "--port (RIGHTARCH_PORT): 'x': input should be a valid integer"),
        (["--namespace=A_b"], "--namespace (RIGHTARCH_NAMESPACE): 'A_b': no such name: it has up to 63 lower-case"),
        (["--certificate-secret=A/b"], "--certificate-secret (RIGHTARCH_CERTIFICATE_SECRET): 'A/b': no such name"),
        (["--log-level=loud"], "--log-level (RIGHTARCH_LOG_LEVEL): 'loud': input should be 'debug', 'info'"),
    ],
)
def test_a_wrong_value_is_said_in_a_line(given: list[str], said: str) -> None:
    """The same for all: no box, no pattern."""
    done = run("webhook", *given)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"rightarch: {said}")
    assert "^[" not in line


def test_a_host_of_two_forms_is_one_problem() -> None:
    """A name or an address: what is neither is told of once."""
    done = run("controller", "--namespace=a", "--webhook-host=a b")
    [line] = done.stderr.splitlines()
    assert line.startswith("rightarch: --webhook-host (RIGHTARCH_WEBHOOK_HOST): 'a b': no such name")


def test_a_flag_may_come_from_the_environment(tmp_path: Path) -> None:
    """As may all else; what is given as an option goes before."""
    (tmp_path / "config").write_text("a: [b")
    done = run(
        "controller",
        f"--kubeconfig={tmp_path}/config",
        RIGHTARCH_ALLOW_LOOPBACK_REGISTRIES="true",
        RIGHTARCH_NAMESPACE="a",
        RIGHTARCH_HEALTH_PORT="18098",
        RIGHTARCH_KUBECONFIG="/none",
    )
    assert "is not YAML" in done.stderr


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete -o default"), ("zsh", "compdef"), ("fish", "complete")])
def test_completion_scripts(shell: str, word: str) -> None:
    """Each shell is given a script that it can read."""
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert word in done.stdout
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=done.stdout, text=True, check=True, timeout=120)


def test_an_unknown_shell_is_wrong_usage() -> None:
    """Status 2."""
    assert run("completion", "tcsh").returncode == 2


def test_completion_in_bash() -> None:
    """A shell that has read the script completes commands and options."""
    program = shutil.which("bash")
    assert program
    typed = """
        COMP_WORDS=(rightarch image inspect --req); COMP_CWORD=3; _rightarch_completion rightarch
        echo "${COMPREPLY[@]}"
        COMP_WORDS=(rightarch ima); COMP_CWORD=1; _rightarch_completion rightarch; echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        [program, "-c", f"{run('completion', 'bash').stdout}{typed}"],
        env=os.environ | {"PATH": f"{COMMANDS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == ["--require", "image"]


@pytest.mark.parametrize("name", ["webhook", "controller", "image", "completion"])
def test_commands_are_listed(name: str) -> None:
    """The help names all of them."""
    assert f" {name} " in run("--help").stdout


@pytest.mark.parametrize("command", [("explain", "-f"), ("mutate", "-f")])
def test_policies_that_are_no_text_are_said_in_a_line(tmp_path: Path, command: tuple[str, str]) -> None:
    """Some shells write UTF-16 where a command's output goes to a file."""
    pod, policies = tmp_path / "pod.yaml", tmp_path / "policies.yaml"
    pod.write_text("{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: web}]}}\n")
    policies.write_bytes(b"\xff\xfek\x00i\x00n\x00d\x00")
    done = run(*command, str(pod), "--policy", str(policies), *(["--registry-only"] if command[0] == "explain" else []))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"rightarch: {policies}: this is no text in UTF-8: invalid start byte at byte 0\n"
