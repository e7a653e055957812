"""Taints: whether a pod may be scheduled to a node in spite of them.

Source: k8s.io/component-helpers ``scheduling/corev1`` (``ToleratesTaint``, ``FindMatchingUntoleratedTaint``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_FORBIDDING: Final = frozenset({"NoSchedule", "NoExecute"})
_PASSING: Final = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "karpenter.sh/")
_UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_STARTING: Final = "agent-not-ready"
"""How the keys of those end that a node has until an agent of its network or storage runs."""

Tolerations = Sequence[Mapping[str, Any]]
"""Tolerations as the API has them."""


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    """A taint that keeps pods from being scheduled to its nodes."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"

    @property
    def passes(self) -> bool:
        """Whether it tells how a node is at the moment, and nothing of whom it is for; a cordon stays until lifted."""
        return self.key != _UNSCHEDULABLE and (self.key.startswith(_PASSING) or self.key.endswith(_STARTING))

    def toleration(self) -> dict[str, str]:
        """The toleration that a pod needs, as the API has it."""
        matched = {"operator": "Equal", "value": self.value} if self.value else {"operator": "Exists"}
        return {"key": self.key, **matched, "effect": self.effect}


CORDON: Final = Taint(_UNSCHEDULABLE, "", "NoSchedule")
"""What the scheduler takes ``spec.unschedulable`` for."""


def read(raw: Iterable[Mapping[str, Any]] | None) -> tuple[Taint, ...]:
    """Those taints of a list that forbid, in order, each once; the soft ones keep nobody away."""
    found = (Taint(str(t.get("key")), str(t.get("value") or ""), str(t.get("effect"))) for t in raw or ())
    return tuple(sorted({taint for taint in found if taint.effect in _FORBIDDING}))


def untolerated(taints: Iterable[Taint], tolerations: Tolerations) -> tuple[Taint, ...]:
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
