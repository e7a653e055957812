"""The inventory: raw objects in, workloads out. Pure, and a page at a time: no object is kept.

Pods are grouped by the object at the top of their chain of controllers. What a controller of pods says in its template
is used where it has no pods, and for DaemonSets, whose controller replaces the affinity of pods by the node's name.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from rightarch import pod as pods
from rightarch import template as templates
from rightarch.affinity import Writing
from rightarch.placement import KEY
from rightarch.pod import MIRROR, Pod
from rightarch.policy import ANNOTATION
from rightarch.report import requests
from rightarch.report.resources import Resources
from rightarch.report.workload import DAEMON_SET, Owner, Placed, Puller, Shape, Workload

Object = Mapping[str, Any]

_DONE: Final = frozenset({"Succeeded", "Failed"})
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
_DECISIVE: Final = (ANNOTATION, KEY, MIRROR, _DEFAULT_CONTAINER)
"""Annotations that tell which policy applies, what Rightarch wrote, whose pod it is, and what is its main container."""
_OURS: Final = "rightarch.dev/"
"""What labels begin with that pods get from Rightarch: none has them when a policy is found for it."""
_PINNED: Final = "pinned"
"""The member by which a reduced pod tells that its controller chose its node."""
_MAX_CHAIN: Final = 16
"""Owners above each other that are followed: chains are short, and a circle has no end."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A controller as an ``ownerReference`` names it."""

    version: str
    kind: str
    namespace: str
    name: str
    uid: str

    @property
    def owner(self) -> Owner:
        """The owner that it stands for where it is the top."""
        return Owner(self.namespace, self.kind, self.name)


@dataclass(slots=True)
class _Template:
    """What a controller of pods says of them."""

    owner: Owner
    pod: Pod
    written: Writing | None
    puller: Puller
    replicas: int
    requests: Resources


@dataclass(slots=True)
class _Group:
    """Pods with one controller."""

    ref: Ref
    shapes: dict[bytes, Pod] = field(default_factory=dict)
    placed: Counter[tuple[bytes, str]] = field(default_factory=Counter)
    requested: dict[tuple[bytes, str], Resources] = field(default_factory=dict)
    pullers: set[Puller] = field(default_factory=set)
    usage: Resources | None = None
    unseen: int = 0


