"""Patches: JSON Patch operations (RFC 6902) that write requirements and entries, and touch nothing else."""

from collections.abc import Mapping
from typing import Any, Final

from rightarch import pod as pods
from rightarch.affinity import Constraints, Writing
from rightarch.pod import REQUIRED, Pod

MAX_ANNOTATIONS: Final = 256 * 1024
"""Bytes that the API server lets all annotations of an object have: ours must never be what exceeds it."""

GATE: Final = "rightarch.dev/platforms"
"""The scheduling gate that holds pods whose images are not known yet."""

Patch = list[dict[str, Any]]
"""JSON Patch operations."""


def terms(pod: Pod, before: Writing, writing: Writing | None, prefix: str = "") -> Patch:
    """Operations after which the required terms are the pod's own with a writing; none where they are that already.

    Args:
        pod: a pod, or a template, which reads like one.
        before: what an earlier invocation wrote: it is taken back.
        writing: what is to be appended to the pod's own terms; None leaves everything as it is.
        prefix: the path of the template in its workload.
    """
    if writing is None:
        return []
    actual = pods.constraints(pod)
    own = actual.without(before)
    wanted = own.with_(writing)
    if wanted == actual.terms:
        return []
    if own == actual:
        return _append(actual, writing, pod, prefix)
    return _replace(pod, wanted, prefix)


def entry(thing: Mapping[str, Any], kind: str, key: str, value: str | None) -> Patch:
    """Operations after which a label or annotation (``kind`` is the plural) of an object has a value; None: is gone."""
    entries = (thing.get("metadata") or {}).get(kind) or {}
    path = f"/metadata/{kind}/{key.replace('/', '~1')}"
    if entries.get(key) == value:
        return []
    if value is None:
        return [{"op": "remove", "path": path}]
    return [_add(path, value) if entries else _add(f"/metadata/{kind}", {key: value})]


def ungate(pod: Pod) -> Patch:
    """Operations that end our scheduling gate and no other; none where the pod has none of ours."""
    names = pods.gates(pod)
    if GATE not in names:
        return []
    path = f"/spec/schedulingGates/{names.index(GATE)}"
    return [{"op": "test", "path": f"{path}/name", "value": GATE}, {"op": "remove", "path": path}]


def fits(thing: Mapping[str, Any], key: str, value: str) -> bool:
    """Whether an object can have an annotation beside those that it has."""
    others = sum(
        len(name.encode()) + len(text.encode()) for name, text in pods.annotations(thing).items() if name != key
    )
    return others + len(key) + len(value.encode()) <= MAX_ANNOTATIONS


def _append(own: Constraints, writing: Writing, pod: Pod, prefix: str) -> Patch:
    """Operations that touch nothing but what is added."""
    if writing.created:
        return [_add_required(pod, own.with_(writing), prefix)]
    patch: Patch = []
    for index, requirements in writing.terms.items():
        assert own.terms is not None
        path = f"{prefix}/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms/{index}/matchExpressions"
        raw = [requirement.raw() for requirement in requirements]
        if own.terms[index].get("matchExpressions"):
            patch += [_add(f"{path}/-", expression) for expression in raw]
        else:
            patch.append(_add(path, raw))
    return patch


def _add_required(pod: Pod, wanted: object, prefix: str) -> dict[str, Any]:
    """One operation that adds the required terms under the deepest parent that is there."""
    path, parent, value = f"{prefix}/spec", pod["spec"], {"nodeSelectorTerms": wanted}
    for key, deeper in (("affinity", ("nodeAffinity", REQUIRED)), ("nodeAffinity", (REQUIRED,))):
        if not parent.get(key):
            for name in reversed(deeper):
                value = {name: value}
            return _add(f"{path}/{key}", value)
        path, parent = f"{path}/{key}", parent[key]
    return _add(f"{path}/{REQUIRED}", value)


def _replace(pod: Pod, wanted: object, prefix: str) -> Patch:
    """Put other terms where an earlier invocation of ours wrote.

    Where none are left, empty parents go too: whether they were the user's is not remembered, and means the same.
    """
    affinity, path = pod["spec"]["affinity"], f"{prefix}/spec/affinity"
    if wanted is not None:
        return [{"op": "replace", "path": f"{path}/nodeAffinity/{REQUIRED}/nodeSelectorTerms", "value": wanted}]
    if len(affinity["nodeAffinity"]) > 1:
        return [{"op": "remove", "path": f"{path}/nodeAffinity/{REQUIRED}"}]
    return [{"op": "remove", "path": f"{path}/nodeAffinity" if len(affinity) > 1 else path}]


def _add(path: str, value: object) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}
