"""Random pods and images: what users write, and what only a fuzzer would."""

from collections.abc import Mapping
from random import Random
from typing import Any

from rightarch.platforms import ImagePlatforms, Platform

ARCHITECTURES = ("amd64", "arm64", "arm", "riscv64", "s390x", "ppc64le")
ARCH_KEYS = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
OS_KEYS = ("kubernetes.io/os", "beta.kubernetes.io/os")
ZONE = "topology.kubernetes.io/zone"
GENERATION = "example.com/generation"
PLATFORMS = (
    "linux/amd64", "linux/amd64", "linux/amd64", "linux/arm64", "linux/arm64", "linux/arm64/v8", "linux/arm/v7",
    "linux/arm/v6", "linux/386", "linux/riscv64", "linux/s390x", "linux/ppc64le", "linux/amd64/v3", "linux/arm64/v9",
    "windows/amd64", "windows/arm64",
)  # fmt: skip


def node_labels(name: str, os: str, architecture: str, zone: str, generation: str | None = None) -> dict[str, str]:
    """The labels of a node as its kubelet and its cloud set them."""
    labels = dict.fromkeys(OS_KEYS, os) | dict.fromkeys(ARCH_KEYS, architecture)
    labels |= {ZONE: zone, "kubernetes.io/hostname": name}
    return labels | ({GENERATION: generation} if generation else {})


NODES: Mapping[str, Mapping[str, str]] = {
    name: node_labels(name, os, architecture, zone, generation)
    for name, os, architecture, zone, generation in [
        *((f"linux-{a}-a", "linux", a, "a", None) for a in ARCHITECTURES),
        *((f"linux-{a}-b", "linux", a, "b", "7") for a in ("amd64", "arm64")),
        ("windows-amd64-a", "windows", "amd64", "a", "3"),
        ("windows-arm64-b", "windows", "arm64", "b", None),
    ]
}
"""Nodes of every architecture, and of two operating systems; some have a label with an integer."""


def image(random: Random) -> ImagePlatforms:
    """An image of up to five platforms, more often of few."""
    chosen = random.sample(PLATFORMS, random.choice([1, 1, 2, 2, 3, 5]))
    platforms = tuple(sorted({Platform.parse(text) for text in chosen}))
    return ImagePlatforms(f"sha256:{random.getrandbits(256):064x}", platforms, indexed=len(platforms) > 1)


def pod(random: Random, name: str = "") -> tuple[dict[str, Any], dict[str, ImagePlatforms]]:
    """A pod that the API server accepts, and its images."""
    images = {f"example.com/i{index}:1": image(random) for index in range(random.choice([1, 1, 1, 2, 3]))}
    containers = [{"name": f"c{index}", "image": each} for index, each in enumerate(images)]
    first = random.choice([0, 0, 1]) if len(containers) > 1 else 0
    spec: dict[str, Any] = {"initContainers": containers[:first], "containers": containers[first:]}
    if random.random() < 0.15:
        spec["os"] = {"name": random.choice(["linux", "linux", "windows"])}
    if random.random() < 0.3:
        spec["nodeSelector"] = dict(_selected(random) for _ in range(random.choice([1, 1, 2])))
    if random.random() < 0.7:
        spec["affinity"] = {"nodeAffinity": _node_affinity(random)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}, images


def _selected(random: Random) -> tuple[str, str]:
    key = random.choice([*ARCH_KEYS, *OS_KEYS, ZONE])
    return key, random.choice(_values_of(key))


def _node_affinity(random: Random) -> dict[str, Any]:
    affinity: dict[str, Any] = {}
    preferred = random.random() < 0.2
    if not preferred or random.random() < 0.9:
        terms = [_term(random) for _ in range(random.choice([1, 1, 2, 3]))]
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
    if preferred:
        preference = {"matchExpressions": [_expression(random)]}
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [{"weight": 10, "preference": preference}]
    return affinity


def _term(random: Random) -> dict[str, Any]:
    term: dict[str, Any] = {}
    expressions = [_expression(random) for _ in range(random.choice([0, 1, 1, 2, 3]))]
    if expressions:
        term["matchExpressions"] = expressions
    if random.random() < 0.1:
        operator = random.choice(["In", "NotIn"])
        term["matchFields"] = [{"key": "metadata.name", "operator": operator, "values": [random.choice(list(NODES))]}]
    return term


def _expression(random: Random) -> dict[str, Any]:
    key = random.choice([ARCH_KEYS[0], ARCH_KEYS[0], ARCH_KEYS[1], OS_KEYS[0], OS_KEYS[1], ZONE, GENERATION])
    operator = random.choice(["In", "In", "In", "NotIn", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"])
    if operator in {"Exists", "DoesNotExist"}:
        return {"key": key, "operator": operator}
    if operator in {"Gt", "Lt"}:
        return {"key": key, "operator": operator, "values": [str(random.randrange(10))]}
    values = random.sample(_values_of(key), random.choice([1, 1, 2, 3]))
    return {"key": key, "operator": operator, "values": values}


def _values_of(key: str) -> list[str]:
    if key in ARCH_KEYS:
        return [*ARCHITECTURES, "amd64", "arm64", "mips64le"]
    if key in OS_KEYS:
        return ["linux", "linux", "windows", "plan9"]
    return ["a", "b", "c"] if key == ZONE else ["3", "7", "9"]
