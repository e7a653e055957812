"""Programs of the control plane: which are taken, where built ones are kept, what a build leaves behind."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from tests.controlplane import BuildError, wait_for
from tests.controlplane.__main__ import main
from tests.controlplane.binaries import find
from tests.controlplane.cache import cache_folder, cached, lock, scratch_folder
from tests.controlplane.components import COMPONENTS, MODULES, parse_version
from tests.controlplane.toolchain import PROJECT, needed_version
from tests.controlplane.workshop import Workshop

ROOT = Path(__file__).parents[2]
KUBECTL = COMPONENTS["kubectl"]
CRANE = COMPONENTS["crane"]

# Stands for `go`: notes that it was called, leaves read-only folders as Go does, and "builds" a script.
GO = """#!/bin/sh
case "$1" in
env) echo '{"GOVERSION": "go1.99.0", "GOFLAGS": "-buildvcs=false", "GOHOSTOS": "linux", "GOHOSTARCH": "amd64"}'; exit;;
esac
echo "$GOFLAGS" >> "$CALLS"
mkdir -p "$GOMODCACHE/module" "$GOCACHE" && echo x > "$GOMODCACHE/module/file" && chmod -R a-w "$GOMODCACHE"
sleep "${SECONDS_TO_BUILD:-0}"
while [ -e "$CALLS.wait" ]; do sleep 0.05; done
[ -z "$FAILURE" ] || { echo "$FAILURE" >&2; exit 1; }
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho v0.22.1\\n' > "$2" && chmod +x "$2"
"""


def program(path: Path, says: str) -> Path:
    """An executable that prints this, whatever it is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and nothing on PATH but the system's tools."""
    monkeypatch.setenv("RIGHTARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def go_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pretended `go` on PATH; the file tells of its builds, a line each."""
    go = tmp_path / "path" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    calls = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(calls))
    return calls


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("Kubernetes v1.36.4", (1, 36, 4)),
        ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", (1, 32, 4)),
        ("etcd Version: 3.6.13\nGit SHA: abc\nGo Version: go1.26.8", (3, 6, 13)),
        ("kwok version v0.8.0 go1.26.8 (linux/amd64)", (0, 8, 0)),
        ("registry github.com/distribution/distribution/v3 v3.1.2", (3, 1, 2)),
        ("registry github.com/docker/distribution v2.8.2+ds1", (2, 8, 2)),
        ("v0.22.1", (0, 22, 1)),
        ("(devel)", None),
        ("", None),
    ],
)
def test_the_version_is_read_from_what_the_program_says(output: str, version: tuple[int, int, int] | None) -> None:
    """As each of the real programs words it."""
    assert parse_version(output) == version


@pytest.mark.parametrize(
    ("name", "version", "accepted"),
    [
        ("kube-apiserver", (1, 36, 0), True),
        ("kube-apiserver", (1, 36, 99), True),
        ("kube-apiserver", (1, 35, 9), False),
        ("kube-scheduler", (1, 37, 0), False),
        ("kubectl", (1, 32, 4), False),
        ("etcd", (3, 4, 30), False),
        ("etcd", (3, 5, 12), False),
        ("etcd", (3, 5, 13), True),
        ("etcd", (3, 6, 13), True),
        ("kwok", (0, 7, 0), False),
        ("kwok", (0, 8, 3), True),
        ("kwok", (0, 9, 0), False),
        ("registry", (2, 8, 2), False),
        ("registry", (3, 0, 0), True),
        ("crane", (0, 1, 0), True),
        ("crane", None, False),
    ],
)
def test_only_versions_that_were_tested_are_accepted(
    name: str, version: tuple[int, int, int] | None, *, accepted: bool
) -> None:
    """Kubernetes and KWOK of one minor version; etcd from the first that serves recent API servers."""
    assert COMPONENTS[name].accepts(version) is accepted


def test_a_program_on_the_path_is_taken_if_its_version_does(tmp_path: Path) -> None:
    """And nothing is said about it."""
    on_path = program(tmp_path / "path" / "kubectl", "Client Version: v1.36.1")
    heard: list[str] = []
    assert find(KUBECTL, heard.append) == on_path
    assert heard == []


def test_a_program_of_another_version_is_refused_with_a_reason(tmp_path: Path) -> None:
    """What is used instead is the cache's, or nothing."""
    on_path = program(tmp_path / "path" / "kubectl", "Client Version: v1.32.4")
    heard: list[str] = []
    assert find(KUBECTL, heard.append) is None
    assert heard == [f"Not used: {on_path} is 1.32.4; wanted >= 1.36.0, < 1.37.0"]
    kept = program(cached(KUBECTL), "not asked")
    assert find(KUBECTL) == kept


def test_kubebuilder_assets_come_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets the variable means it; but a wrong version is refused there too."""
    assets = tmp_path / "assets"
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    on_path = program(tmp_path / "path" / "kubectl", "Client Version: v1.36.1")
    asset = program(assets / "kubectl", "Client Version: v1.36.2")
    assert find(KUBECTL) == asset
    program(asset, "Client Version: v1.31.0")
    assert find(KUBECTL) == on_path


def test_the_cache_is_keyed_by_component_version_and_platform(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new pin builds anew, and a home shared by two machines holds both."""
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert cached(KUBECTL) == cache / "kubectl" / "v1.36.4-linux-arm64" / "kubectl"


def test_the_cache_follows_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """RIGHTARCH_CACHE, then XDG_CACHE_HOME, then ~/.cache."""
    monkeypatch.setenv("RIGHTARCH_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/own")
    monkeypatch.delenv("RIGHTARCH_CACHE")
    assert cache_folder() == Path("/xdg/rightarch")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/rightarch")


