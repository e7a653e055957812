"""The second act: a NodePool for each side, the same Deployments on both, and what Karpenter buys for them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tests.controlplane import wait_for
from tests.support.karpenter import NODE_POOL, PRICE, node_pool, requirement

from .judge import ARCH
from .manifests import APP, manifest
from .purchase import ACT, Bought, Purchase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .manifests import Object
    from .progress import Tell
    from .scenario import Workload
    from .scene import Scene

WITHOUT: Final = "karpenter-without-rightarch"
WITH: Final = "karpenter-with-rightarch"
CPU: Final = "900m"
SETTLE_SECONDS: Final = 60
_CLAIMS: Final = "/apis/karpenter.sh/v1/nodeclaims"
_MACHINE: Final = "node.kubernetes.io/instance-type"


def shop(scene: Scene, tell: Tell) -> tuple[Purchase, Purchase]:
    """Create the Deployments in both namespaces, and return what was bought for each."""
    for namespace in (WITHOUT, WITH):
        scene.resources.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        scene.resources.apply(_pool(namespace))
    wait_for(lambda: all(_is_ready(pool) for pool in scene.list("/apis/karpenter.sh/v1/nodepools")), SETTLE_SECONDS)
    for namespace in (WITHOUT, WITH):
        for workload in ACT:
            scene.create(_deployment(workload, namespace, scene.references))
    expected = 2 * sum(workload.pods for workload in ACT)

    def settled() -> bool:
        placed = sum(_purchase(scene, namespace).pods for namespace in (WITHOUT, WITH))
        tell(f"{placed} of {expected} pods have a node")
        return placed == expected

    try:
        wait_for(settled, SETTLE_SECONDS, pause=0.3)
    except TimeoutError:
        tell("not all pods have a node")
    return _purchase(scene, WITHOUT), _purchase(scene, WITH)


def _pool(namespace: str) -> Object:
    """A NodePool for one namespace alone, which may have either architecture."""
    own = {"key": "for", "value": namespace, "effect": "NoSchedule"}
    return node_pool(
        namespace,
        requirement(ARCH, "In", "amd64", "arm64"),
        requirement("kubernetes.io/os", "In", "linux"),
        requirement("karpenter.sh/capacity-type", "In", "on-demand"),
        labels={"for": namespace},
        taints=[own],
    )


def _deployment(workload: Workload, namespace: str, references: Mapping[str, str]) -> Object:
    """The Deployment of the first act, on nodes of its own."""
    item = manifest(workload, namespace, references)
    spec = item["spec"]["template"]["spec"]
    spec["nodeSelector"] = {"for": namespace}
    spec["tolerations"] = [{"key": "for", "operator": "Equal", "value": namespace, "effect": "NoSchedule"}]
    spec["containers"][0]["resources"] = {"requests": {"cpu": CPU}}
    return item


def _purchase(scene: Scene, namespace: str) -> Purchase:
    labels = (claim["metadata"]["labels"] for claim in scene.list(_CLAIMS))
    bought = [Bought(e[_MACHINE], e[ARCH], float(e[PRICE])) for e in labels if e[NODE_POOL] == namespace and PRICE in e]
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"][ARCH] for node in scene.list("/api/v1/nodes")}
    placed: dict[str, Counter[str]] = {workload.name: Counter() for workload in ACT}
    for pod in scene.list(f"/api/v1/namespaces/{namespace}/pods"):
        if (name := pod["spec"].get("nodeName")) in nodes:
            placed[pod["metadata"]["labels"][APP]][nodes[name]] += 1
    return Purchase(tuple(bought), placed)


def _is_ready(pool: Object) -> bool:
    conditions = pool.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
