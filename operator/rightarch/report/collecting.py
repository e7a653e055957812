"""Collecting: the objects of a cluster, a page at a time, as far as somebody may read them.

What may not be read is left out and told in a note; what a report can't do without is an error.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rightarch import crds
from rightarch.capacity import NodePool, sighting
from rightarch.cluster import ALIVE, NODES, Cluster, ClusterError
from rightarch.facts import PATH as FACTS
from rightarch.facts import Fact
from rightarch.facts.fact import read as read_fact
from rightarch.platforms import ImagePlatforms
from rightarch.policy import Kind, Policy
from rightarch.registry import ANONYMOUS
from rightarch.report import manifests
from rightarch.report.inventory import Inventory
from rightarch.report.nodes import Node, Nodes
from rightarch.report.omissions import Omission
from rightarch.report.owners import Owners
from rightarch.report.reading import ABSENT, NAMESPACES, REFUSED, Reading
from rightarch.report.scopes import Scopes
from rightarch.report.usage import usage
from rightarch.report.workload import Workload
from rightarch.rulebook import Rulebook
from rightarch.supply import NODE_CLAIMS, NODE_POOLS

_WEBHOOKS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_EXPIRED: Final = 410


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of controllers of pods, and whether its objects are read whole or their metadata alone."""

    name: str
    group: str
    plural: str
    whole: bool = True


_KINDS: Final = (
    _Kind("Deployment", "apis/apps/v1", "deployments"),
    _Kind("StatefulSet", "apis/apps/v1", "statefulsets"),
    _Kind("DaemonSet", "apis/apps/v1", "daemonsets"),
    _Kind("ReplicaSet", "apis/apps/v1", "replicasets", whole=False),
    _Kind("CronJob", "apis/batch/v1", "cronjobs"),
    _Kind("Job", "apis/batch/v1", "jobs"),
)


