"""Playing the scenario in a namespace: create the workloads as a user would, wait, and say what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.controlplane import wait_for

from .judge import Seen, SeenPod
from .manifests import APP, manifest
from .scenario import WORKLOADS, Expected
from .scene import DECISION

if TYPE_CHECKING:
    from .progress import Tell
    from .scenario import Workload
    from .scene import Scene

SETTLE_SECONDS = 40


def play(scene: Scene, namespace: str, tell: Tell) -> list[Seen]:
    """Create all workloads in a namespace, and return what became of them."""
    warnings = {workload.name: _create(scene, namespace, workload) for workload in WORKLOADS}
    pods = _settled(scene, namespace, tell)
    return [Seen(workload, tuple(pods[workload.name]), warnings[workload.name]) for workload in WORKLOADS]


def _create(scene: Scene, namespace: str, workload: Workload) -> tuple[str, ...]:
    warnings = scene.create(manifest(workload, namespace, scene.references))
    if workload.kind == "CronJob":
        run = f"{workload.name}-by-hand"
        scene.kubectl("create", "job", run, f"--from=cronjob/{workload.name}", f"--namespace={namespace}")
    return warnings


def _settled(scene: Scene, namespace: str, tell: Tell) -> dict[str, list[SeenPod]]:
    """The pods by workload, when nothing more is to come, or has come in time: the judge says what is missing."""
    expected = sum(workload.pods for workload in WORKLOADS)
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in scene.list("/api/v1/nodes")}
    pods: dict[str, list[SeenPod]] = {}

    def look() -> bool:
        pods.update({workload.name: [] for workload in WORKLOADS})
        for pod in scene.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=APP):
            pods[pod["metadata"]["labels"][APP]].append(_seen(pod, nodes))
        settled = sum(_is_final(workload, pod) for workload in WORKLOADS for pod in pods[workload.name])
        tell(f"{settled} of {expected} pods settled")
        return settled >= expected

    try:
        wait_for(look, SETTLE_SECONDS, pause=0.2)
    except TimeoutError:
        tell("not all pods settled")
    return pods


def _is_final(workload: Workload, pod: SeenPod) -> bool:
    """Whether nothing more is to come: the scheduler may find no node for a moment while it learns of them."""
    return pod.settled and (pod.node is not None or workload.expected is Expected.PENDING)


def _seen(pod: dict[str, Any], nodes: dict[str, dict[str, str]]) -> SeenPod:
    node = pod["spec"].get("nodeName")
    scheduled = (c for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled")
    return SeenPod(
        name=pod["metadata"]["name"],
        phase=pod["status"]["phase"],
        node=node,
        architecture=nodes[node]["kubernetes.io/arch"] if node else None,
        unschedulable=any(condition.get("reason") == "Unschedulable" for condition in scheduled),
        reason=pod["metadata"]["labels"].get(DECISION),
        spec=pod["spec"],
    )
