"""Policies: what admins say about architectures, and which of it applies to a pod. Pure.

Choices (how a pod is decided) come from the one policy that wins; facts (what images and nodes really are) from all
cluster policies that match.
"""

from rightarch.policy.effective import BUILT_IN, Effective, Facts
from rightarch.policy.spec import (
    ArchitecturePolicySpec,
    Architectures,
    Choices,
    ClusterArchitecturePolicySpec,
    Emulation,
    ImageOverride,
    OnUnresolved,
    Preferred,
    Share,
    TemplateRule,
    Toleration,
)

__all__ = [
    "BUILT_IN",
    "ArchitecturePolicySpec",
    "Architectures",
    "Choices",
    "ClusterArchitecturePolicySpec",
    "Effective",
    "Emulation",
    "Facts",
    "ImageOverride",
    "OnUnresolved",
    "Preferred",
    "Share",
    "TemplateRule",
    "Toleration",
]
