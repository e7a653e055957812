"""The desk: where a workload is read anew, decided on, and changed, if nobody else has changed it since."""

import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, Final

from rightarch import template
from rightarch.cluster import Cluster, ClusterError
from rightarch.controller.managers import Owed, is_applied
from rightarch.controller.workloads import Key, kind_of
from rightarch.gather import all_known, gather
from rightarch.keychains import Keychains
from rightarch.logs import fields
from rightarch.patches import Patch
from rightarch.placement import Decision, decide
from rightarch.policy import Effective
from rightarch.registry import Registry
from rightarch.snapshot import Nodes

LOOKUP_SECONDS: Final = 15.0
"""How long a template's images are waited for: longer than any look-up takes."""

Object = Mapping[str, Any]

log = logging.getLogger(__name__)


class Desk:
    """Reads, decides and changes workloads of all kinds.

    Args:
        cluster: whose workloads.
        registry: where images are looked up.
        keychains: in whose name.
        nodes: what the cluster has.

    Attributes:
        written: templates that were written.
    """

    def __init__(self, cluster: Cluster, registry: Registry, keychains: Keychains, nodes: Nodes) -> None:
        self.written = 0
        self._cluster, self._nodes = cluster, nodes
        self._registry, self._keychains = registry, keychains
        self._owed: dict[Key, Owed] = {}

    @property
    def ready(self) -> bool:
        """Whether enough is known to decide by."""
        return self._nodes.listed

    def forget(self, key: Key) -> None:
        """Forget a workload that is gone."""
        self._owed.pop(key, None)

    async def read(self, key: Key) -> Object | None:
        """The object as it is now. By a list of one: the right to list is there anyway, that to get need not be."""
        path, selector = kind_of(key).path_in(key.namespace), {"fieldSelector": f"metadata.name={key.name}"}
        async with aclosing(self._cluster.pages(path, selector)) as pages:
            async for page, _ in pages:
                for found in page:
                    return found if not found["metadata"].get("deletionTimestamp") else None
        return None

    async def decide(self, workload: Object, policy: Effective) -> Decision:
        """Decide on a workload's template, as soon as its images are known or can't be."""
        pod, namespace = template.pod_of(workload), workload["metadata"]["namespace"]
        keys = await self._keychains.of_template(namespace, pod, partial(all_known, pod, self._registry))
        given = await gather(pod, self._nodes.capacity, self._registry, keys, LOOKUP_SECONDS, policy=policy)
        return decide(replace(given, written=template.written(workload, policy), namespace=namespace))

    async def write(self, key: Key, workload: Object, change: Patch) -> Object:
        """Change a workload; what is taken from who applies it is owed to them.

        Returns:
            The object as it is now.

        Raises:
            ClusterError: 409 where somebody was first, 404 where it is gone, 403 where that is not allowed.
        """
        written = await self._patch(key, workload, change)
        self.written += template.changes_template(change)
        if is_applied(workload):
            self._owed[key] = Owed(workload, written)
        return written

    async def repay(self, key: Key, workload: Object) -> bool:
        """Take no field from who applies the workload; tells whether nothing is left to do.

        What is written after admission is ours in the API server's books, and its author's next server-side apply
        would be refused for the conflict.
        """
        if key not in self._owed:
            return True
        change = self._owed[key].repayment(workload)
        try:
            if change is not None:
                operation = {"op": "replace", "path": "/metadata/managedFields", "value": change}
                await self._patch(key, workload, [operation])
        except ClusterError as error:
            if error.status in {409, 429} or error.status >= 500:
                return False
            log.warning("could not give fields of a workload back", extra=fields(key=str(key), error=str(error)))
        del self._owed[key]
        return True

    async def _patch(self, key: Key, workload: Object, change: Patch) -> Object:
        """Change a workload, if nobody has since it was read."""
        version = workload["metadata"]["resourceVersion"]
        condition = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        path = f"{kind_of(key).path_in(key.namespace)}/{key.name}"
        return await self._cluster.patch(path, "json-patch", [condition, *change])
