"""The picture of the cluster that an admission is decided by: in memory, so that no pod costs a request.

Written by what follows the cluster, read by admissions; each value that is read is frozen and replaced as a whole.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from rightarch.affinity import ARCH_KEYS
from rightarch.capacity import Capacity, NodeKind, NodePool, Platform, sighting, stated

HOST: Final = "kubernetes.io/hostname"
"""The label that tells a Node's own name, as the machine has it: nearly always the Node's."""

_Kept = TypeVar("_Kept")


class Nodes:
    """The Nodes of the cluster, each reduced to its kind, which others share; and what Karpenter may add to them.

    Attributes:
        pools: Karpenter's NodePools.
        claims: Karpenter's NodeClaims.
        listed: whether all Nodes were seen once.
    """

    def __init__(self) -> None:
        self.pools, self.claims = NodePools(self._changed), NodeClaims(self._changed)
        self.listed = False
        self._names: dict[str, NodeKind] = {}
        self._hosts: dict[str, str | None] = {}  # of Nodes that have another name as HOST, or none
        self._kinds: Counter[NodeKind] = Counter()
        self._shared: dict[NodeKind, NodeKind] = {}
        self._capacity: Capacity | None = Capacity()

    def __len__(self) -> int:
        return len(self._names)

    @property
    def capacity(self) -> Capacity:
        """What the cluster can offer, as last seen; empty before the first list. Made when it is asked for."""
        if self._capacity is None:
            complete = self.listed and self.pools.listed
            self._capacity = Capacity.of_kinds(self._kinds, self.pools, self.claims.sightings, complete=complete)
        return self._capacity

    def platform(self, name: str) -> Platform | None:
        """The operating system and architecture of a Node, or None."""
        kind = self._names.get(name)
        return kind.platform if kind else None

    def counts(self) -> dict[tuple[str, ...], float]:
        """The number of Nodes per (operating system, architecture), as a metric takes it."""
        counts: Counter[Platform] = Counter()
        for kind, count in self._kinds.items():
            if kind.platform:
                counts[kind.platform] += count
        return {platform: float(count) for platform, count in counts.items()}

    def hardware(self, keys: Collection[str]) -> Mapping[tuple[str, str], Collection[str]]:
        """The architectures that machines have, by what their labels say.

        Args:
            keys: the labels that count. Of those that are each Node's own, only the host's name is known.

        Returns:
            Per label and value, the architectures of the Nodes that have it and tell theirs.
        """
        found: dict[tuple[str, str], set[str]] = {}
        for entry, architecture in self._shown(keys):
            if architecture:
                found.setdefault(entry, set()).add(architecture)
        return found

    def replace(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Take a complete list in place of all that was known."""
        self._names, self._hosts, self._kinds, self._shared, self.listed = {}, {}, Counter(), {}, True
        for node in objects:
            self._take(_name(node), NodeKind.of(node))
            self._take_host(node)
        self._changed()

    def put(self, node: Mapping[str, Any]) -> None:
        """Take a Node that is new or has changed. Most changes are heartbeats, which change nothing here."""
        name, kind = _name(node), NodeKind.of(node)
        if self._names.get(name) != kind:
            self._forget(name)
            self._take(name, kind)
            self._changed()
        self._take_host(node)

    def remove(self, node: Mapping[str, Any]) -> None:
        """Forget a Node that is gone."""
        self._forget(_name(node))
        self._changed()

    def _shown(self, keys: Collection[str]) -> Iterator[tuple[tuple[str, str], str]]:
        """Each label of some keys that Nodes have, with its value and the architecture that they tell."""
        for kind in self._kinds:
            yield from ((entry, stated(kind.labels, ARCH_KEYS)) for entry in kind.entries if entry[0] in keys)
        for name, kind in self._names.items() if HOST in keys else ():
            if (host := self._hosts.get(name, name)) is not None:
                yield (HOST, host), stated(kind.labels, ARCH_KEYS)

    def _take(self, name: str, kind: NodeKind) -> None:
        self._names[name] = kind = self._shared.setdefault(kind, kind)
        self._kinds[kind] += 1

    def _take_host(self, node: Mapping[str, Any]) -> None:
        name, host = _name(node), (node["metadata"].get("labels") or {}).get(HOST)
        if host == name:
            self._hosts.pop(name, None)
        else:
            self._hosts[name] = host

    def _forget(self, name: str) -> None:
        self._hosts.pop(name, None)
        if kind := self._names.pop(name, None):
            self._kinds[kind] -= 1
            if not self._kinds[kind]:
                del self._kinds[kind], self._shared[kind]

    def _changed(self) -> None:
        self._capacity = None


class _Karpenters:
    """Objects of Karpenter's, of each of which a little is kept.

    Attributes:
        listed: whether all were seen once, or there is no Karpenter.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.listed = False
        self._tell = changed

    def _keep(self, kept: dict[str, _Kept], name: str, what: _Kept | None) -> None:
        """Keep something under a name, or nothing any more; and say so if that changes anything."""
        if kept.get(name) == what:
            return
        if what is None:
            del kept[name]
        else:
            kept[name] = what
        self._tell()


class NodePools(_Karpenters):
    """Karpenter's NodePools."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self._pools: dict[str, NodePool] = {}

    def __len__(self) -> int:
        return len(self._pools)

    def __iter__(self) -> Iterator[NodePool]:
        return iter(self._pools.values())

    def replace(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Take a complete list in place of all that was known."""
        self._pools, self.listed = {_name(pool): NodePool.of(pool) for pool in objects}, True
        self._tell()

    def put(self, pool: Mapping[str, Any]) -> None:
        """Take a NodePool that is new or has changed."""
        self._keep(self._pools, _name(pool), NodePool.of(pool))

    def remove(self, pool: Mapping[str, Any]) -> None:
        """Forget a NodePool that is gone."""
        self._keep(self._pools, _name(pool), None)


class NodeClaims(_Karpenters):
    """Karpenter's NodeClaims: of each, which platform of which NodePool it shows; none before it was launched."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self._seen: dict[str, tuple[str, Platform]] = {}
        self._shared: dict[tuple[str, Platform], tuple[str, Platform]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def sightings(self) -> frozenset[tuple[str, Platform]]:
        """What all of them show, each once."""
        return frozenset(self._seen.values())

    def replace(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Take a complete list in place of all that was known."""
        self._seen, self._shared, self.listed = {}, {}, True
        for claim in objects:
            self.put(claim)
        self._tell()

    def put(self, claim: Mapping[str, Any]) -> None:
        """Take a NodeClaim that is new or has changed."""
        seen = sighting(claim["metadata"].get("labels") or {})
        self._keep(self._seen, _name(claim), seen and self._shared.setdefault(seen, seen))

    def remove(self, claim: Mapping[str, Any]) -> None:
        """Forget a NodeClaim that is gone."""
        self._keep(self._seen, _name(claim), None)


def _name(thing: Mapping[str, Any]) -> str:
    name: str = thing["metadata"]["name"]
    return name
