"""The cases of `tests/cases/karpenter`: NodePools and workloads, and what Karpenter makes of them."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.support.karpenter import node_pool, requirement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Object = dict[str, Any]

FOLDER: Final = Path(__file__).parents[1] / "cases" / "karpenter"
SIDES: Final = ("without", "with")
LABEL: Final = "case"
"""Label, taint and node selector that keep a case's pods to its own NodePools."""
ARCH: Final = "kubernetes.io/arch"
OS: Final = "kubernetes.io/os"
CAPACITY_TYPE: Final = "karpenter.sh/capacity-type"
DEFAULT_CPU: Final = "900m"
"""Two fit the smallest instance, and eight the third."""


@dataclass(frozen=True)
class Expected:
    """What must come of one side of a case.

    Attributes:
        nodes: how many NodeClaims are launched, by architecture; None for any.
        price: what they cost in all, in dollars per hour; None where the order of pods decides on it.
        pending: how many pods get no node.
        misplaced: how many pods are on a node that one of their images does not run on.
        zones: where the nodes are; None for anywhere.
    """

    nodes: Mapping[str, int] | None
    price: float | None = None
    pending: int = 0
    misplaced: int = 0
    zones: frozenset[str] | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Expected:
        """What a case says of one side."""
        zones = frozenset(raw["zones"]) if "zones" in raw else None
        rest = {key: value for key, value in raw.items() if key != "zones"}
        nodes = rest.pop("nodes", {})
        return cls(None if nodes == "any" else nodes, **rest, zones=zones)


@dataclass(frozen=True)
class Case:
    """A case, with the objects of both of its sides.

    Attributes:
        name: a sentence that says what must be true.
        number: its place, which its objects are named by.
        raw: as the file has it.
    """

    name: str
    number: int
    raw: Mapping[str, Any]

    def key(self, side: str) -> str:
        """What the objects of one side are named and told apart by."""
        return f"c{self.number:02}-{side}"

    def expected(self, side: str) -> Expected:
        """What must come of one side; `both` where they are alike."""
        return Expected.of(self.raw["both"] if "both" in self.raw else self.raw[side])

    @property
    def shares(self) -> bool:
        """Whether its policy shares out what pods prefer."""
        return "share" in self.raw.get("policy", {}).get("architectures", {})

    def count(self) -> int:
        """How many pods a side has, those of DaemonSets aside."""
        return sum(each.get("count", 1) for each in self.raw["pods"] if each.get("kind") != "DaemonSet")

    def policies(self) -> Iterator[Object]:
        """The policy of the case, for its pods alone, if it has one."""
        if spec := self.raw.get("policy"):
            selected = {"podSelector": {"matchLabels": {LABEL: self.key("with")}}}
            yield {
                "apiVersion": "rightarch.dev/v1alpha1",
                "kind": "ClusterArchitecturePolicy",
                "metadata": {"name": self.key("with")},
                "spec": spec | selected,
            }

    def pools(self, side: str) -> Iterator[Object]:
        """The NodePools of one side."""
        for index, each in enumerate(self.raw["pools"]):
            yield _pool(f"{self.key(side)}-{each.get('name', index)}", self.key(side), each)

    def workloads(self, side: str, images: Mapping[str, str]) -> Iterator[Object]:
        """The workloads of one side, in the namespace of that name.

        Args:
            side: with or without.
            images: the full names of images.
        """
        for index, each in enumerate(self.raw["pods"]):
            yield _workload(f"{self.key(side)}-{index}", side, _template(self.key(side), each, images), each)


def cases() -> list[Case]:
    """All cases, in the order of the files."""
    each = [case for path in sorted(FOLDER.glob("*.yaml")) for case in yaml.safe_load(path.read_text())]
    return [Case(raw["name"], number, raw) for number, raw in enumerate(each)]


def expression(text: str) -> Object:
    """A requirement in one line, such as ``kubernetes.io/arch In amd64 arm64``, of a NodePool with ``minValues 2``."""
    text, _, least = text.partition(" minValues ")
    key, operator, *values = text.split()
    return requirement(key, operator, *values) | ({"minValues": int(least)} if least else {})


