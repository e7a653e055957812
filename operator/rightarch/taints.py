"""Taints: whether a pod may be scheduled to a node in spite of them.

Source: k8s.io/api ``core/v1`` (``Toleration.ToleratesTaint``), k8s.io/component-helpers ``scheduling/corev1``
(``FindMatchingUntoleratedTaint``). ``Gt`` and ``Lt`` compare numbers where TaintTolerationComparisonOperators is on
(a feature, alpha in Kubernetes 1.36), and match nothing elsewhere: nothing in the API says what a scheduler has on.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_FORBIDDING: Final = frozenset({"NoSchedule", "NoExecute"})
_PASSING: Final = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "karpenter.sh/")
_UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
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
    """Those taints that none of a pod's tolerations matches, nor may match."""
    return tuple(taint for taint in taints if not any(_matches(each, taint) for each in tolerations))


def doubtful(taints: Iterable[Taint], tolerations: Tolerations) -> bool:
    """Whether one of the taints is tolerated by a comparison alone, which not every scheduler makes."""
    compared = [each for each in tolerations if each.get("operator") in _COMPARING]
    if not compared:
        return False
    sure = [each for each in tolerations if each.get("operator") not in _COMPARING]
    return any(any(_matches(each, taint) for each in compared) for taint in untolerated(taints, sure))


def _matches(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if (toleration.get("effect") or taint.effect) != taint.effect:
        return False
    operator, key = toleration.get("operator") or "Equal", toleration.get("key") or ""
    if key != taint.key and not (operator == "Exists" and not key):
        return False
    return operator == "Exists" or _meets(operator, toleration.get("value") or "", taint.value)


def _meets(operator: str, wanted: str, value: str) -> bool:
    """Whether a taint's value is what a toleration names; an unknown operator names nothing."""
    if operator not in _COMPARING:
        return operator == "Equal" and wanted == value
    if not (_INTEGER.fullmatch(wanted) and _INTEGER.fullmatch(value)):
        return False
    return int(value) > int(wanted) if operator == "Gt" else int(value) < int(wanted)


_COMPARING: Final = frozenset({"Gt", "Lt"})
