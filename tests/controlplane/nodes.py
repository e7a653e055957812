"""Nodes that KWOK simulates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ANNOTATION = "kwok.x-k8s.io/node"


def fake_node(
    name: str,
    architecture: str,
    os: str = "linux",
    *,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] | None = None,
    cpu: str = "8",
    pods: str = "110",
) -> dict[str, Any]:
    """A Node that KWOK makes Ready, and whose pods it makes Running.

    Args:
        name: name of the node, and its kubernetes.io/hostname.
        architecture: value of its kubernetes.io/arch, such as "arm64".
        os: value of its kubernetes.io/os.
        labels: labels beside the usual ones, or in their place.
        taints: entries of spec.taints.
        cpu: how much CPU pods may ask for.
        pods: how many pods there may be.

    Returns:
        The object, as the API takes it.
    """
    usual = {
        "kubernetes.io/arch": architecture,
        "kubernetes.io/os": os,
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": os,
        "kubernetes.io/hostname": name,
    }
    resources = {"cpu": cpu, "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": pods}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": usual | dict(labels or {}),
            "annotations": {ANNOTATION: "fake"},
        },
        "spec": {"taints": [dict(taint) for taint in taints]} if taints else {},
        "status": {
            "capacity": resources,
            "allocatable": dict(resources),
            "nodeInfo": _node_info(architecture, os),
        },
    }


def _node_info(architecture: str, os: str) -> dict[str, str]:
    unknown = ("bootID", "kernelVersion", "kubeProxyVersion", "machineID", "osImage", "systemUUID")
    known = {"containerRuntimeVersion": "containerd://2.2.0", "kubeletVersion": "v1.36.4"}
    return {**dict.fromkeys(unknown, ""), **known, "architecture": architecture, "operatingSystem": os}
