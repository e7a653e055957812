"""The demo as a user runs it: what it shows, what it says, and that nothing stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.controlplane import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SECONDS = 240
ARCHITECTURES = {
    "Deployment checkout x5": {"amd64"},
    "Deployment search x5": {"arm64"},
    "Deployment web x5": {"amd64", "arm64"},
    "Deployment web-agent x5": {"amd64"},
    "Job migrate x5": {"arm64"},
    "CronJob report x5": {"amd64"},
    "DaemonSet node-agent x2": {"amd64"},
    "DaemonSet log-agent x4": {"amd64", "arm64"},
    "DaemonSet late-agent x2": {"arm64"},
    "Pod toolbox": {"arm64"},
}
"""The workloads that must run, and where they may."""


VERDICTS = {
    "DaemonSet node-agent": "Blocked",
    "CronJob report": "Blocked",
    "Deployment checkout": "Blocked",
    "Deployment web-agent": "Blocked",
    "Pod mixed-pair": "Blocked",
    "Pod sensor": "Blocked",
    "DaemonSet late-agent": "Ready",
    "DaemonSet log-agent": "Ready",
    "Deployment search": "Ready",
    "Deployment web": "Ready",
    "Pod toolbox": "Ready",
}
"""What the report says of the workloads without Rightarch; the Job has ended, or not."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for one demo, which is ended and gone afterwards."""
    (tmp_path / "tmp").mkdir()
    yield tmp_path / "demo"
    left = left_of(tmp_path)
    run(tmp_path / "demo", "--down")
    assert left == []


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that one whole run says."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tmp").mkdir()
    status, text = run(folder / "demo")
    assert status == 0, text
    assert left_of(folder) == []
    return text


