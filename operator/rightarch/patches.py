"""Patches: JSON Patch operations (RFC 6902) that write constraints and entries, and touch nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rightarch import pod as pods
from rightarch.affinity import Constraints, Writing
from rightarch.pod import PREFERRED, REQUIRED, Pod

MAX_ANNOTATIONS: Final = 256 * 1024
"""Bytes that the API server lets all annotations of an object have: ours must never be what exceeds it."""
GATE: Final = "rightarch.dev/platforms"
"""The scheduling gate that holds pods whose images are not known yet."""

Patch = list[dict[str, Any]]
"""JSON Patch operations."""


def spec(pod: Pod, before: Writing, writing: Writing | None, prefix: str = "") -> Patch:
    """Operations after which the spec is the pod's own with a writing; none where it is that already.

    Args:
        pod: a pod, or a template, which reads like one.
        before: what an earlier invocation wrote: it is taken back.
        writing: what is to be appended to what is the pod's own; None leaves everything as it is.
        prefix: the path of the template in its workload.
    """
    if writing is None or not (before.changes or writing.changes):
        return []
    affinity = _NodeAffinity(pod, before, writing).patch(f"{prefix}/spec")
    return affinity + _tolerations(pod, before, writing, f"{prefix}/spec")


def entries(thing: Mapping[str, Any], kind: str, wanted: Mapping[str, str | None]) -> Patch:
    """Operations after which labels or annotations (``kind`` is the plural) of an object have values; None: are gone.

    Those that are not named stay as they are.
    """
    present = (thing.get("metadata") or {}).get(kind) or {}
    added = {key: value for key, value in wanted.items() if value is not None and present.get(key) != value}
    if not present:
        return [_add(f"/metadata/{kind}", added)] if added else []
    gone = [key for key, value in wanted.items() if value is None and key in present]
    path = f"/metadata/{kind}/"
    return [_add(path + _escaped(key), value) for key, value in added.items()] + [
        {"op": "remove", "path": path + _escaped(key)} for key in gone
    ]


def entry(thing: Mapping[str, Any], kind: str, key: str, value: str | None) -> Patch:
    """Operations after which one label or annotation of an object has a value; None: is gone."""
    return entries(thing, kind, {key: value})


def gate(pod: Pod, *, held: bool) -> Patch:
    """Operations after which our scheduling gate holds the pod, or does not; other gates stay as they are.

    One that goes is tested to be ours.
    """
    names = pods.gates(pod)
    if held is (GATE in names):
        return []
    path = "/spec/schedulingGates"
    if held:
        ours = {"name": GATE}
        return [_add(f"{path}/-", ours) if names else _add(path, [ours])]
    if names == (GATE,):
        return [{"op": "test", "path": f"{path}/0/name", "value": GATE}, {"op": "remove", "path": path}]
    path = f"{path}/{names.index(GATE)}"
    return [{"op": "test", "path": f"{path}/name", "value": GATE}, {"op": "remove", "path": path}]


def ungate(pod: Pod) -> Patch:
    """Operations that end our scheduling gate and no other; none where the pod has none of ours."""
    return gate(pod, held=False)


def fits(thing: Mapping[str, Any], key: str, value: str) -> bool:
    """Whether an object can have an annotation beside those that it has."""
    others = sum(
        len(name.encode()) + len(text.encode()) for name, text in pods.annotations(thing).items() if name != key
    )
    return others + len(key) + len(value.encode()) <= MAX_ANNOTATIONS


class _NodeAffinity:
    """The node affinity of a pod: as it is, without what an earlier invocation wrote, and as it shall be."""

    def __init__(self, pod: Pod, before: Writing, writing: Writing) -> None:
        self._affinity = pod["spec"].get("affinity") or {}
        self._node = self._affinity.get("nodeAffinity") or {}
        self._actual, self._writing = pods.constraints(pod), writing
        self._own = self._actual.without(before)
        self._terms = self._own.with_(writing)
        self._preferred = self._node.get(PREFERRED) or []
        self._own_preferred = without(self._preferred, [each.raw() for each in before.preferences])
        self._added = [each.raw() for each in writing.preferences]

    def patch(self, path: str) -> Patch:
        """Operations on the spec at a path. Parents that would be left empty go too: they mean the same."""
        wanted = {**self._node, REQUIRED: self._required(), PREFERRED: [*self._own_preferred, *self._added]}
        wanted = {key: value for key, value in wanted.items() if value}
        if not wanted:
            return self._gone(path)
        if not self._affinity:
            return [_add(f"{path}/affinity", {"nodeAffinity": wanted})]
        if not self._node:
            return [_add(f"{path}/affinity/nodeAffinity", wanted)]
        path = f"{path}/affinity/nodeAffinity"
        preferred = _items(self._node, PREFERRED, self._own_preferred, self._added, path)
        return self._required_patch(f"{path}/{REQUIRED}") + preferred

    def _required(self) -> Mapping[str, Any] | None:
        return None if self._terms is None else {"nodeSelectorTerms": self._terms}

    def _gone(self, path: str) -> Patch:
        if not any(self._node.values()):
            return []
        others = len(self._affinity) > 1
        return [{"op": "remove", "path": f"{path}/affinity/nodeAffinity" if others else f"{path}/affinity"}]

    def _required_patch(self, path: str) -> Patch:
        if self._terms == self._actual.terms:
            return []
        if self._terms is None:
            return [{"op": "remove", "path": path}]
        if self._actual.terms is None:
            return [_add(path, self._required())]
        if self._own == self._actual:
            return _append(self._actual, self._writing, f"{path}/nodeSelectorTerms")
        return [{"op": "replace", "path": f"{path}/nodeSelectorTerms", "value": self._terms}]


def _append(own: Constraints, writing: Writing, path: str) -> Patch:
    """Operations that touch nothing but what is added."""
    assert own.terms is not None
    patch: Patch = []
    for index, requirements in writing.terms.items():
        raw = [requirement.raw() for requirement in requirements]
        there = f"{path}/{index}/matchExpressions"
        if own.terms[index].get("matchExpressions"):
            patch += [_add(f"{there}/-", expression) for expression in raw]
        else:
            patch.append(_add(there, raw))
    return patch


def _tolerations(pod: Pod, before: Writing, writing: Writing, path: str) -> Patch:
    if not (before.tolerations or writing.tolerations):
        return []
    own = without(pod["spec"].get("tolerations") or [], before.tolerations)
    return _items(pod["spec"], "tolerations", own, writing.tolerations, path)


def without(items: Sequence[Any], ours: Sequence[Any]) -> Sequence[Any]:
    """A list without those items of ours that are in it, each taken once and from the end, where they were added."""
    if not ours:
        return items
    left = list(items)
    for each in reversed(ours):
        index = next((index for index in reversed(range(len(left))) if left[index] == each), None)
        if index is not None:
            del left[index]
    return left


def _items(parent: Mapping[str, Any], key: str, own: Sequence[Any], added: Sequence[Any], path: str) -> Patch:
    """Operations after which a list is the user's own items and those that are added; an empty one goes."""
    actual, path = parent.get(key) or [], f"{path}/{key}"
    wanted = [*own, *added]
    if wanted == actual:
        return []
    if not wanted:
        return [{"op": "remove", "path": path}]
    if actual and own == actual:
        return [_add(f"{path}/-", item) for item in added]
    return [{"op": "replace" if key in parent else "add", "path": path, "value": wanted}]


def _escaped(key: str) -> str:
    """A key as a JSON Pointer has it (RFC 6901); label keys have no tilde."""
    return key.replace("/", "~1")


def _add(path: str, value: object) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}
