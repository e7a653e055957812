"""Contradictions: pods for which no architecture is left, and what the policy does about them."""

from typing import Final

from rightarch.affinity import NOTHING
from rightarch.placement.case import Case
from rightarch.placement.decision import Decision
from rightarch.placement.refusal import refused
from rightarch.placement.words import cut, listed
from rightarch.policy import Choices
from rightarch.reasons import Reason

HOPELESS: Final = frozenset({Reason.NO_COMMON_ARCHITECTURE, Reason.NOT_ALLOWED, Reason.CONFLICTING_CONSTRAINT})
"""What no further image can mend."""


def incompatible(case: Case) -> Decision:
    """The images share no architecture."""
    return _against(case, Reason.NO_COMMON_ARCHITECTURE, no_common(case))


def contradicted(case: Case) -> Decision:
    """The images share some, and the policy or the pod's own constraints take all of them away."""
    run = f"its images run on {listed(case.common)} ({case.os})"
    allows = f"{case.policy.name} allows {listed(case.choices.architectures.allowed)} alone"
    admitted = case.own.admitted(case.common, case.os)
    if not case.permitted:
        return _against(case, Reason.NOT_ALLOWED, f"{run}, and {allows}")
    said = case.own.describe() or "no term that a node can match"
    if not admitted:
        reason = Reason.CONFLICTING_CONSTRAINT
        return _against(case, reason, f"{run}, and its own constraints admit none of that: {said}")
    own = f"its own constraints admit {listed(admitted)} of that ({said})"
    return _against(case, Reason.NOT_ALLOWED, f"{run}, {own}, and {allows}")


def no_common(case: Case) -> str:
    """In which way the images share no architecture."""
    each = "; ".join(f"{cut(name)} has {listed(map(str, image.platforms))}" for name, image in case.known.items())
    return f"no architecture is supported by all images under {case.os}: {each}"


def _against(case: Case, reason: Reason, message: str) -> Decision:
    """As the policy says: leave the pod as it is, keep it Pending, or refuse it. A stored pod is kept at best."""
    field, choice = _choice(case.choices, reason)
    if choice == "Deny" and not case.given.gated:
        return refused(case, reason, message, field)
    architectures = case.permitted or case.common
    if choice == "Warn" or not architectures:
        return case.decision(reason, message, NOTHING, architectures)
    writing = case.own.narrowed(case.required(*_enforced(case)))
    told = f"{message}; {case.policy.name} keeps it to both, so that it stays Pending ({field}: {choice})"
    return case.decision(reason, told, writing, architectures)


def _enforced(case: Case) -> list[frozenset[str]]:
    """What is required of a pod that can't meet it: each set by itself, so that the pod's spec tells why."""
    allowed = frozenset(case.choices.architectures.allowed)
    return [case.common, allowed] if allowed and not case.common <= allowed else [case.common]


def _choice(choices: Choices, reason: Reason) -> tuple[str, str]:
    """The field of the policy that is asked, and what it says."""
    if reason is Reason.NO_COMMON_ARCHITECTURE:
        return "onNoCommonArchitecture", choices.on_no_common_architecture
    if reason is Reason.NOT_ALLOWED:
        return "onNotAllowed", choices.on_not_allowed
    return "onConflict", choices.on_conflict
