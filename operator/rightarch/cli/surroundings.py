"""Surroundings: what decides about a workload beside itself: policies, namespaces, nodes, of a cluster or of files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rightarch import crds
from rightarch.capacity import Capacity
from rightarch.cli.clusters import listed, read
from rightarch.cli.registries import tell
from rightarch.cli.targets import of_files
from rightarch.cluster import NODES, Cluster, ClusterError
from rightarch.errors import RightarchError
from rightarch.manifests import Manifests
from rightarch.policy import InvalidPolicy, Kind, Policy
from rightarch.rulebook import NAMESPACES, Rulebook
from rightarch.supply import NODE_CLAIMS, NODE_POOLS

Object = Mapping[str, Any]
_KARPENTER: Final = ((NODE_POOLS, "NodePools"), (NODE_CLAIMS, "NodeClaims"))


class BadPolicy(RightarchError):
    """A file of policies that can't be used; one line a fault."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is there.

    Attributes:
        rulebook: policies and namespaces.
        nodes: the raw Nodes; None where they are not known.
        pools: Karpenter's NodePools.
        claims: its NodeClaims.
    """

    rulebook: Rulebook = field(default_factory=Rulebook)
    nodes: Sequence[Object] | None = None
    pools: Sequence[Object] = ()
    claims: Sequence[Object] = ()

    @property
    def capacity(self) -> Capacity:
        """What there is, and what can be had; where Nodes are not known, nothing is said to be missing."""
        return replace(Capacity.of(self.nodes or (), self.pools, self.claims), complete=self.nodes is not None)


def policies_of(files: Iterable[Path], namespace: str) -> list[Policy]:
    """The policies of files.

    Args:
        files: of manifests.
        namespace: of policies that name none.

    Raises:
        BadPolicy: with each fault of all of them.
        Unreadable: a file can't be read, or holds no manifests.
    """
    policies, faults = list[Policy](), list[str]()
    for file, _, manifests in of_files([str(file) for file in files]):
        for thing in _objects(manifests):
            try:
                policies.append(Policy.of_manifest(thing, namespace))
            except InvalidPolicy as error:
                faults.append(f"{file}: {error}")
    if faults:
        raise BadPolicy("\n".join(faults))
    return policies


async def seen(cluster: Cluster, namespaces: Iterable[str]) -> Surroundings:
    """What a cluster has, as far as the user may see it; what is not to be seen is told of.

    Args:
        cluster: the cluster.
        namespaces: whose policies are wanted.
    """
    book, names = Rulebook(), sorted(set(namespaces))
    paths = {Kind.CLUSTER: [crds.CLUSTER_ARCHITECTURE_POLICIES.path]}
    paths[Kind.NAMESPACED] = [crds.ARCHITECTURE_POLICIES.path_in(name) for name in names]
    for kind, collections in paths.items():
        found = [
            thing for path in collections for thing in await _listed(cluster, path, f"objects of kind {kind.full}")
        ]
        book.shelves[kind].replace([Policy.of(kind, thing) for thing in found])
    for name in names:
        book.namespaces.put(await _namespace(cluster, name))
    nodes = await _listed(cluster, NODES, "Nodes")
    pools, claims = [await _listed(cluster, path, what) for path, what in _KARPENTER]
    return Surroundings(book, nodes or None, pools, claims)


def tried(book: Rulebook, policies: Iterable[Policy]) -> None:
    """Have a rulebook hold policies in place of those of the same name, beside the others."""
    for kind, shelf in book.shelves.items():
        there = {(each.namespace, each.name): each for each in shelf.policies()}
        for policy in policies:
            if policy.kind is kind:
                key = policy.namespace, policy.name
                there[key] = replace(policy, uid=there[key].uid) if key in there else policy
        shelf.replace(list(there.values()))


def created(book: Rulebook, objects: Iterable[Object]) -> None:
    """Have a rulebook know the Namespaces that are among the manifests."""
    for thing in objects:
        if thing.get("kind") == "Namespace" and thing.get("apiVersion") == "v1":
            metadata = thing.get("metadata") or {}
            name = str(metadata.get("name"))
            labels = {"kubernetes.io/metadata.name": name, **(metadata.get("labels") or {})}
            book.namespaces.put({"metadata": {**metadata, "name": name, "labels": labels}})


def _objects(manifests: Manifests) -> Iterable[Object]:
    return [*manifests.objects, *(each.thing for each in manifests.workloads)]


async def _listed(cluster: Cluster, path: str, what: str) -> Sequence[Object]:
    """The objects of a collection; none where there is no such kind, or no right to it, which is told."""
    try:
        return await listed(cluster, path)
    except ClusterError as error:
        if error.status not in {403, 404}:
            raise
        if error.status != 404:
            tell(f"{what} can't be read, so none is taken into account: {error.reason}")
        return ()


async def _namespace(cluster: Cluster, name: str) -> Object:
    """A Namespace; where it is not there or not to be read, what is known of each."""
    try:
        return await read(cluster, f"{NAMESPACES}/{name}")
    except ClusterError as error:
        if error.status not in {403, 404}:
            raise
        return {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}}