def taint(text: str) -> Object:
    """A taint as kubectl writes it, such as ``dedicated=gpu:NoSchedule``."""
    found = re.fullmatch(r"(?P<key>[^=:]+)=?(?P<value>[^:]*):(?P<effect>\w+)", text)
    assert found, text
    return dict(found.groupdict())


def _pool(name: str, key: str, raw: Mapping[str, Any]) -> Object:
    requirements = [expression(text) for text in raw.get("requirements", ())]
    if "arch" in raw:
        requirements.append(requirement(ARCH, "In", *raw["arch"]))
    requirements.append(requirement(OS, "In", *raw.get("os", ["linux"])))
    if all(each["key"] != CAPACITY_TYPE for each in requirements):
        requirements.append(requirement(CAPACITY_TYPE, "In", "on-demand"))
    return node_pool(
        name,
        *requirements,
        labels={LABEL: key, **raw.get("labels", {})},
        taints=[taint(f"{LABEL}={key}:NoSchedule"), *map(taint, raw.get("taints", ()))],
        startup_taints=[taint(text) for text in raw.get("startupTaints", ())],
        limits=raw.get("limits"),
        weight=raw.get("weight"),
        node_class=raw.get("nodeClass", "default"),
    )


def _template(key: str, raw: Mapping[str, Any], images: Mapping[str, str]) -> Object:
    """A pod's metadata and spec: its containers, what keeps it to the case, and what the case says of it."""
    spec = copy.deepcopy(raw.get("spec", {}))
    resources = {"requests": {"cpu": raw.get("cpu", DEFAULT_CPU), "memory": "64Mi"}}
    names = [raw["image"]] if isinstance(raw["image"], str) else raw["image"]
    containers: list[Object] = [{"name": f"c{index}", "image": images[name]} for index, name in enumerate(names)]
    containers[0] |= {"resources": resources}
    inits = [{**each, "name": f"i{n}", "image": images[each["image"]]} for n, each in enumerate(raw.get("init", ()))]
    selector = {LABEL: key} | spec.pop("nodeSelector", {})
    tolerations = [taint(f"{LABEL}={key}:NoSchedule") | {"operator": "Equal"}, *spec.pop("tolerations", ())]
    spec |= {"nodeSelector": selector, "tolerations": tolerations, "containers": containers, "initContainers": inits}
    for each in spec.get("topologySpreadConstraints", ()):
        each["labelSelector"] = {"matchLabels": {LABEL: key}}
    return {"metadata": {"labels": {LABEL: key}}, "spec": spec | _affinity(key, raw)}


def _affinity(key: str, raw: Mapping[str, Any]) -> Object:
    """The affinity of terms written in lines, and of pods that keep apart."""
    node: Object = {}
    if terms := raw.get("terms"):
        node["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [_term(each) for each in terms]}
    if preferred := raw.get("preferred"):
        node["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": weight, "preference": _term([text])} for text, weight in preferred.items()
        ]
    affinity: Object = {"nodeAffinity": node} if node else {}
    if topology := raw.get("antiAffinity"):
        apart = {"topologyKey": topology, "labelSelector": {"matchLabels": {LABEL: key}}}
        affinity["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}
    return {"affinity": affinity} if affinity else {}


def _term(lines: list[str]) -> Object:
    return {"matchExpressions": [expression(text) for text in lines]}


def _workload(name: str, namespace: str, template: Object, raw: Mapping[str, Any]) -> Object:
    kind, count = raw.get("kind", "ReplicaSet"), raw.get("count", 1)
    template = template | {"metadata": {"labels": {**template["metadata"]["labels"], "workload": name}}}
    metadata = {"name": name, "namespace": namespace}
    if kind == "Job":
        template["spec"] |= {"restartPolicy": "Never"}
        spec: Object = {"parallelism": count, "completions": count, "template": template}
        return {"apiVersion": "batch/v1", "kind": kind, "metadata": metadata, "spec": spec}
    spec = {"selector": {"matchLabels": {"workload": name}}, "template": template}
    if kind != "DaemonSet":
        spec["replicas"] = count
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}