@contextlib.contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demo as a process, gone when the block ends; its temporary files would go beside its folder."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.demo", f"--folder={folder}", *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "120", "TMPDIR": str(folder.with_name("tmp"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # it has ended, unless a test fails: and then nobody else would end it


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the demo to its end; gives its exit status and what it said."""
    with demo(folder, *arguments) as process:
        said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said


def until(process: subprocess.Popen[str], text: str) -> None:
    """Read what a demo says until it says this; a step is told when it begins."""
    assert process.stdout is not None
    said = ""
    while text not in said:
        character = process.stdout.read(1)
        assert character, f"it ended before it said {text!r}:\n{said}"
        said += character


def commands(folder: Path) -> dict[int, str]:
    """The processes whose command lines mention a path, but for the demo itself and what watches over it."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if f"{folder}/" in command and "tests.demo" not in command:
                found[int(path.parent.name)] = command
    return found


def left_of(folder: Path) -> list[object]:
    """What there is of a demo: processes, its folder, temporary files."""
    return [*commands(folder).values(), *folder.glob("demo"), *folder.glob("tmp/*")]


def sections(said: str) -> dict[str, list[str]]:
    """The table, by the first cell of each workload."""
    blocks = (block.splitlines() for block in re.split(r"\n\s*\n", said.partition("───\n")[2]))
    return {re.split(r"\s{2,}", lines[0])[0]: lines for lines in blocks if lines}


def test_all_comes_out_as_it_must_and_nothing_is_left(said: str) -> None:
    """Exit status 0; each workload's nodes, what was written, and its verdict are in the table; no colour codes."""
    assert "\x1b" not in said
    assert "Nothing was left behind." in said
    column = next(line for line in said.splitlines() if "With Rightarch:" in line).index("With Rightarch:")
    table = sections(said)
    for workload, architectures in ARCHITECTURES.items():
        right = "\n".join(line[column:] for line in table[workload])
        assert set(re.findall(r"\bn[1-5] (\w+)", right)) <= architectures, said
        assert set(re.findall(r"runs|Pending|exec format error|ErrImagePull", right)) == {"runs"}, said
        assert "Constrained" in right, said
        assert f"arch in {', '.join(sorted(architectures))} " in right, said
    assert all("as expected" in "\n".join(table[name]) for name in [*ARCHITECTURES, "Pod mixed-pair", "Pod sensor"])


def test_it_shows_the_failures_that_are_removed(said: str) -> None:
    """Without Rightarch pods land wrong; the pair keeps its spec with a warning, the arm/v7 image waits."""
    table = sections(said)
    assert "exec format error" in "\n".join(table["Deployment search x5"])
    assert "ErrImagePull" in "\n".join(table["Deployment checkout x5"])
    assert re.search(r"NoCommonArchitecture +n\d", table["Pod mixed-pair"][0]), said
    assert "spec unchanged" in "\n".join(table["Pod mixed-pair"])
    assert re.search(r"Constrained +none +Pending", table["Pod sensor"][0]), said
    assert "arch in arm " in "\n".join(table["Pod sensor"])
    assert "Warning at the creation of Pod mixed-pair: rightarch: NoCommonArchitecture: " in said
    failed = re.findall(r"Rightarch, (\d+) of (?:48|41) pods landed where they can't run", said)
    assert int(failed[0]) > 9, said
    assert failed[1] == "1", said


def test_karpenter_buys_what_the_images_allow(said: str) -> None:
    """Without Rightarch the cheaper arm64 for all, where half of the pods can't run; with it both, where all can."""
    without, with_ = re.findall(
        r"bought (.*?) for \$(\d\.\d\d) an hour, and (\d+) of (\d+) pods can't run there", said.replace("\n", " ")
    )
    assert "x86" not in without[0], said
    assert without[2:] == ("10", "20"), said
    assert "(amd64)" in with_[0], said
    assert "(arm64)" in with_[0], said
    assert with_[2:] == ("0", "20"), said
    assert re.search(r"Deployment checkout x5 +arm64 x5: can't run +amd64 x5: runs", said), said


def test_a_demo_that_is_kept_can_be_talked_to_until_it_is_taken_down(folder: Path) -> None:
    """The commands that it prints work as they are; a second run is refused; --down ends all of it."""
    status, said = run(folder, "--keep")
    assert status == 0, said
    assert (folder / "kubeconfig").stat().st_mode & 0o077 == 0
    lines = said.partition("The demo is up.")[2].splitlines()
    script = "\n".join(["set -e", *(line for line in lines if line.startswith("  "))])
    talk = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=SECONDS)
    assert talk.returncode == 0, talk.stderr
    assert '"values":["arm64"]' in talk.stdout
    assert '{"reason":"Constrained"' in talk.stdout
    assert talk.stderr.startswith("Warning: rightarch: NoCommonArchitecture: ")
    assert reported(folder / "kubeconfig") == VERDICTS
    assert run(folder) == (1, f"A demo is up in {folder}. `make demo-down` ends it.\n")
    assert len(commands(folder)) == 9
    assert run(folder, "--down") == (0, "The demo is down.\n")
    assert left_of(folder.parent) == []
    assert run(folder, "--down") == (0, "No demo is up.\n")


def reported(kubeconfig: Path) -> dict[str, str]:
    """The verdicts of the readiness report on the workloads that run without Rightarch, but for Jobs."""
    program = str(Path(sys.executable).parent / "rightarch")
    command = [program, "report", f"--kubeconfig={kubeconfig}", "--namespace=without-rightarch", "--output=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    report = json.loads(done.stdout)
    assert report["atRisk"]["misplaced"] > 0
    rows = [row for row in report["workloads"] if row["kind"] != "Job"]
    return {f"{row['kind']} {row['name']}": row["verdict"] for row in rows}


@pytest.mark.parametrize(
    ("step", "number", "status"),
    [
        ("Starting etcd", signal.SIGINT, 130),
        ("Creating the workloads without", signal.SIGTERM, 130),
        ("Creating the same workloads", signal.SIGKILL, -9),
    ],
)
def test_whatever_ends_it_nothing_is_left(folder: Path, step: str, number: signal.Signals, status: int) -> None:
    """Ctrl-C and worse, while it starts and while it works, also where it was to be kept."""
    with demo(folder, "--keep") as process:
        until(process, step)
        process.send_signal(number)
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == status, said
    wait_for(lambda: left_of(folder.parent) == [])


@pytest.mark.parametrize("seconds", [0, 0.15, 0.3, 0.5])
def test_ctrl_c_at_once_shows_no_trace(folder: Path, seconds: float) -> None:
    """Whether it was ready for it or not."""
    with demo(folder) as process:
        wait_for(lambda: has_begun(process), pause=0.001)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode in {130, -signal.SIGINT}
    assert "Traceback" not in said
    wait_for(lambda: left_of(folder.parent) == [])


def has_begun(process: subprocess.Popen[str]) -> bool:
    """Whether a demo is past its first line, and loads what it needs. Before that, it is Python that is interrupted."""
    return "/_ssl." in Path(f"/proc/{process.pid}/maps").read_text()


def test_ctrl_c_again_and_again_changes_nothing(folder: Path) -> None:
    """What is being cleaned up is cleaned up."""
    with demo(folder) as process:
        until(process, "Starting etcd")
        for _ in range(5):
            process.send_signal(signal.SIGINT)
            time.sleep(0.04)
        said, _ = process.communicate(timeout=SECONDS)
    last = "Interrupted. Whatever the demo had started was ended and removed."
    assert (process.returncode, said.splitlines()[-1]) == (130, last)
    assert left_of(folder.parent) == []


def test_a_file_in_its_place_is_named(folder: Path) -> None:
    """With what to do; the file stays."""
    folder.write_text("mine")
    said = f"{folder} is no folder, and can't become one: a file is there. Name another with --folder.\n"
    assert run(folder) == (1, said)
    assert folder.read_text() == "mine"
    folder.unlink()


def test_a_cache_that_can_not_be_used_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the variable that names it."""
    file = folder.parent / "file"
    file.touch()
    monkeypatch.setenv("RIGHTARCH_CACHE", str(file))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    status, said = run(folder)
    assert status == 1
    last = f"What is built can't be kept in {file}: Not a directory. Name another folder by RIGHTARCH_CACHE."
    assert said.splitlines()[-1] == last
    file.unlink()


def test_a_second_demo_is_refused_while_one_runs(folder: Path) -> None:
    """Both a run and the end of one say that there is one; it is not disturbed, and Ctrl-C ends it."""
    with demo(folder) as process:
        until(process, "Starting etcd")
        process.send_signal(signal.SIGSTOP)  # so that it does not end meanwhile
        refusal = f"A demo is running in {folder}. Wait for its end, or end it there with Ctrl-C.\n"
        assert run(folder) == (1, refusal)
        assert run(folder, "--down") == (1, refusal)
        process.send_signal(signal.SIGCONT)
        until(process, "Making 5 nodes")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, said.splitlines()[-1]) == (
        130,
        "Interrupted. Whatever the demo had started was ended and removed.",
    )


def test_it_fails_where_rightarch_fails(folder: Path) -> None:
    """A webhook that dies lets pods through unchanged: the demo says what is not as expected, and exits with 1."""
    failure = re.compile(r"NOT AS EXPECTED: Pod sensor: sensor has the Reason None; Constrained was\s+expected")
    status, said = run_and_kill(folder)
    if not failure.search(said):  # it was killed too late: the demo is not waited for by who kills
        status, said = run_and_kill(folder)
    assert status == 1, said
    assert failure.search(said), said
    assert left_of(folder.parent) == []


def run_and_kill(folder: Path) -> tuple[int, str]:
    """Run the demo, and kill its webhook as it begins to create pods; gives its exit status and what it said."""
    with demo(folder) as process:
        until(process, "Installing Rightarch by helm")
        [webhook] = wait_for(lambda: [pid for pid, text in commands(folder).items() if "rightarch webhook" in text])
        until(process, "Creating the same workloads")
        os.kill(webhook, signal.SIGKILL)
        said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said


def test_wrong_usage_is_told_from_failure(folder: Path) -> None:
    """Exit status 2."""
    assert run(folder, "--keep", "--down")[0] == 2
