"""The picture of the cluster that an admission is decided by: in memory, so that no pod costs a request.

Written by what follows the cluster, read by admissions; each value that is read is frozen and replaced as a whole.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rightarch.capacity import Capacity


class Nodes:
    """The Nodes of the cluster, each reduced to its platform: not an object per Node is kept.

    Attributes:
        capacity: the platforms of all Nodes, as last seen; empty before the first list.
        listed: whether all Nodes were seen once.
    """

    def __init__(self) -> None:
        self.capacity = Capacity()
        self.listed = False
        self._platforms: dict[str, frozenset[tuple[str, str]]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return len(self._platforms)

    def platform(self, name: str) -> tuple[str, str] | None:
        """The operating system and architecture of a Node, or None."""
        return next(iter(self._platforms.get(name, ())), None)

    def counts(self) -> dict[tuple[str, ...], float]:
        """The number of Nodes per (operating system, architecture), as a metric takes it."""
        return {platform: float(count) for platform, count in self._counts.items()}

    def replace(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Take a complete list in place of all that was known."""
        self._platforms = {_name(node): _platforms(node) for node in objects}
        self._counts = Counter(platform for each in self._platforms.values() for platform in each)
        self.listed = True
        self._publish()

    def put(self, node: Mapping[str, Any]) -> None:
        """Take a Node that is new or has changed. Most changes are heartbeats, which change nothing here."""
        name, platforms = _name(node), _platforms(node)
        if self._platforms.get(name) != platforms:
            self._forget(name)
            self._platforms[name] = platforms
            self._counts.update(platforms)
            self._publish()

    def remove(self, node: Mapping[str, Any]) -> None:
        """Forget a Node that is gone."""
        self._forget(_name(node))
        self._publish()

    def _forget(self, name: str) -> None:
        for platform in self._platforms.pop(name, ()):
            self._counts[platform] -= 1
            if not self._counts[platform]:
                del self._counts[platform]

    def _publish(self) -> None:
        if self.capacity.platforms != self._counts.keys():
            self.capacity = Capacity(frozenset(self._counts))


def _name(node: Mapping[str, Any]) -> str:
    name: str = node["metadata"]["name"]
    return name


def _platforms(node: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return Capacity.of_nodes([node["metadata"].get("labels") or {}]).platforms