def test_every_component_is_pinned_with_sums() -> None:
    """Each go.mod lists the main package as a tool, or is that of a main package around it, and has its go.sum."""
    for component in COMPONENTS.values():
        text = (MODULES / component.group / "go.mod").read_text()
        assert re.search(rf"^(tool|module)?\s+{component.import_path}$", text, re.MULTILINE), component.name
        assert component.accepts(parse_version(component.version))
        assert (MODULES / component.group / "go.sum").stat().st_size > 0


def test_the_go_of_pypi_is_new_enough_for_all_modules() -> None:
    """A module that needs a newer Go than pyproject.toml pins can't be built on a bare machine."""
    [pin] = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]["go"]
    pinned = parse_version(pin)
    assert pinned is not None
    assert pinned >= needed_version()


def test_kubernetes_is_stamped_with_its_version() -> None:
    """Otherwise its programs say v0.0.0-master, and version checks of charts fail."""
    flags = COMPONENTS["kube-apiserver"].linker_flags.split()
    assert "k8s.io/component-base/version.gitVersion=v1.36.4" in flags
    assert "k8s.io/client-go/pkg/version.gitMinor=36" in flags


@pytest.mark.usefixtures("go_calls")
def test_a_build_leaves_only_the_program(cache: Path) -> None:
    """Go's caches (read-only folders among them) and the scratch folder are gone."""
    with Workshop() as workshop:
        built = workshop.provide(CRANE)
        assert len(list(cache.glob("build-*/modules/module/file"))) == 1
    assert CRANE.version_of(built) == (0, 22, 1)
    assert sorted(path.name for path in cache.iterdir()) == ["crane", "locks", "scratch.lock"]
    assert list(cached(CRANE).parent.iterdir()) == [built]


def test_a_build_heeds_the_users_flags(go_calls: Path) -> None:
    """GOFLAGS is added to, not replaced."""
    with Workshop() as workshop:
        workshop.provide(CRANE)
    assert go_calls.read_text() == "-buildvcs=false -modcacherw\n"


@pytest.mark.usefixtures("go_calls")
def test_a_failed_build_says_why_and_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of what Go said is in the message."""
    monkeypatch.setenv("FAILURE", "dial tcp: no route to host")
    with (
        pytest.raises(BuildError, match=r"(?s)build of crane failed with status 1.*no route to host"),
        Workshop() as shop,
    ):
        shop.provide(CRANE)
    assert sorted(path.name for path in cache.iterdir()) == ["locks", "scratch.lock"]


@pytest.mark.usefixtures("go_calls")
def test_a_program_that_is_not_what_was_asked_for_is_not_kept() -> None:
    """The pretended go builds something that says v0.22.1, which no kubectl may say."""
    with (
        pytest.raises(BuildError, match=r"kubectl was built, but does not say that it is v1\.36\.4"),
        Workshop() as shop,
    ):
        shop.provide(KUBECTL)
    assert not cached(KUBECTL).exists()


@pytest.mark.usefixtures("go_calls")
def test_the_command_fails_with_a_clear_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make binaries` stops there."""
    monkeypatch.setenv("FAILURE", "dial tcp: no route to host")
    assert main() == 1
    lines = capsys.readouterr().err.splitlines()
    [problem] = [line for line in lines if line.startswith("The control plane is not complete: ")]
    assert "the build of crane failed with status 1" in problem
    assert lines[-1] == "dial tcp: no route to host"


def test_two_runs_at_once_build_once_and_the_second_says_that_it_waits(go_calls: Path) -> None:
    """Two processes ask for the same program; both get it."""
    building = Path(f"{go_calls}.wait")
    building.touch()
    code = "from tests.controlplane import binary; print(binary('crane'))"
    command = [sys.executable, "-c", code]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    with start() as first:
        wait_for(go_calls.exists)
        with start() as second:
            assert second.stderr is not None
            assert "Waiting for another run that is building crane" in second.stderr.readline()
            building.unlink()
            outputs = [first.communicate(), second.communicate()]
    assert [output[0].strip() for output in outputs] == [str(cached(CRANE))] * 2
    assert len(go_calls.read_text().splitlines()) == 1


def test_a_killed_build_leaves_nothing(go_calls: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guardian ends the compiler and removes its gigabytes."""
    monkeypatch.setenv("SECONDS_TO_BUILD", "60")
    code = "from tests.controlplane import binary; binary('crane')"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL) as build:
        wait_for(go_calls.exists)
        assert list(cache.glob("build-*"))
        build.kill()
    wait_for(lambda: not list(cache.glob("build-*")))


def test_what_a_power_failure_left_is_removed_by_the_next_run(cache: Path) -> None:
    """But not what another run is using."""
    abandoned = cache / "build-abandoned"
    abandoned.mkdir(parents=True)
    (abandoned / "lock").touch()
    with scratch_folder() as mine, scratch_folder() as other:
        assert not abandoned.exists()
        assert mine.exists()
        assert other.exists()
    assert list(cache.glob("build-*")) == []


def test_a_lock_is_held_by_one_and_then_by_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Order is kept among threads as among processes."""
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with lock(tmp_path / "lock", "testing"):
            inside.set()
            wait_for(lambda: "Waiting" in "".join(capsys.readouterr().err) or order)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with lock(tmp_path / "lock", "testing"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_program_that_cannot_run_is_not_taken(tmp_path: Path) -> None:
    """A file for another machine, say."""
    broken = tmp_path / "path" / "kubectl"
    broken.parent.mkdir()
    broken.write_bytes(b"\x7fELF-of-another-machine")
    broken.chmod(0o755)
    assert find(KUBECTL) is None
