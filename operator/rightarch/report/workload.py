"""Workloads: what a cluster runs, grouped by who answers for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rightarch.affinity import Writing
from rightarch.pod import Pod
from rightarch.report.requests import is_sidecar
from rightarch.report.resources import Resources

DAEMON_SET = "DaemonSet"


class Role(StrEnum):
    """What a container is for."""

    MAIN = "main"
    SIDECAR = "sidecar"
    INIT = "init"


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """Who answers for pods: the object at the top of their chain of owners, or a pod itself."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Puller:
    """Who pulls images, as far as that decides on credentials.

    Attributes:
        account: the ServiceAccount that gives pull secrets to pods that name none; empty for pods that are stored,
            which have them.
    """

    namespace: str
    secrets: tuple[str, ...] = ()
    account: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """What pods of a workload have in common, as far as it decides where they may run.

    Attributes:
        pod: a pod with nothing but that: images, constraints, tolerations.
        written: what Rightarch wrote into the template; None where the pod's own annotation tells.
        stored: whether pods have it that exist.
    """

    pod: Pod
    written: Writing | None = None
    stored: bool = True

    def images(self) -> Mapping[str, frozenset[Role]]:
        """The images that must run on the pod's node, and what each is for."""
        found: dict[str, set[Role]] = {}
        for name, role in _roles(self.pod):
            found.setdefault(name, set()).add(role)
        return {name: frozenset(roles) for name, roles in found.items()}


@dataclass(frozen=True, slots=True)
class Placed:
    """Pods of one shape on one node.

    Attributes:
        node: its name; empty for pods that have none yet.
    """

    shape: int
    node: str
    pods: int
    requests: Resources


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload.

    Attributes:
        shapes: of its pods, or of its template where it has none.
        placed: its pods, by shape and node.
        requests: what all of its pods ask for.
        usage: what they use, where that is known.
        pullers: who pulls its images.
        unseen: pods that Rightarch's admission did not label.
    """

    owner: Owner
    shapes: tuple[Shape, ...]
    placed: tuple[Placed, ...] = ()
    requests: Resources = field(default_factory=Resources)
    usage: Resources | None = None
    pullers: frozenset[Puller] = frozenset()
    unseen: int = 0

    @property
    def pods(self) -> int:
        """How many it has."""
        return sum(each.pods for each in self.placed)

    @property
    def images(self) -> Mapping[str, frozenset[Role]]:
        """All images of its pods, and what each is for."""
        found: dict[str, frozenset[Role]] = {}
        for shape in self.shapes:
            for name, roles in shape.images().items():
                found[name] = found.get(name, frozenset()) | roles
        return found


def _roles(pod: Pod) -> list[tuple[str, Role]]:
    """The images of a pod with what they are for; beside the first container, the others help it."""
    spec: Mapping[str, Any] = pod["spec"]
    inits = [
        (c["image"], Role.SIDECAR if is_sidecar(c) else Role.INIT)
        for c in spec.get("initContainers") or ()
        if c.get("image")
    ]
    named = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    containers = [c for c in spec.get("containers") or () if c.get("image")]
    main = named if any(c.get("name") == named for c in containers) else next((c.get("name") for c in containers), None)
    return inits + [(c["image"], Role.MAIN if c.get("name") == main else Role.SIDECAR) for c in containers]
