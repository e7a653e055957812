"""Policies: what admins say about architectures, and which of it applies to a pod. Pure.

Choices (how a pod is decided) come from the one policy that wins; facts (what images and nodes really are) from all
cluster policies that match. One noun a module, each importing only those above it::

    spec        what a policy may say: the models of both kinds
    globs       patterns of images
    selectors   label selectors, one or a thousand at once
    effective   what applies to one pod
    policy      one object that was read, or why it can't be obeyed
    policies    all of them together: gives what applies to a pod
    conflicts   those that lose by their name alone
"""

from rightarch.policy.conflicts import conflicts
from rightarch.policy.effective import BUILT_IN, Effective, Facts
from rightarch.policy.policies import ANNOTATION, Policies
from rightarch.policy.policy import IGNORE, InvalidPolicy, Kind, Policy
from rightarch.policy.spec import (
    ArchitecturePolicySpec,
    Architectures,
    Choices,
    ClusterArchitecturePolicySpec,
    Emulation,
    ImageOverride,
    Mode,
    OnUnresolved,
    Preferred,
    Share,
    TemplateRule,
    Toleration,
)

__all__ = [
    "ANNOTATION",
    "BUILT_IN",
    "IGNORE",
    "ArchitecturePolicySpec",
    "Architectures",
    "Choices",
    "ClusterArchitecturePolicySpec",
    "Effective",
    "Emulation",
    "Facts",
    "ImageOverride",
    "InvalidPolicy",
    "Kind",
    "Mode",
    "OnUnresolved",
    "Policies",
    "Policy",
    "Preferred",
    "Share",
    "TemplateRule",
    "Toleration",
    "conflicts",
]
