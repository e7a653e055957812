"""What a policy may say: the specs of ClusterArchitecturePolicy and ArchitecturePolicy.

The models are the one source of the definitions in ``crds/``, and validate what is read from a cluster or a file.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

MAX_ARCHITECTURES: Final = 16
"""Architectures that a list names: Kubernetes runs on six."""
MAX_FACTS: Final = 256
"""Entries of a list of facts."""

Mode = Literal["Enforce", "Audit", "Off"]
Binding = Literal["Mandatory", "Default"]
When = Literal["Never", "OnAdmission", "Reconcile"]
Kind = Literal["Deployment", "StatefulSet", "DaemonSet", "CronJob"]

Architecture = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$")]
"""The value of the label kubernetes.io/arch, such as arm64."""
LabelKey = Annotated[
    str,
    StringConstraints(
        max_length=317,
        pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$",
    ),
]
LabelValue = Annotated[
    str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")
]


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules as a schema carries them: pairs of a rule and what is told where it is broken."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


class Model(BaseModel):
    """Fields are spelt in camelCase in objects. What a newer version added is passed over."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class SelectorRequirement(Model):
    """One condition on a label."""

    key: LabelKey = Field(description="The label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label's value and the values relate: In, NotIn, Exists or DoesNotExist."
    )
    values: tuple[LabelValue, ...] = Field(
        default=(), max_length=64, description="For In and NotIn: the values. Else none."
    )


class Selector(Model):
    """A label selector, as everywhere in Kubernetes: all conditions must hold; an empty one matches everything."""

    match_labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, max_length=64, description="Labels and the values that they must have."
    )
    match_expressions: tuple[SelectorRequirement, ...] = Field(
        default=(), max_length=64, description="Further conditions."
    )


class Preferred(Model):
    """An architecture that pods should rather run on."""

    architecture: Architecture = Field(description="The architecture, such as arm64.")
    weight: int = Field(ge=1, le=100, description="How much, from 1 to 100, as in a pod's preferred node affinity.")


class Share(Model):
    """The part of a workload's pods that prefers an architecture."""

    architecture: Architecture = Field(description="The architecture, such as arm64.")
    percent: int = Field(ge=0, le=100, description="The part of the pods, in percent.")


class Architectures(Model):
    """On which architectures pods may, and should rather, run."""

    allowed: tuple[Architecture, ...] = Field(
        default=(), max_length=MAX_ARCHITECTURES, description="Those that pods may run on; all if none is named."
    )
    preferred: tuple[Preferred, ...] = Field(
        default=(),
        max_length=MAX_ARCHITECTURES,
        description="Those that they should rather run on: a soft preference, where the images leave a choice.",
    )
    share: tuple[Share, ...] = Field(
        default=(),
        max_length=MAX_ARCHITECTURES,
        description="The part of each workload's pods that prefers an architecture; the rest prefers the others. So a "
        "move can be gradual.",
    )
    same_for: LabelKey | None = Field(
        default=None,
        description="A label: pods of a namespace with the same value of it get the same share choice, such as a Spark "
        "driver and its executors.",
    )


class OnUnresolved(Model):
    """What becomes of a pod with an image that can't be known now."""

    action: Literal["Gate", "Allow", "Fallback", "Deny"] = Field(
        default="Gate",
        description="Gate: a scheduling gate holds the pod until the image is known. Allow: it is admitted as it is. "
        "Fallback: the architectures named in fallback are assumed. Deny: it is refused.",
    )
    fallback: tuple[Architecture, ...] = Field(
        default=(),
        max_length=MAX_ARCHITECTURES,
        description="The architectures that are assumed where Fallback is chosen, here, in afterGate or in "
        "onUnreadable.",
    )
    gate_timeout_seconds: int = Field(
        default=60, ge=1, le=3600, description="Seconds after which a gated pod is released, as afterGate says."
    )
    after_gate: Literal["Allow", "Fallback"] = Field(
        default="Allow", description="What becomes of a pod whose image was not known in that time."
    )
    lookup_budget_milliseconds: int = Field(
        default=1000,
        ge=0,
        le=3000,
        description="How long an admission waits for images not known yet, in milliseconds.",
    )


class TemplateRule(Model):
    """Which workloads get the constraint in their template, not only in their pods, and when."""

    kinds: tuple[Kind, ...] = Field(min_length=1, max_length=4, description="The kinds of workloads.")
    when: When = Field(
        description="Never: pods alone. OnAdmission: when the workload is created or its template changes. Reconcile: "
        "also workloads that are there already, which rolls out their pods."
    )
    owned: bool = Field(
        default=False, description="Whether workloads that another controller wrote, by an ownerReference, get it too."
    )
    max_unavailable_workloads: int = Field(
        default=1, ge=1, le=1000, description="With Reconcile: how many workloads may be rolling out at a time."
    )


