"""Where the scenario is played: any cluster with the scenario's nodes, two namespaces, and the sample images."""

from __future__ import annotations

import abc
import re
from typing import TYPE_CHECKING, Any, Final

from tests.controlplane import fake_node, wait_for
from tests.controlplane.rest import result

from .manifests import manifest
from .scenario import NODES, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from tests.controlplane import Resources

    from .scenario import Workload

WITHOUT: Final = "without-rightarch"
WITH: Final = "with-rightarch"
DECISION: Final = "rightarch.dev/decision"
TEMPLATE: Final = "rightarch.dev/template"

_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
"""A warning of Kubernetes in the header of that name (RFC 7234, 5.5)."""
_PROBES = [next(each for each in WORKLOADS if each.kind == kind) for kind in ("Pod", "DaemonSet")]


class Scene(abc.ABC):
    """A cluster, as the administrator.

    Attributes:
        client: of its REST interface.
        resources: applies objects by it.
        references: the full names of the sample images, the late one among them.
    """

    client: httpx.Client
    resources: Resources
    references: Mapping[str, str]

    @abc.abstractmethod
    def kubectl(self, *args: str) -> str:
        """Run kubectl."""

    @abc.abstractmethod
    def push_late(self) -> None:
        """Push what could not be read so far."""

    def make_cluster(self) -> None:
        """Make the scenario's nodes and the two namespaces, and wait until pods can be created and scheduled."""
        namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (WITHOUT, WITH)]
        for item in (*namespaces, *(fake_node(name, architecture) for name, architecture in NODES.items())):
            self.resources.apply(item)
        wait_for(self._is_complete, seconds=60)

    def create(self, item: dict[str, Any]) -> tuple[str, ...]:
        """Create an object; returns the warnings that came with the answer."""
        response = self.client.post(self.resources.path(item), json=item)
        result(response)
        return tuple(
            re.sub(r"\\(.)", r"\1", text)
            for header in response.headers.get_list("warning")
            for text in _WARNING.findall(header)
        )

    def list(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The objects of a collection."""
        items: list[dict[str, Any]] = result(self.client.get(path, params=query))["items"]
        return items

    def is_called(self, namespace: str) -> bool:
        """Whether what is not really created passes the webhooks: the API server takes a moment to know them."""
        pod, daemon_set = (self._probe(workload, namespace) for workload in _PROBES)
        return DECISION in pod.get("labels", {}) and TEMPLATE in daemon_set.get("annotations", {})

    def _probe(self, workload: Workload, namespace: str) -> dict[str, Any]:
        """The metadata that a workload would get."""
        item = manifest(workload, namespace, self.references)
        answer = result(self.client.post(self.resources.path(item), json=item, params={"dryRun": "All"}))
        metadata: dict[str, Any] = answer["metadata"]
        return metadata

    def _is_complete(self) -> bool:
        accounts = [self.client.get(f"/api/v1/namespaces/{name}/serviceaccounts/default") for name in (WITHOUT, WITH)]
        nodes = [node for node in self.list("/api/v1/nodes") if node["metadata"]["name"] in NODES]
        return all(map(_is_ready, nodes)) and all(answer.is_success for answer in accounts)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", ())
    return not node["spec"].get("taints") and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
