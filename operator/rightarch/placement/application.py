"""Application: the operations that carry a decision out on the pod that it was made for."""

from dataclasses import replace
from typing import Final

from rightarch import patches
from rightarch import pod as pods
from rightarch.patches import Patch
from rightarch.placement.decision import Decision
from rightarch.placement.record import KEY, short, shortest
from rightarch.placement.shares import SHARE
from rightarch.pod import Pod
from rightarch.reasons import Reason

GATED: Final = "rightarch.dev/gated"
"""The label of pods that our gate holds."""
APPLIED: Final = "rightarch.dev/applied-policy"
"""The label that tells which policy decided: the value of ``Effective.label``."""
AUDITED: Final = "rightarch.dev/audit"
"""The label of pods whose spec was left as it is because their policy only audits."""
_YES: Final = "true"


def apply(decision: Decision, pod: Pod) -> Patch:
    """The JSON Patch that carries a decision out; empty where all is as it should be, and where the pod is refused.

    Args:
        decision: made for this pod.
        pod: as it was when it was decided on.
    """
    if decision.denied or (decision.reason is Reason.SKIPPED and pods.is_mirror(pod)):
        return []
    patch = patches.spec(pod, decision.before, decision.writing) + patches.gate(pod, held=decision.gate)
    patch += patches.entries(pod, "labels", _labels(decision, pod))
    return patch + patches.entry(pod, "annotations", KEY, _fitting(decision, pod))


def release(decision: Decision, pod: Pod) -> Patch:
    """The JSON Patch that writes what was decided on a stored pod and ends its gate, in one update.

    Args:
        decision: made with ``Input.gated``. The gate ends even if it would hold the pod on.
        pod: as it was read. That nobody has changed it since is the caller's condition, by its resourceVersion.

    Returns:
        Operations that the API server takes on gated pods: lists are appended to, and nothing is taken back. One of
        them tests that it is our gate that goes.
    """
    return apply(replace(decision, gate=False, denied=False), pod)


def _labels(decision: Decision, pod: Pod) -> dict[str, str | None]:
    """Our labels. A share label stays, unless we chose it before and no choice is left."""
    labels: dict[str, str | None] = {
        KEY: str(decision.reason),
        GATED: _YES if decision.gate else None,
        APPLIED: decision.policy.label or None,
        AUDITED: _YES if decision.audit else None,
    }
    if decision.share is not None:
        labels[SHARE] = decision.share
    elif decision.shared is not None and pods.labels(pod).get(SHARE) == decision.shared:
        labels[SHARE] = None
    return labels


def _fitting(decision: Decision, pod: Pod) -> str | None:
    """The longest record that the pod's annotations leave room for."""
    for write in (short, shortest):
        if patches.fits(pod, KEY, text := write(decision)):
            return text
    return None