class Choices(Model):
    """How pods are decided. One policy wins for a pod; choices of several are never mixed."""

    priority: int = Field(
        default=0,
        ge=-1_000_000,
        le=1_000_000,
        description="Among policies of the same binding the highest wins; among equals, the first by name.",
    )
    mode: Mode = Field(
        default="Enforce",
        description="Enforce: pods are constrained. Audit: their spec stays, label and annotation tell what would have "
        "been done. Off: they are left alone.",
    )
    pod_selector: Selector | None = Field(
        default=None, description="The pods that it is for, by labels; all if absent."
    )
    architectures: Architectures = Field(
        default=Architectures(), description="On which architectures pods may, and should rather, run."
    )
    on_unresolved: OnUnresolved = Field(
        default=OnUnresolved(), description="What becomes of a pod with an image that can't be known now."
    )
    on_unreadable: Literal["Allow", "Fallback", "Deny"] = Field(
        default="Allow",
        description="What becomes of a pod with an image that can't be known at all: not found, no access, no image. "
        "Fallback assumes the architectures of onUnresolved.fallback.",
    )
    on_no_common_architecture: Literal["Warn", "Deny"] = Field(
        default="Warn", description="What becomes of a pod whose images share no architecture."
    )
    on_conflict: Literal["Warn", "Enforce", "Deny"] = Field(
        default="Warn",
        description="What becomes of a pod whose own constraints admit no architecture that its images support. "
        "Enforce: it is constrained nevertheless, and stays Pending.",
    )
    on_not_allowed: Literal["Warn", "Enforce", "Deny"] = Field(
        default="Warn",
        description="What becomes of a pod whose images run on no allowed architecture. Enforce: it is constrained to "
        "both, and stays Pending.",
    )
    operating_systems: tuple[Architecture, ...] = Field(
        default=("linux",),
        min_length=1,
        max_length=MAX_ARCHITECTURES,
        description="Pods of other operating systems are left alone.",
    )
    templates: tuple[TemplateRule, ...] = Field(
        default=(),
        max_length=8,
        description="Which workloads get the constraint in their template. The first rule that names a kind holds; "
        "without one, DaemonSets get it OnAdmission, others Never.",
    )
    allow_opt_out: bool = Field(
        default=True,
        description="Whether a pod, a template or a namespace may opt out, or name another policy, by the annotation "
        "rightarch.dev/policy.",
    )

    def template(self, kind: str) -> TemplateRule:
        """The rule for the templates of a kind of workload."""
        return next((rule for rule in self.templates if kind in rule.kinds), _TEMPLATES.get(kind, _NEVER))


_NEVER: Final = TemplateRule(kinds=("Deployment", "StatefulSet", "CronJob"), when="Never")
_TEMPLATES: Final = {"DaemonSet": TemplateRule(kinds=("DaemonSet",), when="OnAdmission")}


class ImageOverride(Model):
    """What is true of images, whatever their manifests say."""

    pattern: str = Field(
        min_length=1,
        max_length=512,
        description="A glob on the image's canonical name, such as registry.example.com/legacy/*. * stands for any "
        "characters, / too; ? for one.",
    )
    platforms: tuple[str, ...] = Field(
        min_length=1,
        max_length=32,
        description="What the images run on, as OS/ARCHITECTURE, such as linux/amd64.",
    )
    reason: str = Field(default="", max_length=256, description="Why, for people.")


class TolerationSpec(Model):
    """A toleration, as a pod has it."""

    key: LabelKey | None = Field(default=None, description="The taint's key; all if absent, with operator Exists.")
    operator: Literal["Equal", "Exists"] = Field(default="Equal", description="Equal or Exists.")
    value: LabelValue | None = Field(default=None, description="The taint's value, with Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect; all if absent."
    )
    toleration_seconds: int | None = Field(default=None, ge=0, description="For NoExecute: how long it is tolerated.")


class Toleration(Model):
    """A toleration that pods get which may run on an architecture."""

    architecture: Architecture = Field(description="The architecture, such as arm64.")
    toleration: TolerationSpec = Field(description="The toleration, as a pod has it.")


class Emulation(Model):
    """Nodes that run programs of an architecture that is not theirs, by QEMU and binfmt_misc."""

    architecture: Architecture = Field(description="The architecture that they emulate.")
    node_selector: dict[LabelKey, LabelValue] = Field(
        min_length=1, max_length=16, description="The labels of the nodes that do."
    )


class CapacitySpec(Model):
    """What the cluster can offer beyond its nodes and NodePools."""

    assume: tuple[Architecture, ...] = Field(
        default=(),
        max_length=MAX_ARCHITECTURES,
        description="Architectures that node groups offer which stand at zero and belong to another autoscaler.",
    )


class ArchitecturePolicySpec(Choices):
    """What a namespace's policy says: choices alone."""


class ClusterArchitecturePolicySpec(Choices):
    """What a cluster's policy says: choices, for whom, and facts."""

    binding: Binding = Field(
        default="Default",
        description="Mandatory: before the policies of namespaces. Default: after them.",
    )
    namespace_selector: Selector | None = Field(
        default=None, description="The namespaces that it is for, by labels; all if absent."
    )
    image_overrides: tuple[ImageOverride, ...] = Field(
        default=(),
        max_length=MAX_FACTS,
        description="What images run on whose manifest lies or that can't be read. The longest literal part of a "
        "pattern wins, then the policy's name.",
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=MAX_FACTS, description="Tolerations that pods get which may run on an architecture."
    )
    emulation: tuple[Emulation, ...] = Field(
        default=(),
        max_length=MAX_ARCHITECTURES,
        description="Nodes that emulate an architecture: for pods whose images share none otherwise.",
    )
    runtime_classes: tuple[str, ...] = Field(
        default=(),
        max_length=64,
        description="RuntimeClasses that run programs of other architectures: their pods are left alone.",
    )
    capacity: CapacitySpec = Field(
        default=CapacitySpec(), description="What the cluster can offer beyond its nodes and NodePools."
    )
