"""What a policy may say: the specs of ClusterArchitecturePolicy and ArchitecturePolicy.

The models are the one source of the definitions in ``crds/``, and validate what is read from a cluster or a file. A
rule that concerns several fields stands here twice, side by side: in CEL for the API server, and in Python.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from rightarch.structural import rules

MAX_ARCHITECTURES: Final = 16
"""Architectures that a list names: Kubernetes runs on six."""
MAX_FACTS: Final = 256
"""Entries of a list of facts."""

Mode = Literal["Enforce", "Audit", "Off"]
Binding = Literal["Mandatory", "Default"]
When = Literal["Never", "OnAdmission", "Reconcile"]
Kind = Literal["Deployment", "StatefulSet", "DaemonSet", "CronJob"]

_NAME: Final = StringConstraints(max_length=63, pattern=r"^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$")
_NICKNAMES: Final = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm", "armel": "arm"}
"""What others call architectures: no node has such a label, so that nothing would ever match."""


class NodeArchitecture:
    """Says of a name that it is one that nodes have."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check it."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Say it."""
        told = ", ".join(f"{nickname} is {name}" for nickname, name in _NICKNAMES.items())
        return {**handler(schema), **rules((f"!(self in {list(_NICKNAMES)})", f"in Kubernetes {told}"))}

    def _checked(self, name: str) -> str:
        if meant := _NICKNAMES.get(name):
            raise ValueError(f"{name} is {meant} in Kubernetes")
        return name


Architecture = Annotated[str, _NAME, NodeArchitecture()]
"""The value of the label kubernetes.io/arch, such as arm64."""
OperatingSystem = Annotated[str, _NAME]
"""The value of the label kubernetes.io/os, such as linux."""
_DNS_LABEL: Final = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_LABEL_KEY: Final = rf"^({_DNS_LABEL}([.]{_DNS_LABEL})*/)?[A-Za-z0-9]([A-Za-z0-9_.-]{{0,61}}[A-Za-z0-9])?$"
"""As the API server has it of pods: what a policy writes on one must not be what it is refused for."""
_MAX_LABEL_KEY: Final = 317
_MAX_PREFIX: Final = 253
LabelKey = Annotated[str, StringConstraints(max_length=_MAX_LABEL_KEY, pattern=_LABEL_KEY)]
LabelValue = Annotated[
    str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")
]


def _short_prefixes(labels: dict[str, str]) -> dict[str, str]:
    if long := next((key for key in labels if key.find("/") > _MAX_PREFIX), None):
        raise ValueError(f"the prefix of a label's key has at most {_MAX_PREFIX} characters: {long[:20]}…")
    return labels


class LabelKeys:
    """Says of a map what its keys look like: a structural schema has words for the values alone."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check what their pattern can't say."""
        return core_schema.no_info_after_validator_function(_short_prefixes, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Say it."""
        rule = (
            f"self.all(key, size(key) <= {_MAX_LABEL_KEY} && key.indexOf('/') <= {_MAX_PREFIX} "
            f"&& key.matches('{_LABEL_KEY}'))"
        )
        return {**handler(schema), **rules((rule, "a label's key has an optional prefix, a DNS name, and a name"))}


Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64), LabelKeys()]


ObjectName = Annotated[str, StringConstraints(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]


@dataclass(frozen=True, slots=True)
class Distinct:
    """A list without doubles, to which several may apply entries of their own (``x-kubernetes-list-type``).

    Attributes:
        by: the field in which entries must differ, spelt as in Python; empty where they are plain values.
    """

    by: str = ""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check it."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Say it."""
        kind = (
            {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [to_camel(self.by)]}
            if self.by
            else {"x-kubernetes-list-type": "set"}
        )
        return {**handler(schema), **kind}

    def _checked(self, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        keys = [getattr(entry, self.by) if self.by else entry for entry in entries]
        if twice := next((key for index, key in enumerate(keys) if key in keys[:index]), None):
            raise ValueError(f"{twice} stands there twice")
        return entries


ArchitectureSet = Annotated[tuple[Architecture, ...], Field(max_length=MAX_ARCHITECTURES), Distinct()]


class Rule(NamedTuple):
    """What must be true of an object's fields together.

    Attributes:
        cel: as the API server checks it.
        holds: as Python does, for what is not read from an API server, or was stored before the rule was there.
        message: what is told where it is broken.
    """

    cel: str
    holds: Callable[[Any], object]
    message: str


def _with_rules(schema: dict[str, Any], model: type["Model"]) -> None:
    schema.update(model.STRUCTURE)
    if model.RULES:
        schema.update(rules(*((rule.cel, rule.message) for rule in model.RULES)))


class Model(BaseModel):
    """Fields are spelt in camelCase in objects. What a newer version added is passed over."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        json_schema_extra=_with_rules,
    )

    RULES: ClassVar[tuple[Rule, ...]] = ()
    STRUCTURE: ClassVar[dict[str, str]] = {}
    """What Kubernetes alone understands of its schema."""

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        for rule in self.RULES:
            if not rule.holds(self):
                raise ValueError(rule.message)
        return self


class SelectorRequirement(Model):
    """One condition on a label."""

    RULES: ClassVar = (
        Rule(
            "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 "
            ": !has(self.values) || size(self.values) == 0",
            lambda self: (self.operator in {"In", "NotIn"}) == bool(self.values),
            "In and NotIn need values; Exists and DoesNotExist have none",
        ),
    )

    key: LabelKey = Field(description="The label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label's value and the values relate: In, NotIn, Exists or DoesNotExist."
    )
    values: tuple[LabelValue, ...] = Field(
        default=(), max_length=64, description="For In and NotIn: the values. Else none."
    )


class Selector(Model):
    """A label selector, as everywhere in Kubernetes: all conditions must hold; an empty one matches everything."""

    STRUCTURE: ClassVar = {"x-kubernetes-map-type": "atomic"}

    match_labels: Labels = Field(default_factory=dict, description="Labels and the values that they must have.")
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

    RULES: ClassVar = (
        Rule(
            "!has(self.preferred) || size(self.preferred) == 0 || !has(self.share) || size(self.share) == 0",
            lambda self: not (self.preferred and self.share),
            "preferred and share don't go together: a share is a preference",
        ),
        Rule(
            "!has(self.share) || self.share.map(each, each.percent).sum() <= 100",
            lambda self: sum(each.percent for each in self.share) <= 100,
            "the percentages of share add up to more than 100",
        ),
        Rule(
            "!has(self.allowed) || size(self.allowed) == 0 || !has(self.preferred) "
            "|| self.preferred.all(each, each.architecture in self.allowed)",
            lambda self: _within(self.preferred, self.allowed),
            "preferred names an architecture that is not allowed",
        ),
        Rule(
            "!has(self.allowed) || size(self.allowed) == 0 || !has(self.share) "
            "|| self.share.all(each, each.architecture in self.allowed)",
            lambda self: _within(self.share, self.allowed),
            "share names an architecture that is not allowed",
        ),
        Rule(
            "!has(self.sameFor) || has(self.share) && size(self.share) > 0",
            lambda self: self.same_for is None or self.share,
            "sameFor says which pods get the same choice of a share: there is none",
        ),
    )

    allowed: ArchitectureSet = Field(default=(), description="Those that pods may run on; all if none is named.")
    preferred: Annotated[tuple[Preferred, ...], Field(max_length=MAX_ARCHITECTURES), Distinct("architecture")] = Field(
        default=(),
        description="Those that they should rather run on: a soft preference, where the images leave a choice.",
    )
    share: Annotated[tuple[Share, ...], Field(max_length=MAX_ARCHITECTURES), Distinct("architecture")] = Field(
        default=(),
        description="The part of each workload's pods that prefers an architecture; the rest prefers the others. So a "
        "move can be gradual.",
    )
    same_for: LabelKey | None = Field(
        default=None,
        description="A label: pods of a namespace with the same value of it get the same share choice, such as a Spark "
        "driver and its executors.",
    )


def _within(entries: Iterable[Preferred | Share], allowed: tuple[str, ...]) -> bool:
    return not allowed or all(each.architecture in allowed for each in entries)


class OnUnresolved(Model):
    """What becomes of a pod with an image that can't be known now."""

    action: Literal["Gate", "Allow", "Fallback", "Deny"] = Field(
        default="Gate",
        description="Gate: a scheduling gate holds the pod until the image is known. Allow: it is admitted as it is. "
        "Fallback: the architectures named in fallback are assumed. Deny: it is refused.",
    )
    fallback: ArchitectureSet = Field(
        default=(),
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

    kinds: Annotated[tuple[Kind, ...], Field(min_length=1, max_length=4), Distinct()] = Field(
        description="The kinds of workloads."
    )
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

    RULES: ClassVar = (
        Rule(
            "(self.onUnresolved.action != 'Fallback' && self.onUnresolved.afterGate != 'Fallback' "
            "&& self.onUnreadable != 'Fallback') "
            "|| has(self.onUnresolved.fallback) && size(self.onUnresolved.fallback) > 0",
            lambda self: self.on_unresolved.fallback or not _falls_back(self),
            "Fallback is chosen: onUnresolved.fallback must name the architectures",
        ),
        Rule(
            "!has(self.templates) || self.templates.all(rule, rule.kinds.all(kind, "
            "self.templates.exists_one(other, kind in other.kinds)))",
            lambda self: len(_kinds(self.templates)) == len(set(_kinds(self.templates))),
            "templates names a kind in two rules",
        ),
    )

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
        description="What becomes of a pod whose images, or whose own constraints, leave no allowed architecture. "
        "Enforce: it is constrained to both, and stays Pending.",
    )
    operating_systems: Annotated[
        tuple[OperatingSystem, ...], Field(min_length=1, max_length=MAX_ARCHITECTURES), Distinct()
    ] = Field(
        default=("linux",),
        description="Pods of other operating systems are left alone.",
    )
    templates: tuple[TemplateRule, ...] = Field(
        default=(),
        max_length=8,
        description="Which workloads get the constraint in their template. Each kind stands in one rule; "
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


def _falls_back(choices: Choices) -> bool:
    unresolved = choices.on_unresolved
    return "Fallback" in (unresolved.action, unresolved.after_gate, choices.on_unreadable)


def _kinds(templates: Iterable[TemplateRule]) -> list[Kind]:
    return [kind for rule in templates for kind in rule.kinds]


_NEVER: Final = TemplateRule(kinds=("Deployment", "StatefulSet", "CronJob"), when="Never")
_TEMPLATES: Final = {"DaemonSet": TemplateRule(kinds=("DaemonSet",), when="OnAdmission")}


_GLOB: Final = r"^[A-Za-z0-9._/:@*?\[\]-]+$"
_PLATFORM_PART: Final = "[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?"
PlatformName = Annotated[str, StringConstraints(max_length=127, pattern=rf"^{_PLATFORM_PART}/{_PLATFORM_PART}$")]
"""An operating system and an architecture. No variant: which nodes have one, no label tells."""


def _begins_with_host(pattern: str) -> bool:
    host = pattern.partition("/")[0]
    return re.search(r"[.:*?]|^localhost$", host) is not None and re.search(r"[/*]", pattern) is not None


class ImageOverride(Model):
    """What is true of images, whatever their manifests say."""

    RULES: ClassVar = (
        Rule(
            "self.pattern.startsWith('*') || self.pattern.split('/', 2)[0].matches('[.:*?]|^localhost$') "
            "&& self.pattern.matches('[/*]')",
            lambda self: self.pattern.startswith("*") or _begins_with_host(self.pattern),
            "a pattern is compared with whole names: begin with the registry, as in docker.io/library/nginx, or with *",
        ),
    )

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=_GLOB)] = Field(
        description="A glob on the image's whole name, with its tag or digest or without, such as "
        "registry.example.com/legacy/*. * stands for any characters, / too; ? for one.",
    )
    platforms: Annotated[tuple[PlatformName, ...], Field(min_length=1, max_length=32), Distinct()] = Field(
        description="What the images run on, as OS/ARCHITECTURE, such as linux/amd64.",
    )
    reason: str = Field(default="", max_length=256, description="Why, for people.")


class TolerationSpec(Model):
    """A toleration, as a pod has it."""

    RULES: ClassVar = (
        Rule(
            "has(self.key) || self.operator == 'Exists'",
            lambda self: self.key is not None or self.operator == "Exists",
            "a toleration without a key, of all taints, needs the operator Exists",
        ),
        Rule(
            "self.operator != 'Exists' || !has(self.value) || self.value == ''",
            lambda self: self.operator != "Exists" or not self.value,
            "with the operator Exists there is no value",
        ),
        Rule(
            "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
            lambda self: self.toleration_seconds is None or self.effect == "NoExecute",
            "tolerationSeconds are for the effect NoExecute",
        ),
        Rule(
            f"!has(self.key) || self.key.indexOf('/') <= {_MAX_PREFIX}",
            lambda self: self.key is None or self.key.find("/") <= _MAX_PREFIX,
            f"the prefix of a key has at most {_MAX_PREFIX} characters",
        ),
    )

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
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(min_length=1, max_length=16), LabelKeys()] = Field(
        description="The labels of the nodes that do."
    )


class CapacitySpec(Model):
    """What the cluster can offer beyond its nodes and NodePools."""

    assume: ArchitectureSet = Field(
        default=(),
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
    image_overrides: Annotated[tuple[ImageOverride, ...], Field(max_length=MAX_FACTS), Distinct("pattern")] = Field(
        default=(),
        description="What images run on whose manifest lies or that can't be read. The longest literal part of a "
        "pattern wins, then the policy's name.",
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=MAX_FACTS, description="Tolerations that pods get which may run on an architecture."
    )
    emulation: Annotated[tuple[Emulation, ...], Field(max_length=MAX_ARCHITECTURES), Distinct("architecture")] = Field(
        default=(),
        description="Nodes that emulate an architecture: for pods whose images share none otherwise.",
    )
    runtime_classes: Annotated[tuple[ObjectName, ...], Field(max_length=64), Distinct()] = Field(
        default=(),
        description="RuntimeClasses that run programs of other architectures: their pods are left alone.",
    )
    capacity: CapacitySpec = Field(
        default=CapacitySpec(), description="What the cluster can offer beyond its nodes and NodePools."
    )
