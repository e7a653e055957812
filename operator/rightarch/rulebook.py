"""The rulebook: the policies of the cluster and its namespaces, as last seen, so that no pod costs a request.

Written by what follows the cluster, read by admissions and the controller. A change holds for the next pod: all that is
compiled of policies is made anew then, once for any number of changes.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from rightarch import crds
from rightarch.cluster import Cluster
from rightarch.following import View, follow
from rightarch.metrics import ProcessMetrics
from rightarch.pod import Pod
from rightarch.policy import ANNOTATION, Effective, Kind, Policies, Policy
from rightarch.policy.spec import Choices

NAMESPACES: Final = "/api/v1/namespaces"
DEFINITIONS: Final = {
    Kind.CLUSTER: crds.CLUSTER_ARCHITECTURE_POLICIES,
    Kind.NAMESPACED: crds.ARCHITECTURE_POLICIES,
}
_NAME: Final = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Namespace:
    """What selects a namespace, and what it asks for.

    Attributes:
        labels: its own.
        annotations: those of ours alone.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> "Namespace":
        """Read an object's metadata. Thousands are kept: equal words are one object."""
        labels = {sys.intern(key): sys.intern(value) for key, value in (metadata.get("labels") or {}).items()}
        asked = (metadata.get("annotations") or {}).get(ANNOTATION)
        return cls(labels, {} if asked is None else {ANNOTATION: asked})

    @classmethod
    def unseen(cls, name: str) -> "Namespace":
        """What is known of each: the label that the API server gives to all."""
        return cls({_NAME: name})


class Namespaces:
    """The namespaces of the cluster: a store of what is followed.

    Attributes:
        listed: whether all were seen once, or there is no right to see them.
        refused: whether there is no such right, as far as is known: nobody need ask for a single one then.
    """

    def __init__(self) -> None:
        self.listed = self.refused = False
        self._namespaces: dict[str, Namespace] = {}

    def __len__(self) -> int:
        return len(self._namespaces)

    def __contains__(self, name: object) -> bool:
        return name in self._namespaces

    def get(self, name: str) -> Namespace:
        """A namespace, or what is known of one that was not seen."""
        return self._namespaces.get(name) or Namespace.unseen(name)

    def replace(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Take a complete list in place of all that was known."""
        self._namespaces = {thing["metadata"]["name"]: Namespace.of(thing["metadata"]) for thing in objects}
        self.listed, self.refused = True, False

    def refuse(self) -> None:
        """Do without, until they are listed."""
        self.listed = self.refused = True

    def add(self, thing: Mapping[str, Any]) -> None:
        """Take one that somebody read, unless it was seen meanwhile: what a watch tells is newer."""
        if thing["metadata"]["name"] not in self:
            self.put(thing)

    def put(self, thing: Mapping[str, Any]) -> None:
        """Take one that is new or has changed."""
        self._namespaces[thing["metadata"]["name"]] = Namespace.of(thing["metadata"])

    def remove(self, thing: Mapping[str, Any]) -> None:
        """Forget one that is gone."""
        self._namespaces.pop(thing["metadata"]["name"], None)


class Shelf:
    """The policies of one kind: a store of what is followed.

    Attributes:
        listed: whether all were seen once, or there is no way to see them: then there are none.
        version: how often what they say has changed. A status that is written changes nothing.
    """

    def __init__(self) -> None:
        self.listed = False
        self.version = 0
        self._policies: dict[tuple[str, str], Policy] = {}

    def __len__(self) -> int:
        return len(self._policies)

    def policies(self) -> Iterable[Policy]:
        """All of them."""
        return self._policies.values()

    def replace(self, policies: list[Policy]) -> None:
        """Take a complete list in place of all that was known."""
        known, self._policies = self._policies, {(each.namespace, each.name): each for each in policies}
        self.version += self._policies != known  # most lists tell nothing new, such as after an API server's restart
        self.listed = True

    def put(self, policy: Policy) -> None:
        """Take one that is new or has changed."""
        key = policy.namespace, policy.name
        if self._policies.get(key) != policy:
            self._policies[key] = policy
            self.version += 1

    def remove(self, policy: Policy) -> None:
        """Forget one that is gone."""
        self.version += self._policies.pop((policy.namespace, policy.name), None) is not None

    def refuse(self) -> None:
        """Do without: there is no such collection, or no right to it."""
        self.listed = True


class Rulebook:
    """All that tells which policy applies to a pod.

    Args:
        default: the choices where no policy matches.

    Attributes:
        namespaces: the namespaces.
        shelves: per kind, its policies.
    """

    def __init__(self, default: Choices | None = None) -> None:
        self.namespaces = Namespaces()
        self.shelves = {kind: Shelf() for kind in Kind}
        self._default = default or Choices()
        self._compiled = Policies.of((), self._default)
        self._version = 0

    @property
    def version(self) -> int:
        """How often what the policies say has changed."""
        return sum(shelf.version for shelf in self.shelves.values())

    @property
    def policies(self) -> Policies:
        """All policies, as they are now."""
        if (version := self.version) != self._version:
            every = (policy for shelf in self.shelves.values() for policy in shelf.policies())
            self._compiled, self._version = Policies.of(every, self._default), version
        return self._compiled

    @property
    def missing(self) -> str | None:
        """What was not seen yet, for people; None once all was."""
        if not self.namespaces.listed:
            return "the namespaces of the cluster are not listed yet"
        unseen = next((kind.full for kind, shelf in self.shelves.items() if not shelf.listed), None)
        return None if unseen is None else f"the objects of kind {unseen} are not listed yet"

    async def follow(self, cluster: Cluster, failed: Callable[[], None]) -> None:
        """Keep equal to what is in a cluster, for ever.

        Args:
            cluster: which.
            failed: called at each failure, to count them.
        """
        async with asyncio.TaskGroup() as group:
            namespaces = self.namespaces
            group.create_task(follow(cluster, NAMESPACES, namespaces, failed, refused=namespaces.refuse))
            for kind, shelf in self.shelves.items():
                view = View(partial(Policy.of, kind))
                group.create_task(
                    follow(cluster, DEFINITIONS[kind].path, shelf, failed, view=view, refused=shelf.refuse)
                )

    def expose(self, metrics: ProcessMetrics) -> None:
        """Show what is known."""
        metrics.gauge(
            "rightarch_policies",
            "Policies by kind, and whether they can be obeyed.",
            ("kind", "ready"),
            self._counts,
        )
        meaning = "Whether all policies and namespaces were seen once."
        metrics.gauge("rightarch_policies_listed", meaning, (), lambda: {(): float(self.missing is None)})

    def _counts(self) -> Mapping[tuple[str, ...], float]:
        every = ((kind, policy) for kind, shelf in self.shelves.items() for policy in shelf.policies())
        counts = Counter((kind.full, str(policy.spec is not None).lower()) for kind, policy in every)
        return {labels: float(count) for labels, count in counts.items()}

    def effective(self, namespace: str, pod: Pod) -> Effective:
        """What applies to a pod of a namespace, or to one made of a workload's template."""
        there = self.namespaces.get(namespace)
        return self.policies.effective(namespace, there.labels, there.annotations, pod)
