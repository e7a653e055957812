"""Refusals: pods that a policy denies, and what their creators are told."""

from collections.abc import Mapping
from typing import Final

from rightarch.affinity import NOTHING
from rightarch.placement.case import Case
from rightarch.placement.decision import Decision
from rightarch.placement.words import cut
from rightarch.reasons import Reason

_TO_DO: Final[Mapping[Reason, str]] = {
    Reason.NO_COMMON_ARCHITECTURE: "Build the images for one architecture that all of them share.",
    Reason.CONFLICTING_CONSTRAINT: "Take the architecture out of the pod's constraints, or build the images for it.",
    Reason.NOT_ALLOWED: "Build the images for an allowed architecture, and let the pod's own constraints admit it.",
    Reason.UNRESOLVED: "Try again once the registry answers.",
    Reason.INVALID_REFERENCE: "Correct the image's name.",
    Reason.IMAGE_NOT_FOUND: "Push the image, or correct its name.",
    Reason.ACCESS_DENIED: "Name a pull secret that may read the image in the pod or its ServiceAccount.",
}
_ELSE: Final = "Name an image that Rightarch can read, or let imageOverrides of a policy tell what this one runs on."
_MAX_CAUSE: Final = 700


def refused(case: Case, reason: Reason, message: str, field: str) -> Decision:
    """A pod that its policy denies: where that is said, why, and what to do."""
    cause = cut(message, _MAX_CAUSE).rstrip(".")
    told = f"{case.policy.name} refuses it ({field}: Deny): {cause}. {_TO_DO.get(reason, _ELSE)}"
    return case.decision(reason, told, NOTHING, case.permitted or case.common, denied=True)