class Inventory:
    """Gathers objects.

    Args:
        planned: whether a template without pods stands for as many as it asks for, as in a manifest that nobody
            applied yet; in a cluster it has the pods that it has.
        usage: what pods use, by namespace and name.
        selecting: the labels by which policies select pods: those that differ in them are told apart. No other label
            is kept, since each pod may have one of its own.
    """

    def __init__(
        self,
        *,
        planned: bool = False,
        usage: Mapping[tuple[str, str], Resources] | None = None,
        selecting: Collection[str] = (),
    ) -> None:
        self._planned, self._usage = planned, usage or {}
        self._selecting = sorted(key for key in selecting if not key.startswith(_OURS))
        self._groups: dict[str, _Group] = {}
        self._templates: dict[str, _Template] = {}
        self._parents: dict[str, Ref | None] = {}

    def add_pod(self, pod: Pod) -> None:
        """Take a pod that exists; one that has ended counts for nothing."""
        if (pod.get("status") or {}).get("phase") in _DONE:
            return
        ref = _controller(pod) or _itself(pod, "Pod")
        group = self._groups.setdefault(ref.uid, _Group(ref))
        reduced = _unpinned(self._reduced(pod, keep_node=False))
        shape = _dumped(reduced)
        group.shapes.setdefault(shape, reduced)
        place = shape, pod["spec"].get("nodeName") or ""
        group.placed[place] += 1
        group.requested[place] = group.requested.get(place, Resources()) + requests.of_pod(pod["spec"])
        group.pullers.add(Puller(ref.namespace, pods.pull_secrets(pod)))
        group.unseen += KEY not in pods.labels(pod)
        used = self._usage.get((ref.namespace, pod["metadata"].get("name", "")))
        if used is not None:
            group.usage = (group.usage or Resources()) + used

    def add_template(self, thing: Object, template: Pod, *, replicas: int = 1) -> None:
        """Take a controller of pods, with the template that reads like a pod."""
        ref = _itself(thing, thing["kind"])
        self.add_owner(thing)
        spec = template.get("spec") or {}
        written = templates.written(thing) if thing["kind"] == DAEMON_SET else None
        secrets = pods.pull_secrets(template)
        puller = Puller(ref.namespace, secrets, "" if secrets else pods.service_account(template))
        self._templates[ref.uid] = _Template(
            ref.owner,
            self._reduced(template, keep_node=True),
            written,
            puller,
            replicas,
            requests.of_pod(spec) * replicas,
        )

    def add_owner(self, thing: Object) -> None:
        """Take an object that may be in the middle of a chain of owners; its metadata is enough."""
        self._parents[_uid(thing)] = _controller(thing)

    def unknown_owners(self) -> frozenset[tuple[str, str]]:
        """Kinds, as (apiVersion, kind), of owners about which nothing was said yet: they may have owners themselves."""
        refs = [group.ref for group in self._groups.values()] + [ref for ref in self._parents.values() if ref]
        return frozenset((r.version, r.kind) for r in refs if r.version and r.uid not in self._parents)

    def workloads(self, chosen: frozenset[str] | None = None) -> list[Workload]:
        """All workloads, in order of their owners.

        Args:
            chosen: the identities of those controllers that count where they have no pods; None for all.
        """
        groups: dict[Owner, list[_Group]] = {}
        for group in self._groups.values():
            groups.setdefault(self._top(group.ref).owner, []).append(group)
        found = [self._merged(owner, members) for owner, members in groups.items()]
        found += [each for each in self._bare(chosen) if each.owner not in groups]
        return sorted(found, key=lambda each: each.owner)

    def _reduced(self, pod: Pod, *, keep_node: bool) -> Pod:
        """What of a pod decides where it may run; the node that it got is no wish of its own."""
        annotations, labels = pods.annotations(pod), pods.labels(pod)
        metadata: dict[str, Any] = {}
        if said := {key: annotations[key] for key in _DECISIVE if key in annotations}:
            metadata["annotations"] = said
        if selected := {key: labels[key] for key in self._selecting if key in labels}:
            metadata["labels"] = selected
        return {"metadata": metadata, "spec": _spec(pod.get("spec") or {}, keep_node=keep_node)}

    def _top(self, ref: Ref) -> Ref:
        for _ in range(_MAX_CHAIN):
            parent = self._parents.get(ref.uid)
            if parent is None:
                return ref
            ref = parent
        return ref

    def _bare(self, chosen: frozenset[str] | None) -> Iterator[Workload]:
        """Workloads that have a template and no pods. What another object owns is none by itself."""
        for uid, template in self._templates.items():
            if self._parents.get(uid) is not None or (chosen is not None and uid not in chosen):
                continue
            count = template.replicas if self._planned else 0
            placed = (Placed(0, "", count, template.requests),) if count else ()
            yield Workload(
                template.owner,
                (Shape(template.pod, template.written, stored=False),),
                placed,
                template.requests if count else Resources(),
                None,
                frozenset({template.puller}),
                0,
            )

    def _merged(self, owner: Owner, groups: Sequence[_Group]) -> Workload:
        shapes, indexes = self._distinct(groups)
        placed = _placed((indexes[g.ref.uid, key], node, g, key) for g in groups for key, node in g.placed)
        used = [group.usage for group in groups if group.usage is not None]
        return Workload(
            owner,
            shapes,
            placed,
            _sum(each.requests for each in placed),
            _sum(used) if used else None,
            frozenset(puller for group in groups for puller in group.pullers),
            sum(group.unseen for group in groups),
        )

    def _distinct(self, groups: Iterable[_Group]) -> tuple[tuple[Shape, ...], Mapping[tuple[str, bytes], int]]:
        """The shapes of some groups, each once; and which of them each is, by the group's identity and its own key."""
        shapes: dict[tuple[bytes, str], tuple[int, Shape]] = {}
        indexes: dict[tuple[str, bytes], int] = {}
        for group in groups:
            for key, pod in group.shapes.items():
                shape = self._shape(group, pod)
                indexes[group.ref.uid, key], _ = shapes.setdefault(_identity(shape, group), (len(shapes), shape))
        return tuple(shape for _, shape in shapes.values()), indexes

    def _shape(self, group: _Group, pod: Pod) -> Shape:
        """The shape of a pod, as its controller would make it anew."""
        template = self._templates.get(group.ref.uid)
        if _PINNED not in pod or template is None:
            return Shape({"metadata": pod["metadata"], "spec": pod["spec"]})
        affinity = template.pod["spec"].get("affinity")
        spec = pod["spec"] | ({"affinity": affinity} if affinity else {})
        return Shape({"metadata": pod["metadata"], "spec": spec}, template.written)


