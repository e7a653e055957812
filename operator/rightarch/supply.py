"""The supply of nodes, followed: Nodes, and Karpenter's NodePools and NodeClaims where there is a Karpenter.

Karpenter may come and go at any time: while its collections are not there they are empty, which is no failure.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from rightarch.cluster import NODES, Cluster, Object
from rightarch.following import View, follow
from rightarch.snapshot import Nodes

NODE_POOLS: Final = "/apis/karpenter.sh/v1/nodepools"
NODE_CLAIMS: Final = "/apis/karpenter.sh/v1/nodeclaims"

_WHOLE: Final = View(lambda thing: thing)


async def keep(cluster: Cluster, nodes: Nodes, failed: Callable[[], None]) -> None:
    """Keep a picture equal to the cluster, for ever.

    Args:
        cluster: whose nodes.
        nodes: the picture.
        failed: called at each failure, to count them.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(follow(cluster, NODES, nodes, failed, view=NODE))
        group.create_task(follow(cluster, NODE_POOLS, nodes.pools, failed, view=_WHOLE, optional=True))
        group.create_task(follow(cluster, NODE_CLAIMS, nodes.claims, failed, optional=True))


def _scheduled(node: Object) -> Mapping[str, Any]:
    """What the scheduler looks at: the images that a Node has are most of it."""
    metadata, spec = node["metadata"], node.get("spec") or {}
    return {
        "metadata": {"name": metadata["name"], "labels": metadata.get("labels")},
        "spec": {"taints": spec.get("taints"), "unschedulable": spec.get("unschedulable")},
    }


NODE: Final = View(_scheduled)
"""What is kept of a Node while a long list is read. Taints are no metadata, so that whole Nodes are asked for."""
