"""Collecting: the objects of a cluster, a page at a time, as far as somebody may read them.

What may not be read is left out and told in a note; what a report can't do without is an error.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from rightarch import crds
from rightarch.capacity import NodePool, sighting
from rightarch.cluster import ALIVE, NODES, Cluster, ClusterError
from rightarch.errors import RightarchError
from rightarch.facts import PATH as FACTS
from rightarch.facts import Fact
from rightarch.facts.fact import read as read_fact
from rightarch.platforms import ImagePlatforms
from rightarch.policy import Kind, Policy
from rightarch.registry import ANONYMOUS
from rightarch.report import manifests
from rightarch.report.inventory import Inventory
from rightarch.report.nodes import Node, Nodes
from rightarch.report.omissions import Omission, Omissions
from rightarch.report.resources import Resources
from rightarch.report.workload import Workload
from rightarch.rulebook import Rulebook
from rightarch.supply import NODE_CLAIMS, NODE_POOLS

Object = Mapping[str, Any]

NAMESPACES: Final = "/api/v1/namespaces"
_WEBHOOKS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_USAGE: Final = "/apis/metrics.k8s.io/v1beta1"
_REFUSED: Final = 403
_ABSENT: Final = 404
_EXPIRED: Final = 410
_AT_A_TIME: Final = 6
"""Lists that are read at the same time."""
_MAX_ROUNDS: Final = 8
"""Kinds of owners above each other that are looked for."""
_SHOWN: Final = 8
_VERSION: Final = re.compile(r"(?!.*\.\.)([a-z0-9][a-z0-9.-]*/)?[a-z][a-z0-9-]*", re.ASCII)
"""An ``apiVersion`` that leads to resources of an API: authors of pods choose that of an owner."""


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
        self._cluster, self._wanted = cluster, wanted
        self._notes: list[str] = []
        self._omissions = Omissions()
        self._tops: list[str] = []
        self._sighted = True
        self._unnamed = False
        self._slots = asyncio.Semaphore(_AT_A_TIME)

    async def run(self) -> Collected:
        """Read everything; what does not depend on one another at the same time."""
        await self._check_namespaces()
        scopes = await self._scopes()
        nodes, facts, guarded, usage, rulebook = await asyncio.gather(
            self._nodes(), self._facts(), self._guarded(), self._usage(scopes), self._rulebook(scopes)
        )
        inventory = Inventory(usage=usage, selecting=rulebook.policies.pod_labels)
        chosen = await self._fill(inventory, scopes)
        await self._owners(inventory, scopes)
        workloads = await asyncio.to_thread(inventory.workloads, chosen)
        told = self._told(guarded)
        return Collected(workloads, nodes, facts, bool(guarded), told, rulebook, self._sighted)

    def _told(self, guarded: bool | None) -> tuple[str, ...]:
        """All notes."""
        if guarded is None and self._sighted:  # without Nodes there is no risk that it could change
            self._omissions.add(_HOOKS)
        return (*self._notes, *self._omissions.notes)

    async def _check_namespaces(self) -> None:
        """Look whether those that were named are there: an empty list of pods would be told of any name.

        Raises:
            RightarchError: one is not.
        """
        there = await asyncio.gather(*map(self._is_there, self._wanted.namespaces))
        if missing := [name for name, found in zip(self._wanted.namespaces, there, strict=True) if not found]:
            raise RightarchError(f"there is no namespace {_listed(missing)} in this cluster: name another -n")

    async def _is_there(self, namespace: str) -> bool:
        """Whether a namespace is there, or may be: not everybody may read it."""
        async with self._slots:
            try:
                await self._cluster.read(f"{NAMESPACES}/{namespace}")
            except ClusterError as error:
                if error.status not in {_REFUSED, _ABSENT}:
                    raise
                return error.status != _ABSENT
        return True

    async def _scopes(self) -> list[str]:
        """Where lists are read: of the whole cluster (an empty text), or of the namespaces that may be read."""
        if not self._wanted.namespaces and await self._may_list(""):
            return [""]
        named = tuple(dict.fromkeys(self._wanted.namespaces)) or await self._names()
        allowed = await asyncio.gather(*(self._may_list(f"namespaces/{name}/") for name in named))
        refused = [name for name, may in zip(named, allowed, strict=True) if not may]
        if len(refused) == len(named):
            raise RightarchError(self._without_pods(refused))
        if refused:
            self._notes.append(
                f"{len(refused)} of {len(named)} namespaces may not be read and are left out: {_listed(refused)}"
            )
        return [f"namespaces/{name}/" for name, may in zip(named, allowed, strict=True) if may]

    def _without_pods(self, refused: Sequence[str]) -> str:
        """What to tell whoever may list no pods; that a namespace was never named is told first."""
        if not self._wanted.namespaces and self._unnamed:
            return "you may list neither the pods of all namespaces nor the namespaces: name yours by -n"
        return f"you may not list pods in {_listed(refused)}: ask for the right to list pods, or name another -n"

    async def _may_list(self, scope: str) -> bool:
        async with self._slots:
            try:
                await self._cluster.read(f"/api/v1/{scope}pods?limit=1")
            except ClusterError as error:
                if error.status != _REFUSED:
                    raise
                return False
        return True

    async def _names(self) -> Sequence[str]:
        """The namespaces, or the one that is at hand where they may not be listed."""
        try:
            return [thing["metadata"]["name"] async for thing in self._listed(NAMESPACES, metadata=True)]
        except ClusterError as error:
            if error.status != _REFUSED:
                raise
        self._unnamed = True
        self._notes.append(f"the namespaces may not be listed: only {self._wanted.home} is read; name others by -n")
        return [self._wanted.home]

    async def _nodes(self) -> Nodes:
        try:
            found = [Node.of(raw, self._wanted.price_label) async for raw in self._listed(NODES)]
        except ClusterError as error:
            if error.status != _REFUSED:
                raise
            self._omissions.add(_NODES)
            found, self._sighted = [], False
        pools = [NodePool.of(raw) for raw in await self._optional(NODE_POOLS, _POOLS)]
        claims = [thing["metadata"].get("labels") or {} for thing in await self._optional(NODE_CLAIMS, _CLAIMS)]
        return Nodes(found, pools, [seen for labels in claims if (seen := sighting(labels))])

    async def _optional(self, path: str, omission: Omission) -> list[Object]:
        """The objects of a kind that need not be there; none where they may not be read, which is told."""
        try:
            return [thing async for thing in self._listed(path)]
        except ClusterError as error:
            await self._omit(error, path, omission)
            return []

    async def _omit(self, error: ClusterError, path: str, omission: Omission) -> None:
        """Do without a kind that may not be read, or is not there.

        Raises:
            ClusterError: the one that is given, where it says something else.
        """
        if error.status not in {_REFUSED, _ABSENT}:
            raise error
        if error.status == _REFUSED and await self._is_served(path):
            self._omissions.add(omission)

    async def _is_served(self, path: str) -> bool:
        """Whether a collection that is refused is there at all: the API server looks at rights first."""
        if path.startswith("/api/"):
            return True
        try:
            await self._cluster.read("/".join(path.split("/")[:4]))
        except ClusterError as error:
            return error.status != _ABSENT
        return True

    async def _rulebook(self, scopes: Sequence[str]) -> Rulebook:
        """The policies that may be read, and the labels of namespaces, by which they select."""
        book = Rulebook()
        own = crds.ARCHITECTURE_POLICIES
        paths = {Kind.CLUSTER: [crds.CLUSTER_ARCHITECTURE_POLICIES.path]}
        paths[Kind.NAMESPACED] = [f"/apis/{crds.API_VERSION}/{scope}{own.plural}" for scope in scopes]
        for kind, each in paths.items():
            omission = Omission(f"{kind.full.removesuffix('y')}ies", _POLICIES)
            found = [raw for path in each for raw in await self._optional(path, omission)]
            book.shelves[kind].replace([Policy.of(kind, raw) for raw in found])
        if any(map(len, book.shelves.values())):
            book.namespaces.replace(await self._optional(NAMESPACES, _LABELS))
        return book

    async def _facts(self) -> Mapping[str, ImagePlatforms]:
        """What the cluster knows of images. Whoever may list it may know it: the answer of any scope will do."""
        found: dict[str, Fact] = {}
        try:
            async for thing in self._listed(FACTS):
                fact = read_fact(thing)
                if isinstance(fact, Fact) and fact.answers and _better(fact, found.get(fact.key[1])):
                    found[fact.key[1]] = fact
        except ClusterError as error:
            await self._omit(error, FACTS, _FACTS)
        return {reference: fact.image for reference, fact in found.items()}

    async def _guarded(self) -> bool | None:
        """Whether Rightarch is asked about new pods; None where that can't be told."""
        try:
            configurations = [thing async for thing in self._listed(_WEBHOOKS)]
        except ClusterError as error:
            if error.status != _REFUSED:
                raise
            return None
        names = (hook.get("name", "") for each in configurations for hook in each.get("webhooks") or ())
        return any(name.endswith(".rightarch.dev") for name in names)

    async def _usage(self, scopes: Sequence[str]) -> Mapping[tuple[str, str], Resources]:
        """What pods use, by namespace and name; nothing where no server of metrics is there.

        It is a server beside the API server, which may hang or say anything: it can't end the report, and once it
        fails it is not asked again. Its lists have no pages.
        """
        found: dict[tuple[str, str], Resources] = {}
        try:
            for scope in scopes:
                await self._used(found, scope)
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever is made of the answer
            if not isinstance(error, ClusterError) or error.status != _ABSENT:
                self._note(f"what pods use can't be told, since the metrics API fails: {_said(error)}")
        return found

    async def _used(self, found: dict[tuple[str, str], Resources], scope: str) -> None:
        """Add what the pods of a scope use."""
        try:
            page = await self._cluster.read(f"{_USAGE}/{scope}pods")
        except ClusterError as error:
            if error.status != _REFUSED:
                raise
            if await self._is_served(_USAGE):
                self._note("what pods use may not be read, or not in all namespaces")
            return
        for item in page.get("items") or ():
            key = item["metadata"].get("namespace", ""), item["metadata"].get("name", "")
            for container in item.get("containers") or ():
                found[key] = found.get(key, Resources()) + Resources.of(container.get("usage"))

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
        async with self._slots:
            async for pod in self._listed(f"/api/v1/{scope}pods", query):
                inventory.add_pod(pod)

    async def _controllers(self, inventory: Inventory, kind: _Kind, scope: str) -> None:
        try:
            async with self._slots:
                async for thing in self._listed(f"/{kind.group}/{scope}{kind.plural}", metadata=not kind.whole):
                    manifests.add(inventory, {**thing, "kind": kind.name})
        except ClusterError as error:
            if error.status not in {_REFUSED, _ABSENT}:
                raise
            self._omissions.add(Omission(f"{kind.name}s", _CONTROLLERS))

    async def _chosen(self, chosen: set[str], kind: _Kind, scope: str) -> None:
        """Note the controllers that have the wanted labels themselves."""
        query = {"labelSelector": self._wanted.labels}
        try:
            async with self._slots:
                async for thing in self._listed(f"/{kind.group}/{scope}{kind.plural}", query, metadata=True):
                    chosen.add(thing["metadata"]["uid"])
        except ClusterError as error:
            if error.status not in {_REFUSED, _ABSENT}:
                raise

    async def _owners(self, inventory: Inventory, scopes: Sequence[str]) -> None:
        """Follow the chains of owners up through kinds that nobody knows beforehand."""
        tried: set[tuple[str, str]] = set()
        for _ in range(_MAX_ROUNDS):
            unknown = inventory.unknown_owners() - tried
            if not unknown:
                break
            tried |= unknown
            await asyncio.gather(*(self._owner_kind(inventory, *each, scopes) for each in sorted(unknown)))
        if self._tops:
            self._note(f"owners of these kinds could not be read, and stand for what they own: {_listed(self._tops)}")

    async def _owner_kind(self, inventory: Inventory, version: str, kind: str, scopes: Sequence[str]) -> None:
        """Have the inventory take the metadata of all objects of a kind; it is the top where that can't be had.

        Authors of pods choose both, and the server of an API may be anybody's: no failure ends the report.
        """
        try:
            async with self._slots:
                await self._add_owners(inventory, _root(version), kind, scopes)
        except Exception as error:  # noqa: BLE001 - likewise
            if not isinstance(error, ClusterError) or error.status != _ABSENT:
                self._tops.append(f"{kind} of {version} ({_said(error)})")

    async def _add_owners(self, inventory: Inventory, root: str, kind: str, scopes: Sequence[str]) -> None:
        resources = (await self._cluster.read(root)).get("resources") or ()
        found = next((r for r in resources if r["kind"] == kind and "/" not in r["name"]), None)
        if found is None:
            return
        for scope in scopes if found["namespaced"] else [""]:
            async for thing in self._listed(f"{root}/{scope}{found['name']}", metadata=True):
                inventory.add_owner({**thing, "kind": kind})

    async def _listed(
        self, path: str, query: Mapping[str, object] | None = None, *, metadata: bool = False
    ) -> AsyncIterator[Object]:
        async with aclosing(self._cluster.pages(path, query, metadata=metadata)) as pages:
            async for page, _ in pages:
                for thing in page:
                    yield thing

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)


def _root(version: str) -> str:
    """Where the API of a version is.

    Raises:
        RightarchError: it leads elsewhere.
    """
    if not _VERSION.fullmatch(version):
        raise RightarchError("this is no version of an API")
    return f"/{'apis' if '/' in version else 'api'}/{version}"


def _better(fact: Fact, held: Fact | None) -> bool:
    """Whether a fact is to be believed rather than the one of another scope: what everybody may know, then news."""
    if held is None:
        return True
    return (fact.key[0] == ANONYMOUS, fact.learned_at) > (held.key[0] == ANONYMOUS, held.learned_at)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _said(error: Exception) -> str:
    """What went wrong, for people."""
    if isinstance(error, LookupError | TypeError | ValueError | AttributeError):
        return "its answer can't be read"
    if isinstance(error, asyncio.TimeoutError):
        return "it does not answer in time"
    return str(error) or type(error).__name__