def _identity(shape: Shape, group: _Group) -> tuple[bytes, str]:
    """What shapes that are the same have in common: the pod, and the template that Rightarch wrote into."""
    return _dumped(shape.pod), "" if shape.written is None else group.ref.uid


def _dumped(pod: Pod) -> bytes:
    return orjson.dumps(pod, option=orjson.OPT_SORT_KEYS)


def _placed(rows: Iterable[tuple[int, str, _Group, bytes]]) -> tuple[Placed, ...]:
    counts: Counter[tuple[int, str]] = Counter()
    requested: dict[tuple[int, str], Resources] = {}
    for index, node, group, key in rows:
        counts[index, node] += group.placed[key, node]
        requested[index, node] = requested.get((index, node), Resources()) + group.requested[key, node]
    return tuple(Placed(index, node, count, requested[index, node]) for (index, node), count in sorted(counts.items()))


def _sum(each: Iterable[Resources]) -> Resources:
    total = Resources()
    for one in each:
        total += one
    return total


def _spec(spec: Mapping[str, Any], *, keep_node: bool) -> dict[str, Any]:
    kept = {key: spec[key] for key in ("nodeSelector", "os", "runtimeClassName", "tolerations") if spec.get(key)}
    if required := ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(pods.REQUIRED):
        kept["affinity"] = {"nodeAffinity": {pods.REQUIRED: required}}
    for kind in ("initContainers", "containers"):
        if spec.get(kind):
            kept[kind] = [_container(each) for each in spec[kind]]
    if keep_node and spec.get("nodeName"):
        kept["nodeName"] = spec["nodeName"]
    return kept


def _unpinned(pod: Pod) -> Pod:
    """A reduced pod without the node's name that DaemonSet controllers put in the place of its affinity."""
    if not pods.is_pinned(pod) or pods.is_mirror(pod):
        return pod
    spec = {key: value for key, value in pod["spec"].items() if key != "affinity"}
    return {"metadata": pod["metadata"], "spec": spec, _PINNED: True}


def _container(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: raw[key] for key in ("name", "image", "restartPolicy") if raw.get(key)}


def _controller(thing: Object) -> Ref | None:
    """The controller of an object; a mirror pod's is its node, which answers for nothing."""
    metadata = thing.get("metadata") or {}
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") != "Node":
            namespace = metadata.get("namespace") or "default"
            return Ref(owner["apiVersion"], owner["kind"], namespace, owner["name"], owner["uid"])
    return None


def _itself(thing: Object, kind: str) -> Ref:
    metadata = thing.get("metadata") or {}
    namespace = metadata.get("namespace") or "default"
    name = metadata.get("name") or f"{metadata.get('generateName', '')}*"
    return Ref("", kind, namespace, name, _uid(thing))


def _uid(thing: Object) -> str:
    """The identity of an object; one that was never stored has its name."""
    metadata = thing.get("metadata") or {}
    namespace = metadata.get("namespace") or "default"
    name = metadata.get("name") or f"{metadata.get('generateName', '')}*"
    return metadata.get("uid") or f"{thing.get('kind', 'Pod')}/{namespace}/{name}"
