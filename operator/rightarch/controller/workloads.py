"""Workloads: what is remembered of Deployments, StatefulSets, DaemonSets and CronJobs. Never the objects themselves."""

import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from rightarch import pod as pods
from rightarch.controller.rollout import Rollout
from rightarch.pod import Pod
from rightarch.template import Standing, standing

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of workload, and where its objects and their templates are."""

    name: str
    group: str
    plural: str
    template: tuple[str, ...] = ("spec", "template")
    version: str = "v1"

    @property
    def api_version(self) -> str:
        """Group and version, as objects name them; those of the core have no group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """The collection of all namespaces."""
        return f"{self._root}/{self.plural}"

    def path_in(self, namespace: str) -> str:
        """The collection of one namespace."""
        return f"{self._root}/namespaces/{namespace}/{self.plural}"

    @property
    def _root(self) -> str:
        return f"/{'apis' if self.group else 'api'}/{self.api_version}"

    def pod(self, thing: Object) -> Pod:
        """The template of an object, which reads like a pod."""
        for part in self.template:
            thing = thing.get(part) or {}
        return thing


POD: Final = Kind("Pod", "", "pods", ())
DAEMON_SET: Final = Kind("DaemonSet", "apps", "daemonsets")
KINDS: Final = (
    Kind("Deployment", "apps", "deployments"),
    Kind("StatefulSet", "apps", "statefulsets"),
    DAEMON_SET,
    Kind("CronJob", "batch", "cronjobs", ("spec", "jobTemplate", "spec", "template")),
)
_BY_NAME: Final = {kind.name: kind for kind in KINDS}

UNSETTLED: Final = frozenset({Standing.WAITING, Standing.UNSEEN, Standing.OUTDATED})
"""How DaemonSets stand about which something is to be done or said."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The name of a workload among all."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, kind: Kind, thing: Object) -> "Key":
        """The key of an object."""
        metadata = thing["metadata"]
        return cls(kind.name, sys.intern(metadata["namespace"]), metadata["name"])

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def kind_of(key: Key) -> Kind:
    """The kind of a workload."""
    return _BY_NAME[key.kind]


@dataclass(frozen=True, slots=True)
class Puller:
    """Who pulls images, as far as that decides on credentials.

    Attributes:
        namespace: of the pods.
        account: their ServiceAccount, which gives them pull secrets if they name none; empty where that is past.
        secrets: the pull secrets that they name.
    """

    namespace: str = ""
    account: str = ""
    secrets: tuple[str, ...] = ()

    @classmethod
    def of_pod(cls, pod: Pod) -> "Puller":
        """Of a pod as it is stored."""
        return _shared(cls(pod["metadata"]["namespace"], "", pods.pull_secrets(pod)))

    @classmethod
    def of_template(cls, namespace: str, template: Pod) -> "Puller":
        """Of pods that will be made of a template."""
        secrets = pods.pull_secrets(template)
        return _shared(cls(namespace, "" if secrets else pods.service_account(template), secrets))


@lru_cache(maxsize=4096)
def _shared(puller: Puller) -> Puller:
    """One object for all that are equal: thousands of workloads have few."""
    return puller


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image, and who pulls it: others may need credentials for it, or have none."""

    image: str
    puller: Puller = Puller()

    def __str__(self) -> str:
        return f"{self.image} for {self.puller.namespace}"


@dataclass(frozen=True, slots=True)
class Workload:
    """What is remembered of one workload.

    Attributes:
        images: of its template, each once.
        standing: how the template of a DaemonSet stands; None for the other kinds, whose pods are admitted one by one.
        puller: who pulls them.
        rollout: of a template that we wrote, if we ever rolled it.
    """

    images: tuple[str, ...]
    standing: Standing | None = None
    puller: Puller = Puller()
    rollout: Rollout | None = None

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The images, each with who pulls it."""
        return tuple(Wanted(image, self.puller) for image in self.images)

    @classmethod
    def of(cls, kind: Kind, thing: Object) -> "Workload":
        """What there is to remember of an object."""
        template = kind.pod(thing)
        images = tuple(map(sys.intern, pods.image_names(template)))
        puller = Puller.of_template(sys.intern(thing["metadata"]["namespace"]), template)
        stands = standing(thing) if kind is DAEMON_SET else None
        return cls(images, stands, puller, Rollout.of(kind.name, thing))


class Workloads:
    """All workloads, as last seen."""

    def __init__(self) -> None:
        self._workloads: dict[Key, Workload] = {}
        self._wanted: Counter[Wanted] = Counter()

    def __len__(self) -> int:
        return len(self._workloads)

    def get(self, key: Key) -> Workload | None:
        """What is remembered of a workload, or None."""
        return self._workloads.get(key)

    def keys(self, kind: Kind) -> frozenset[Key]:
        """The keys of all workloads of a kind."""
        return frozenset(key for key in self._workloads if key.kind == kind.name)

    def unsettled(self) -> list[Key]:
        """The DaemonSets about which something is to be done or said."""
        return [key for key, workload in self._workloads.items() if workload.standing in UNSETTLED]

    @property
    def wanted(self) -> Collection[Wanted]:
        """The images of all templates, each once for everybody who pulls it."""
        return self._wanted.keys()

    def wants(self, wanted: Wanted) -> bool:
        """Whether a template has an image."""
        return wanted in self._wanted

    def counts(self) -> dict[tuple[str, ...], float]:
        """The number of workloads of each kind, as a metric takes it."""
        counts = Counter(key.kind for key in self._workloads)
        return {(kind.name,): float(counts[kind.name]) for kind in KINDS}

    def standings(self) -> dict[tuple[str, ...], float]:
        """The number of DaemonSets by how their templates stand, as a metric takes it."""
        counts = Counter(workload.standing for workload in self._workloads.values() if workload.standing)
        return {(each,): float(counts[each]) for each in Standing}

    def put(self, key: Key, workload: Workload) -> bool:
        """Take a workload that is new or has changed; tells whether anything is other than it was."""
        if self._workloads.get(key) == workload:
            return False
        self.remove(key)
        self._workloads[key] = workload
        self._wanted.update(workload.wanted)
        return True

    def remove(self, key: Key) -> None:
        """Forget a workload that is gone."""
        if workload := self._workloads.pop(key, None):
            self._wanted.subtract(workload.wanted)
            for wanted in workload.wanted:
                if not self._wanted[wanted]:
                    del self._wanted[wanted]
