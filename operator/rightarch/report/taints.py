"""Taints: whether a pod may be scheduled to a node in spite of them.

Source: k8s.io/component-helpers ``scheduling/corev1`` (``ToleratesTaint``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_PASSING: Final = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "karpenter.sh/")
"""Taints that say how a node is at the moment, and nothing of whom it is for."""
_FORBIDDING: Final = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    """A taint that keeps pods from being scheduled to its nodes for good."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"

    def toleration(self) -> dict[str, str]:
        """The toleration that a pod needs, as the API has it."""
        matched = {"operator": "Equal", "value": self.value} if self.value else {"operator": "Exists"}
        return {"key": self.key, **matched, "effect": self.effect}


def lasting(taints: Iterable[Mapping[str, Any]]) -> tuple[Taint, ...]:
    """Those of a node's taints that keep pods away for good, sorted."""
    found = (Taint(str(t.get("key")), str(t.get("value") or ""), str(t.get("effect"))) for t in taints)
    return tuple(sorted({t for t in found if t.effect in _FORBIDDING and not t.key.startswith(_PASSING)}))


def untolerated(taints: Iterable[Taint], tolerations: Sequence[Mapping[str, Any]]) -> tuple[Taint, ...]:
    """Those taints that none of a pod's tolerations matches."""
    return tuple(taint for taint in taints if not any(_matches(each, taint) for each in tolerations))


def _matches(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if (toleration.get("effect") or taint.effect) != taint.effect:
        return False
    exists = toleration.get("operator") == "Exists"
    key = toleration.get("key") or ""
    if key != taint.key and not (exists and not key):
        return False
    return exists or (toleration.get("value") or "") == taint.value
