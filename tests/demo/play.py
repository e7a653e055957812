"""Playing the scenario in a namespace: create the workloads as a user would, wait, and say what was seen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.controlplane import wait_for

from .judge import Seen, SeenPod
from .manifests import APP, manifest
from .scenario import WORKLOADS, Expected
from .scene import DECISION, TEMPLATE, WITH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .manifests import Object
    from .progress import Tell
    from .scenario import Workload
    from .scene import Scene

SETTLE_SECONDS = 60


def play(scene: Scene, namespace: str, tell: Tell) -> list[Seen]:
    """Create all workloads in a namespace, and return what became of them."""
    warnings = {workload.name: _create(scene, namespace, workload) for workload in WORKLOADS}
    if namespace == WITH:
        scene.push_late()
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
    expected = {each.name: each.pods if namespace == WITH else each.expected_without for each in WORKLOADS}
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in scene.list("/api/v1/nodes")}
    pods: dict[str, list[SeenPod]] = {}

    def look() -> bool:
        pods.update(_pods(scene, namespace, nodes))
        settled = {each.name: sum(_is_final(each, pod) for pod in pods[each.name]) for each in WORKLOADS}
        tell(f"{sum(settled.values())} pods settled; {sum(expected.values())} are to come")
        return settled == expected == {name: len(found) for name, found in pods.items()}

    try:
        wait_for(look, SETTLE_SECONDS, pause=0.2)
    except TimeoutError:
        tell("not all pods settled")
    return pods


def _is_final(workload: Workload, pod: SeenPod) -> bool:
    """Whether nothing more is to come: the scheduler may find no node for a moment while it learns of them."""
    return pod.settled and (pod.node is not None or workload.expected is Expected.PENDING)


def _pods(scene: Scene, namespace: str, nodes: Mapping[str, Object]) -> dict[str, list[SeenPod]]:
    """The pods by workload, but for those that are about to go."""
    pods: dict[str, list[SeenPod]] = {workload.name: [] for workload in WORKLOADS}
    sets = scene.list(f"/apis/apps/v1/namespaces/{namespace}/daemonsets", labelSelector=APP)
    templates = {each["metadata"]["name"]: each for each in sets}
    for pod in scene.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=APP):
        if not pod["metadata"].get("deletionTimestamp"):
            app = pod["metadata"]["labels"][APP]
            pods[app].append(_seen(pod, nodes, templates.get(app)))
    return pods


def _seen(pod: Object, nodes: Mapping[str, Object], daemon_set: Object | None) -> SeenPod:
    node = pod["spec"].get("nodeName")
    scheduled = (c for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled")
    seen = SeenPod(
        name=pod["metadata"]["name"],
        phase=pod["status"]["phase"],
        node=node,
        architecture=nodes[node]["kubernetes.io/arch"] if node else None,
        unschedulable=any(condition.get("reason") == "Unschedulable" for condition in scheduled),
        reason=pod["metadata"]["labels"].get(DECISION),
        spec=pod["spec"],
    )
    return seen if daemon_set is None else _by_template(seen, daemon_set)


def _by_template(seen: SeenPod, daemon_set: Object) -> SeenPod:
    """A pod with what was decided on its DaemonSet: of itself it only tells its node."""
    record = json.loads(daemon_set["metadata"].get("annotations", {}).get(TEMPLATE, "{}"))
    affinity = daemon_set["spec"]["template"]["spec"].get("affinity", {})
    return replace(seen, reason=record.get("reason"), spec={**seen.spec, "affinity": affinity})
