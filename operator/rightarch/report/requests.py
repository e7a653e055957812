"""Requests: what the scheduler reserves for a pod.

Source: k8s.io/component-helpers ``resource.PodRequests``: containers and sidecars together, or the largest moment of
the init containers where that is more; what the pod requests as a whole goes before; the runtime's overhead comes on
top. Limits stand for requests as the API server has it, which a manifest does not show: k8s.io/kubernetes
``pkg/apis/core/v1`` (``SetDefaults_Pod``, ``defaultPodRequests``). KEP-753 (sidecars), KEP-2837 (resources of a pod).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rightarch.report.resources import Resources

Spec = Mapping[str, Any]


def of_pod(spec: Spec) -> Resources:
    """The requests of a pod, given its spec."""
    running, starting = Resources(), Resources()
    sidecars = Resources()
    for container in _containers(spec, "initContainers"):
        asked = _of_container(container)
        if is_sidecar(container):
            sidecars += asked
            starting = starting.largest(sidecars)
        else:
            starting = starting.largest(asked + sidecars)
    for container in _containers(spec, "containers"):
        running += _of_container(container)
    total = _stated(spec, (running + sidecars).largest(starting))
    return total + Resources.of(spec.get("overhead"))


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """Whether an init container keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def _stated(spec: Spec, summed: Resources) -> Resources:
    """What the pod states as a whole: its requests, and its limits for what none of its containers requests."""
    given = _given(spec.get("resources"))
    asked = {key for kind in _KINDS for each in _containers(spec, kind) for key in _asked(each.get("resources"))}
    limits = {key: limit for key, limit in (given.get("limits") or {}).items() if key not in asked}
    amounts = {**limits, **(given.get("requests") or {})}
    stated = Resources.of(amounts)
    cpu = stated.cpu if "cpu" in amounts else summed.cpu
    return Resources(cpu, stated.memory if "memory" in amounts else summed.memory)


def _of_container(container: Mapping[str, Any]) -> Resources:
    return Resources.of(_asked(container.get("resources")))


def _asked(resources: object) -> Mapping[str, Any]:
    """Requests of a container; the API server takes limits for those that are not given."""
    given = _given(resources)
    return {**(given.get("limits") or {}), **(given.get("requests") or {})}


def _given(resources: object) -> Mapping[str, Any]:
    return resources if isinstance(resources, Mapping) else {}


def _containers(spec: Spec, kind: str) -> Sequence[Mapping[str, Any]]:
    containers: Sequence[Mapping[str, Any]] = spec.get(kind) or ()
    return containers


_KINDS: Final = ("initContainers", "containers")