_NODES: Final = Omission("Nodes", "which pods are misplaced or exposed, taints and prices can't be told")
_POOLS, _CLAIMS = (
    Omission(kinds, "machines that Karpenter would buy are not reckoned with") for kinds in ("NodePools", "NodeClaims")
)
_POLICIES: Final = "workloads are judged as if there were no policy"
_FACTS: Final = Omission("ImagePlatforms", "what the cluster knows of images is asked of their registries again")
_HOOKS: Final = Omission(
    "MutatingWebhookConfigurations",
    "whether Rightarch is asked about new pods is not known, and their risk is told as if it were not",
)
_LABELS: Final = Omission("Namespaces", "policies that select them by their labels are taken to select none")
_CONTROLLERS: Final = "those without pods are left out, and owners of pods may be"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pods are wanted.

    Attributes:
        namespaces: those that were named; empty for all that may be read.
        labels: a selector, as the API has it; empty for all.
        home: the namespace to take where not even their names may be read.
        price_label: a label of nodes that tells their price.
    """

    namespaces: tuple[str, ...] = ()
    labels: str = ""
    home: str = "default"
    price_label: str | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """What was read.

    Attributes:
        facts: the platforms of images that the cluster knows, by canonical reference.
        guarded: whether Rightarch's admission is asked about pods.
        notes: what could not be read, and what that means, for people.
        rulebook: the policies.
        sighted: whether the nodes could be read, by which alone it can be told what is at risk.
    """

    workloads: Sequence[Workload]
    nodes: Nodes
    facts: Mapping[str, ImagePlatforms] = field(default_factory=dict)
    guarded: bool = False
    notes: tuple[str, ...] = ()
    rulebook: Rulebook = field(default_factory=Rulebook)
    sighted: bool = True


async def collect(cluster: Cluster, wanted: Selection) -> Collected:
    """Read what is wanted.

    Raises:
        RightarchError: no pods may be read at all, or a namespace that was named is not there.
        ClusterError: what the API server answered.
    """
    try:
        return await _Collector(cluster, wanted).run()
    except ClusterError as error:
        if error.status != _EXPIRED:
            raise
    return await _Collector(cluster, wanted).run()  # the pages of a list were too old to go on: once more


class _Collector:
    """One run."""

    def __init__(self, cluster: Cluster, wanted: Selection) -> None:
        self._reading, self._wanted = Reading(cluster), wanted
        self._sighted = True

    async def run(self) -> Collected:
        """Read everything; what does not depend on one another at the same time."""
        reading = self._reading
        scopes = await Scopes(reading, self._wanted.namespaces, self._wanted.home).find()
        nodes, facts, guarded, used, rulebook = await asyncio.gather(
            self._nodes(), self._facts(), self._guarded(), usage(reading, scopes), self._rulebook(scopes)
        )
        inventory = Inventory(usage=used, selecting=rulebook.policies.pod_labels)
        chosen = await self._fill(inventory, scopes)
        await Owners(reading, scopes).follow(inventory)
        workloads = await asyncio.to_thread(inventory.workloads, chosen)
        if guarded is None and self._sighted:  # without Nodes there is no risk that it could change
            reading.omissions.add(_HOOKS)
        return Collected(workloads, nodes, facts, bool(guarded), reading.notes, rulebook, self._sighted)

    async def _nodes(self) -> Nodes:
        try:
            found = [Node.of(raw, self._wanted.price_label) async for raw in self._reading.objects(NODES)]
        except ClusterError as error:
            if error.status != REFUSED:
                raise
            self._reading.omissions.add(_NODES)
            found, self._sighted = [], False
        pools = [NodePool.of(raw) for raw in await self._reading.optional(NODE_POOLS, _POOLS)]
        claims = [thing["metadata"].get("labels") or {} for thing in await self._reading.optional(NODE_CLAIMS, _CLAIMS)]
        return Nodes(found, pools, [seen for labels in claims if (seen := sighting(labels))])

    async def _rulebook(self, scopes: Sequence[str]) -> Rulebook:
        """The policies that may be read, and the labels of namespaces, by which they select."""
        book = Rulebook()
        own = crds.ARCHITECTURE_POLICIES
        paths = {Kind.CLUSTER: [crds.CLUSTER_ARCHITECTURE_POLICIES.path]}
        paths[Kind.NAMESPACED] = [f"/apis/{crds.API_VERSION}/{scope}{own.plural}" for scope in scopes]
        for kind, each in paths.items():
            omission = Omission(f"{kind.full.removesuffix('y')}ies", _POLICIES)
            found = [raw for path in each for raw in await self._reading.optional(path, omission)]
            book.shelves[kind].replace([Policy.of(kind, raw) for raw in found])
        if any(map(len, book.shelves.values())):
            book.namespaces.replace(await self._reading.optional(NAMESPACES, _LABELS))
        return book

    async def _facts(self) -> Mapping[str, ImagePlatforms]:
        """What the cluster knows of images. Whoever may list it may know it: the answer of any scope will do."""
        found: dict[str, Fact] = {}
        try:
            async for thing in self._reading.objects(FACTS):
                fact = read_fact(thing)
                if isinstance(fact, Fact) and fact.answers and _better(fact, found.get(fact.key[1])):
                    found[fact.key[1]] = fact
        except ClusterError as error:
            await self._reading.omit(error, FACTS, _FACTS)
        return {reference: fact.image for reference, fact in found.items()}

    async def _guarded(self) -> bool | None:
        """Whether Rightarch is asked about new pods; None where that can't be told."""
        try:
            configurations = [thing async for thing in self._reading.objects(_WEBHOOKS)]
        except ClusterError as error:
            if error.status != REFUSED:
                raise
            return None
        names = (hook.get("name", "") for each in configurations for hook in each.get("webhooks") or ())
        return any(name.endswith(".rightarch.dev") for name in names)

    async def _fill(self, inventory: Inventory, scopes: Sequence[str]) -> frozenset[str] | None:
        """Have the inventory take pods and their controllers.

        Returns:
            The identities of controllers that count without pods; None for all.
        """
        query = {"fieldSelector": ALIVE} | ({"labelSelector": self._wanted.labels} if self._wanted.labels else {})
        chosen: set[str] = set()
        reads = [self._pods(inventory, scope, query) for scope in scopes]
        reads += [self._controllers(inventory, kind, scope) for kind in _KINDS for scope in scopes]
        if self._wanted.labels:
            reads += [self._chosen(chosen, kind, scope) for kind in _KINDS for scope in scopes]
        await asyncio.gather(*reads)
        return frozenset(chosen) if self._wanted.labels else None

    async def _pods(self, inventory: Inventory, scope: str, query: Mapping[str, object]) -> None:
        async with self._reading.slots:
            async for pod in self._reading.objects(f"/api/v1/{scope}pods", query):
                inventory.add_pod(pod)

    async def _controllers(self, inventory: Inventory, kind: _Kind, scope: str) -> None:
        try:
            async with self._reading.slots:
                async for thing in self._reading.objects(
                    f"/{kind.group}/{scope}{kind.plural}", metadata=not kind.whole
                ):
                    manifests.add(inventory, {**thing, "kind": kind.name})
        except ClusterError as error:
            if error.status not in {REFUSED, ABSENT}:
                raise
            self._reading.omissions.add(Omission(f"{kind.name}s", _CONTROLLERS))

    async def _chosen(self, chosen: set[str], kind: _Kind, scope: str) -> None:
        """Note the controllers that have the wanted labels themselves."""
        query = {"labelSelector": self._wanted.labels}
        try:
            async with self._reading.slots:
                async for thing in self._reading.objects(f"/{kind.group}/{scope}{kind.plural}", query, metadata=True):
                    chosen.add(thing["metadata"]["uid"])
        except ClusterError as error:
            if error.status not in {REFUSED, ABSENT}:
                raise


def _better(fact: Fact, held: Fact | None) -> bool:
    """Whether a fact is to be believed rather than the one of another scope: what everybody may know, then news."""
    if held is None:
        return True
    return (fact.key[0] == ANONYMOUS, fact.learned_at) > (held.key[0] == ANONYMOUS, held.learned_at)
