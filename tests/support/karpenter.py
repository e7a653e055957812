"""Karpenter beside a control plane: its kwok provider, which provisions as on a cloud, on nodes that KWOK runs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any, Final, Self

import yaml

from tests.controlplane import Process, binary, free_port, wait_for
from tests.controlplane.process import clean_environment
from tests.support import instance_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.controlplane import ControlPlane

    Object = dict[str, Any]

PROGRAM: Final = "karpenter-kwok"
NODE_CLASS: Final = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}
VERSION: Final = "karpenter.sh/v1"
NODE_POOL: Final = "karpenter.sh/nodepool"
PRICE: Final = "eks-node-viewer/instance-price"
"""The label in which the kwok provider says what a node costs, in dollars per hour."""
DEFINED_SECONDS: Final = 120


class Karpenter:
    """Runs Karpenter as a context manager; ready when it watches the cluster.

    Args:
        plane: a running control plane with KWOK.
        folder: where its log and its instance types go.
        environment: settings of Karpenter beside the usual ones, such as PREFERENCE_POLICY.
    """

    def __init__(self, plane: ControlPlane, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._plane = plane
        health, types = free_port(), folder / "instance-types.json"
        instance_types.write(types)
        settings = {
            "KUBECONFIG": str(plane.kubeconfig),
            "DISABLE_LEADER_ELECTION": "true",
            "METRICS_PORT": str(free_port()),
            "HEALTH_PROBE_PORT": str(health),
            "BATCH_IDLE_DURATION": "1s",
            "BATCH_MAX_DURATION": "30s",  # pods of a test come together, however busy the machine is
            "DISABLE_CLUSTER_STATE_OBSERVABILITY": "true",
            "KUBE_CLIENT_QPS": "60",
            "KUBE_CLIENT_BURST": "120",
        }
        self.process = Process(
            "Karpenter",
            [binary(PROGRAM), f"--instance-types-file-path={types}"],
            log=folder / "karpenter.log",
            ready=f"http://127.0.0.1:{health}/readyz",
            environment=settings | dict(environment or {}),
            folder=folder,
        )

    def __enter__(self) -> Self:
        define(self._plane)
        self._plane.apply(
            {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "default"}}
        )
        self.process.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()


def definitions() -> list[Object]:
    """The custom resource definitions of the Karpenter that is built."""
    done = subprocess.run(
        [binary(PROGRAM), "crds"], env=clean_environment(), capture_output=True, text=True, check=True
    )
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def define(plane: ControlPlane) -> None:
    """Apply Karpenter's custom resource definitions, and wait until they are served."""
    names = [each["metadata"]["name"] for each in plane.apply(*definitions())]
    wait_for(lambda: all(_established(plane, name) for name in names), DEFINED_SECONDS)


def undefine(plane: ControlPlane) -> None:
    """Delete Karpenter's custom resource definitions, and with them all that is of their kinds."""
    plane.undefine(*(each["metadata"]["name"] for each in definitions()))


def _established(plane: ControlPlane, name: str) -> bool:
    path = '{.status.conditions[?(@.type=="Established")].status}'
    return plane.kubectl("get", "crd", name, "-o", f"jsonpath={path}") == "True"


def requirement(key: str, operator: str, *values: str) -> Object:
    """A requirement of a NodePool's template."""
    return {"key": key, "operator": operator} | ({"values": list(values)} if values else {})


def node_pool(
    name: str,
    *requirements: Object,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    startup_taints: Sequence[Mapping[str, str]] = (),
    limits: Mapping[str, str] | None = None,
    weight: int | None = None,
    consolidate_after: str = "Never",
    node_class: str = "default",
) -> Object:
    """A NodePool of the kwok provider.

    Args:
        name: of the NodePool.
        requirements: of its template.
        labels: of its nodes.
        taints: of its nodes, for good.
        startup_taints: of its nodes until somebody takes them off.
        limits: how much of each resource its nodes may have in all.
        weight: NodePools of more weight are tried first.
        consolidate_after: how long after the last change of its pods a node may be consolidated.
        node_class: the name of its KWOKNodeClass.
    """
    spec: Object = {"nodeClassRef": NODE_CLASS | {"name": node_class}, "requirements": list(requirements)}
    if taints:
        spec["taints"] = [dict(taint) for taint in taints]
    if startup_taints:
        spec["startupTaints"] = [dict(taint) for taint in startup_taints]
    template: Object = {"metadata": {"labels": dict(labels or {})}, "spec": spec}
    disruption = {"consolidateAfter": consolidate_after, "budgets": [{"nodes": "100%"}]}
    pool: Object = {"template": template, "disruption": disruption}
    if limits:
        pool["limits"] = dict(limits)
    if weight is not None:
        pool["weight"] = weight
    return {"apiVersion": VERSION, "kind": "NodePool", "metadata": {"name": name}, "spec": pool}
