"""Fitting: whether a node could run a pod, as far as labels and taints tell. Pure.

What a node has left of CPU and memory, and what a pod says of other pods, is not looked at. Source: the filters
NodeAffinity, TaintToleration and NodeUnschedulable of kube-scheduler.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rightarch import pod as pods
from rightarch import taints
from rightarch.affinity import Term, is_empty
from rightarch.capacity.allowed import read
from rightarch.pod import Pod

Node = Mapping[str, Any]
"""A raw Node."""


def obstacles(pod: Pod, node: Node) -> tuple[str, ...]:
    """Why a node can't run a pod, each as words that follow its name; empty where nothing is in the way.

    Of several terms, of which one is enough, the one that misses least is told.
    """
    spec, labels = node.get("spec") or {}, node["metadata"].get("labels") or {}
    own = pods.constraints(pod)
    found = [
        _mismatch(key, f"{key}={value}", labels) for key, value in own.selector.items() if labels.get(key) != value
    ]
    if own.terms is not None:
        found += _nearest(tuple(_mismatches(term, node)) for term in own.terms if not is_empty(term))
    tolerations = (pod.get("spec") or {}).get("tolerations") or ()
    kept_away = taints.untolerated(taints.read(spec.get("taints")), tolerations)
    found += [f"has the taint {taint}" for taint in kept_away if taint != taints.CORDON]
    if spec.get("unschedulable") and taints.untolerated([taints.CORDON], tolerations):
        found.append("is cordoned")
    return tuple(found)


def _nearest(ways: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    none = ("matches no term: the pod has none that any node could",)
    return min(ways, key=len, default=none)


def _mismatches(term: Term, node: Node) -> Iterator[str]:
    labels = node["metadata"].get("labels") or {}
    for key, allowed in read(term.get("matchExpressions") or ()).items():
        if not allowed.admits(labels.get(key)):
            yield _mismatch(key, f"{key} {allowed}", labels)
    for key, allowed in read(term.get("matchFields") or ()).items():
        if key != "metadata.name" or not allowed.admits(node["metadata"]["name"]):
            yield f"is not the one that the pod names ({key} {allowed})"


def _mismatch(key: str, asked: str, labels: Mapping[str, str]) -> str:
    has = f"has {key}={labels[key]}" if key in labels else f"lacks {key}"
    return f"{has}, not {asked}"
