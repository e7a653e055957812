"""Exclusion: pods whose place is none of our business."""

from rightarch import pod as pods
from rightarch.placement.decision import DEFAULT_OS
from rightarch.placement.words import cut, listed
from rightarch.pod import Pod
from rightarch.policy import BUILT_IN, Effective


def bound(pod: Pod) -> str | None:
    """Why nobody can change where a pod goes, or None: a constraint could only strand it."""
    if pods.is_mirror(pod):
        return "it mirrors a static pod"
    if pods.is_bound(pod):
        return "it names its node"
    if pods.is_pinned(pod):
        return "its required terms name single nodes"
    return None


def left_alone(pod: Pod, policy: Effective) -> str | None:
    """Why a pod is left alone by what applies to it, or None."""
    if policy.ignored:
        return f"it opted out of {policy.name}: {policy.why}"
    if policy.choices.mode == "Off":
        return f"{policy.name} leaves it alone (mode: Off)"
    if (runtime := pods.runtime_class(pod)) and runtime in policy.facts.runtime_classes:
        return f"its RuntimeClass {cut(runtime)} runs programs of other architectures"
    return None


def foreign(os: str, policy: Effective) -> str | None:
    """Why a pod of an operating system is left alone, or None."""
    systems = policy.choices.operating_systems
    return None if os in systems else f"its operating system is {cut(os)}, and {policy.name} is for {listed(systems)}"


def skip(pod: Pod, policy: Effective = BUILT_IN) -> str | None:
    """Why a pod's place is none of our business, or None. Asked before any look-up."""
    return bound(pod) or left_alone(pod, policy) or foreign(operating_system(pod), policy)


def operating_system(pod: Pod) -> str:
    """The one operating system of a pod: as it states it, as its constraints name it, or else Linux."""
    return pods.os_name(pod) or pods.constraints(pod).named_os() or DEFAULT_OS
