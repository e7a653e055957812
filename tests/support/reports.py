"""Reports of clusters that nobody runs: as large and as hostile as a test wants, the same each time."""

from __future__ import annotations

import random
from typing import Any, Final

from rightarch.placement import Failure
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.reasons import Reason
from rightarch.report.case import Question
from rightarch.report.inventory import Inventory
from rightarch.report.manifests import add
from rightarch.report.nodes import Node, Nodes
from rightarch.report.prices import Offering, PriceList
from rightarch.report.report import Origin, Report, make
from rightarch.report.storage import Storage

TEAMS: Final = (
    "shop",
    "payments",
    "search",
    "logistics",
    "identity",
    "media",
    "data",
    "ml",
    "edge",
    "mail",
    "crm",
    "bi",
)
KINDS: Final = ("Deployment", "Deployment", "Deployment", "StatefulSet", "CronJob", "DaemonSet")
NOUNS: Final = ("api", "worker", "web", "cache", "indexer", "gateway", "sync", "scheduler", "broker", "exporter")
BOTH: Final = ImagePlatforms("sha256:0", (Platform("linux", "amd64"), Platform("linux", "arm64")), indexed=True)
AMD64: Final = ImagePlatforms("sha256:1", (Platform("linux", "amd64"),), indexed=True)
DENIED: Final = Failure(Reason.ACCESS_DENIED, "registry registry.example.com gives no access to it")
SIDECARS: Final = {
    "registry.example.com/platform/service-mesh-proxy:1.18.2": AMD64,
    "registry.example.com/platform/log-shipper:2.9": BOTH,
    "registry.example.com/security/vault-agent:1.12.0": AMD64,
}
HOSTILE: Final = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}'
"""What somebody may call a workload in a file."""

Object = dict[str, Any]


def nodes(count: int) -> Nodes:
    """So many amd64 nodes and two arm64 ones."""
    names = [(f"amd-{number}", "amd64", "m6i.2xlarge") for number in range(count)]
    names += [(f"arm-{number}", "arm64", "m7g.2xlarge") for number in range(2)]
    return Nodes(_node(*each) for each in names)


def prices() -> PriceList:
    """The prices of both kinds of nodes."""
    amd64 = Offering(0.384, "m6i.2xlarge", "amd64", 8, 32)
    return PriceList.of("prices.csv", [amd64, Offering(0.3264, "m7g.2xlarge", "arm64", 8, 32)])


def report(count: int, *, priced: bool = True, hostile: bool = False, known: bool = True) -> Report:
    """A report on so many workloads, where it is known which nodes there are, or not."""
    chance, inventory, images = random.Random(7), Inventory(), dict[str, ImagePlatforms | Failure](SIDECARS)
    for number in range(count):
        _add(inventory, _workload(number, chance, images), _machines(count))
    if hostile:
        images[HOSTILE] = AMD64
        spec = _spec([HOSTILE], "250m")
        add(inventory, _deployment("Deployment", HOSTILE, HOSTILE, spec))
        _add(inventory, ("Pod", HOSTILE, HOSTILE, spec), _machines(count))
    origin = Origin("context production", time="2026-11-23T15:00:00Z", images=len(images), notes=_NOTES, sighted=known)
    updates = {f"registry.example.com/{TEAMS[0]}/sync:1.4": f"registry.example.com/{TEAMS[0]}/sync:1.9"}
    storage = Storage({"linux/amd64": 48_200_000_000, "linux/arm64": 31_900_000_000}, len(images), 80_100_000_000)
    asked = Question("arm64", images, nodes(_machines(count)) if known else Nodes(), updates=updates)
    return make(inventory.workloads(), asked, origin, prices() if priced else None, storage)


_NOTES: Final = ("2 of 14 namespaces may not be read and are left out: audit, finance",)


def _workload(number: int, chance: random.Random, images: dict[str, Any]) -> tuple[str, str, str, Object]:
    team = TEAMS[min(int(chance.expovariate(0.35)), len(TEAMS) - 1)]
    noun = NOUNS[number % len(NOUNS)]
    image = f"registry.example.com/{team}/{noun}:1.{4 + number % 3}"
    if image not in images:
        images[image] = chance.choices((BOTH, AMD64, DENIED), (7, 2, 0.6))[0]
    used = [image, *(side for side in SIDECARS if chance.random() < 0.1)]
    spec = _spec(used, chance.choice(("100m", "250m", "500m", "1", "2")))
    if chance.random() < 0.06:
        spec["nodeSelector"] = {"kubernetes.io/arch": "amd64"}
    return chance.choice(KINDS), team, f"{noun}-{number}", spec


def _machines(count: int) -> int:
    """How many nodes so many workloads fill."""
    return max(2, count // 4)


def _add(inventory: Inventory, made: tuple[str, str, str, Object], machines: int) -> None:
    """Two pods of a workload on the nodes there are."""
    kind, namespace, name, spec = made
    uid = f"{kind}/{namespace}/{name}"
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": True}
    for number in range(2):
        owners = [] if kind == "Pod" else [owner]
        metadata = {"namespace": namespace, "name": f"{name}-{number}", "ownerReferences": owners}
        placed = {**spec, "nodeName": f"amd-{(sum(name.encode()) + number) % machines}"}
        inventory.add_pod({"metadata": {**metadata, "uid": f"{uid}-{number}"}, "spec": placed})


def _deployment(kind: str, namespace: str, name: str, spec: Object) -> Object:
    metadata = {"namespace": namespace, "name": name, "uid": f"{namespace}/{name}"}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {"template": {"spec": spec}}}


def _spec(images: list[str], cpu: str) -> Object:
    resources = {"requests": {"cpu": cpu, "memory": "512Mi"}}
    return {"containers": [{"name": f"c{n}", "image": i, "resources": resources} for n, i in enumerate(images)]}


def _node(name: str, architecture: str, instance_type: str) -> Node:
    labels = {
        "kubernetes.io/arch": architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": instance_type,
    }
    status = {"allocatable": {"cpu": "7910m", "memory": "29Gi"}, "capacity": {"cpu": "8", "memory": "32Gi"}}
    return Node.of({"metadata": {"name": name, "labels": labels}, "status": status})
