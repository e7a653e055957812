"""Readiness: how much of the cluster can run on an architecture, as the report says it, by what is known already.

Every few minutes workloads and pods are listed, a page at a time; none is kept, and no registry is asked. Which
Deployment a ReplicaSet is of, and which CronJob a Job is of, is told by their names, as their controllers make them:
that takes no right to read them.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from rightarch.cluster import ALIVE, Cluster
from rightarch.controller.census import PODS, Known
from rightarch.controller.workloads import KINDS, Puller, Wanted
from rightarch.metrics import ProcessMetrics
from rightarch.placement import Failure
from rightarch.pod import Pod
from rightarch.reasons import Reason
from rightarch.report import manifests
from rightarch.report.case import Image, Question
from rightarch.report.inventory import Inventory
from rightarch.report.nodes import HARDWARE
from rightarch.report.nodes import Nodes as Machines
from rightarch.report.report import Origin, Total, make
from rightarch.report.workload import Workload
from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes

if TYPE_CHECKING:
    from rightarch.report.verdict import Verdict

ARCHITECTURE: Final = "arm64"
"""The one that the figures are about."""
_RUN: Final = re.compile(r"(?P<name>.+)-[0-9]+", re.ASCII)
_UNKNOWN: Final = Failure(Reason.UNRESOLVED, "it is not known yet")


class Readiness:
    """Judges workloads.

    Args:
        cluster: whose.
        nodes: what it can offer.
        known: tells the platforms of images; of those that are not known the verdict is Unknown.
        rulebook: tells what policies say, and by which labels they select pods.

    Attributes:
        totals: the figures by verdict, as last taken; empty before the first time.
    """

    def __init__(self, cluster: Cluster, nodes: Nodes, known: Known, rulebook: Rulebook) -> None:
        self.totals: Mapping[Verdict, Total] = {}
        self._cluster, self._nodes, self._known, self._rulebook = cluster, nodes, known, rulebook

    async def take(self) -> None:
        """Judge anew.

        Raises:
            ClusterError: what the API server answered.
        """
        workloads = await self._listed()
        images = await self._images(workloads)
        machines = Machines(capacity=self._nodes.capacity, hardware=self._nodes.hardware(HARDWARE))
        asked = Question(ARCHITECTURE, images, machines, guarded=True, policy=self._rulebook.effective)
        report = await asyncio.to_thread(make, workloads, asked, Origin("the cluster"))
        self.totals = report.verdicts

    def expose(self, metrics: ProcessMetrics) -> None:
        """Show the figures."""
        about = f"for {ARCHITECTURE}, as `rightarch report` says it"
        metrics.gauge("rightarch_workloads", f"Workloads by their verdict {about}.", ("verdict",), self._workloads)
        meaning = "{} that the pods of workloads request, by the verdict " + f"{about}."
        metrics.gauge("rightarch_workload_vcpu", meaning.format("vCPUs"), ("verdict",), self._vcpu)
        metrics.gauge("rightarch_workload_memory_bytes", meaning.format("Memory"), ("verdict",), self._memory)

    async def _listed(self) -> Sequence[Workload]:
        """All workloads. What is made of thousands of pods is made in a thread, so that nobody waits for it."""
        inventory = Inventory(selecting=self._rulebook.policies.pod_labels)
        controllers = await self._controllers(inventory)
        async with aclosing(self._cluster.pages(PODS, {"fieldSelector": ALIVE})) as pages:
            async for page, _ in pages:
                for pod in page:
                    inventory.add_pod(_promoted(pod, controllers))
        return await asyncio.to_thread(inventory.workloads)

    async def _controllers(self, inventory: Inventory) -> Mapping[tuple[str, str, str], str]:
        """Have the inventory take the controllers of pods.

        Returns:
            Their identities by namespace, kind and name.
        """
        found: dict[tuple[str, str, str], str] = {}
        for kind in KINDS:
            async with aclosing(self._cluster.pages(kind.path)) as pages:
                async for page, _ in pages:
                    for thing in page:
                        manifests.add(inventory, {**thing, "kind": kind.name})
                        metadata = thing["metadata"]
                        found[metadata["namespace"], kind.name, metadata["name"]] = metadata["uid"]
        return found

    async def _images(self, workloads: Sequence[Workload]) -> Mapping[str, Image]:
        """What is known of each image, to anybody who pulls it."""
        found: dict[str, Image] = {}
        for workload in workloads:
            await asyncio.sleep(0)  # there may be thousands, and others have work to do
            pullers = [Puller(each.namespace, each.account, each.secrets) for each in workload.pullers]
            for name in workload.images:
                if isinstance(found.get(name, _UNKNOWN), Failure):
                    told = (self._known(Wanted(name, puller)) for puller in pullers)
                    found[name] = next((image for image in told if image is not None), _UNKNOWN)
        return found

    def _workloads(self) -> Mapping[tuple[str, ...], float]:
        return {(str(verdict),): float(total.workloads) for verdict, total in self.totals.items()}

    def _vcpu(self) -> Mapping[tuple[str, ...], float]:
        return {(str(verdict),): total.requests.cores for verdict, total in self.totals.items()}

    def _memory(self) -> Mapping[tuple[str, ...], float]:
        return {(str(verdict),): float(total.requests.memory) for verdict, total in self.totals.items()}


def _promoted(pod: Pod, controllers: Mapping[tuple[str, str, str], str]) -> Pod:
    """The pod with the owner of its ReplicaSet or Job as its own, where there is one of the name that fits."""
    metadata: Mapping[str, Any] = pod["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and (above := _above(owner, metadata.get("labels") or {})):
            kind, name = above
            if uid := controllers.get((metadata["namespace"], kind, name)):
                owners = [{**owner, "kind": kind, "name": name, "uid": uid}]
                return {**pod, "metadata": {**metadata, "ownerReferences": owners}}
    return pod


def _above(owner: Mapping[str, str], labels: Mapping[str, str]) -> tuple[str, str] | None:
    """Kind and name of who owns a pod's owner, by how Deployments and CronJobs name what they make."""
    name = owner["name"]
    if owner["kind"] == "ReplicaSet" and (tail := labels.get("pod-template-hash")) and name.endswith(f"-{tail}"):
        return "Deployment", name.removesuffix(f"-{tail}")
    if owner["kind"] == "Job" and (match := _RUN.fullmatch(name)):
        return "CronJob", match["name"]
    return None
