"""Targets: the workloads that a command is told of, in files or by their names in a cluster."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rightarch.cli.clusters import UNAUTHORIZED
from rightarch.cli.clusters import read as read_object
from rightarch.cluster import Cluster, ClusterError
from rightarch.errors import RightarchError, SettingsError
from rightarch.manifests import KINDS, Manifests, Unreadable, Workload, read, workload

STDIN: Final = "-"
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_NAMES: Final = {
    ("", "Pod"): ("pods", "pod", "po"),
    ("", "PodTemplate"): ("podtemplates", "podtemplate"),
    ("", "ReplicationController"): ("replicationcontrollers", "replicationcontroller", "rc"),
    ("apps", "DaemonSet"): ("daemonsets", "daemonset", "ds"),
    ("apps", "Deployment"): ("deployments", "deployment", "deploy"),
    ("apps", "ReplicaSet"): ("replicasets", "replicaset", "rs"),
    ("apps", "StatefulSet"): ("statefulsets", "statefulset", "sts"),
    ("batch", "CronJob"): ("cronjobs", "cronjob", "cj"),
    ("batch", "Job"): ("jobs", "job"),
}
"""The names by which kubectl knows a kind, the one of its collection first."""


class NotThere(RightarchError):
    """The cluster has no such workload, or does not let it be read."""


def of_files(files: Sequence[str]) -> list[tuple[str, str, Manifests]]:
    """What files hold, each with its name and its text.

    Args:
        files: their names; ``-`` is the standard input, and a folder stands for the manifests in it, as for kubectl.

    Raises:
        Unreadable: a file can't be read, or holds no manifests.
    """
    return [(file, text, read(text, shown(file))) for file, text in texts(files)]


def texts(files: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The names and texts of files, likewise.

    Raises:
        Unreadable: a file can't be read.
    """
    return ((file, _text(file)) for file in _expanded(files))


def _expanded(files: Sequence[str]) -> list[str]:
    expanded = list[str]()
    for file in files:
        if file == STDIN or not Path(file).is_dir():
            expanded.append(file)
            continue
        there = _folder(file)
        if not there:
            raise Unreadable(f"{file}: there is no file of manifests in this folder, *.yaml, *.yml or *.json")
        expanded += there
    return expanded


def _folder(folder: str) -> list[str]:
    """The files of manifests in a folder, and in none below it, as kubectl takes them."""
    try:
        found = [each for each in Path(folder).iterdir() if each.suffix in _SUFFIXES and not each.is_dir()]
    except OSError as error:
        raise Unreadable(f"{folder}: {error.strerror}; name a folder that you may list") from None
    return sorted(map(str, found))


def _text(file: str) -> str:
    """A file's text, with the line ends that it has."""
    try:
        if file == STDIN:
            return sys.stdin.buffer.read().decode()
        with Path(file).open(encoding="utf-8", newline="") as opened:
            return opened.read()
    except UnicodeDecodeError as error:
        raise Unreadable(f"{shown(file)}: this is no text in UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise Unreadable(
            f"{shown(file)}: {error.strerror}; name a file of manifests, or - for the standard input"
        ) from None


def shown(file: str) -> str:
    """The name of a file, for people."""
    return "<stdin>" if file == STDIN else file


def parse(name: str) -> tuple[str, str, str]:
    """The group, kind and name of ``POD`` or ``KIND/NAME``, as kubectl spells kinds.

    Raises:
        SettingsError: the kind is none that has pods.
    """
    kind, slash, rest = name.partition("/")
    if not slash:
        return "", "Pod", name
    plain = kind.lower().partition(".")[0]
    for (group, full), names in _NAMES.items():
        if plain in names and rest:
            return group, full, rest
    known = ", ".join(names[1] for names in _NAMES.values())
    raise SettingsError(f"{name!r} is no POD and no KIND/NAME: the kinds are {known}")


async def of_cluster(cluster: Cluster, name: str, namespace: str) -> Workload:
    """A workload by its name.

    Raises:
        NotThere: there is none, or no right to read it.
    """
    group, kind, own = parse(name)
    prefix = f"/apis/{group}/v1" if group else "/api/v1"
    path = f"{prefix}/namespaces/{namespace}/{_NAMES[group, kind][0]}/{own}"
    try:
        thing: dict[str, Any] = await read_object(cluster, path)
    except ClusterError as error:
        if error.status == UNAUTHORIZED:
            raise
        raise NotThere(f"{kind.lower()}/{own} in namespace {namespace}: {error.reason}") from None
    version = f"{group}/v1" if group else "v1"
    found = workload({"apiVersion": version, "kind": kind, **thing}, f"namespace {namespace}")
    assert found is not None, f"{kind} is among {KINDS}"
    return replace(found, namespace=namespace)
