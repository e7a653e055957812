"""Which components there are: where their source is, which versions do, how long a build takes."""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Version = tuple[int, int, int]

MODULES = Path(__file__).with_name("modules")
_VERSION = re.compile(r"(?<![\d.])v?(\d+)\.(\d+)\.(\d+)")
_KUBERNETES_STAMPS = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True)
class Component:
    """One program.

    Attributes:
        name: name of the program's file.
        group: folder under `modules` whose go.mod pins it.
        module: the Go module it is part of; go.mod has its version.
        package: its main package within the module.
        seconds: how long its build usually takes on 2 cores, after those before it in COMPONENTS.
        first: the oldest version that does.
        below: the first version that does not do any more; None if any later one does.
        stamps: variables that get the version at link time.
        version_arguments: make the program print its version.
        wrapper: the import path of a main package of our own, in the group's folder, that stands in for the module's.
    """

    name: str
    group: str
    module: str
    package: str
    seconds: int
    first: Version
    below: Version | None = None
    stamps: tuple[str, ...] = ()
    version_arguments: tuple[str, ...] = ("--version",)
    wrapper: str | None = None

    @functools.cached_property
    def version(self) -> str:
        """The version that go.mod pins, such as "v1.36.4"."""
        text = (MODULES / self.group / "go.mod").read_text()
        found = re.search(rf"^(?:require)?\s+{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        assert found, f"modules/{self.group}/go.mod does not require {self.module}"
        return found[1]

    @property
    def import_path(self) -> str:
        """What `go build` is given."""
        return self.wrapper or f"{self.module}/{self.package}".rstrip("/")

    @property
    def wanted(self) -> str:
        """The versions that do, for people."""
        first = ".".join(map(str, self.first))
        return f">= {first}" + (f", < {'.'.join(map(str, self.below))}" if self.below else "")

    @property
    def linker_flags(self) -> str:
        """Flags that leave out debugging symbols and stamp the version."""
        values = [(f"{package}.gitVersion", self.version) for package in self._kubernetes_stamps]
        major, minor, _ = self.version.removeprefix("v").split(".")
        more = {"gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        values += [(f"{package}.{key}", text) for package in self._kubernetes_stamps for key, text in more.items()]
        values += [(stamp, self.version) for stamp in self.stamps]
        return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in values)])

    def accepts(self, version: Version | None) -> bool:
        """Whether a program of this version does; one that does not say its version does not."""
        return version is not None and self.first <= version and (self.below is None or version < self.below)

    def version_of(self, program: Path) -> Version | None:
        """The version that a program says it has; None if it says none."""
        return parse_version(_output([str(program), *self.version_arguments]))

    @property
    def _kubernetes_stamps(self) -> Sequence[str]:
        return _KUBERNETES_STAMPS if self.group == "kubernetes" else ()


def parse_version(text: str) -> Version | None:
    """The first version number of three parts in a program's output."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _kubernetes(name: str, seconds: int, version_arguments: tuple[str, ...] = ("--version",)) -> Component:
    return Component(
        name=name,
        group="kubernetes",
        module="k8s.io/kubernetes",
        package=f"cmd/{name}",
        seconds=seconds,
        first=(1, 36, 0),
        below=(1, 37, 0),
        version_arguments=version_arguments,
    )


# In the order of their builds: later ones find packages that earlier ones have compiled.
COMPONENTS = {
    component.name: component
    for component in [
        Component(
            name="crane",
            group="crane",
            module="github.com/google/go-containerregistry",
            package="cmd/crane",
            seconds=40,
            first=(0, 0, 0),
            stamps=("github.com/google/go-containerregistry/cmd/crane/cmd.Version",),
            version_arguments=("version",),
        ),
        Component(
            name="registry",
            group="registry",
            module="github.com/distribution/distribution/v3",
            package="cmd/registry",
            seconds=75,
            first=(3, 0, 0),
            below=(4, 0, 0),
            stamps=("github.com/distribution/distribution/v3/version.version",),
        ),
        Component(
            name="etcd",
            group="etcd",
            module="go.etcd.io/etcd/server/v3",
            package="",
            seconds=35,
            first=(3, 5, 13),  # older ones answer 500 to consistent reads of recent API servers
        ),
        _kubernetes("kube-apiserver", 230),
        _kubernetes("kube-scheduler", 25),
        _kubernetes("kube-controller-manager", 50),
        _kubernetes("kubectl", 25, ("version", "--client")),
        Component(
            name="kwok",
            group="kwok",
            module="sigs.k8s.io/kwok",
            package="cmd/kwok",
            seconds=70,
            first=(0, 8, 0),
            below=(0, 9, 0),
            stamps=("sigs.k8s.io/kwok/pkg/consts.Version",),
        ),
        Component(
            name="helm",
            group="helm",
            module="helm.sh/helm/v4",
            package="cmd/helm",
            seconds=65,
            first=(4, 2, 0),
            below=(5, 0, 0),
            stamps=("helm.sh/helm/v4/internal/version.version",),
            version_arguments=("version", "--short"),
        ),
        Component(
            name="karpenter-kwok",
            group="karpenter",
            module="sigs.k8s.io/karpenter",
            package="kwok",
            seconds=100,
            first=(1, 14, 0),
            below=(2, 0, 0),
            wrapper="rightarch.dev/tests/controlplane/karpenter",  # its own main package can't tell its version
        ),
    ]
}
