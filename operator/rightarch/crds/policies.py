"""The two kinds of policies, as objects: what they say, and what is told of them."""

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from rightarch.api import CATEGORY
from rightarch.crds.definition import Definition
from rightarch.policy.policy import IGNORE
from rightarch.policy.spec import ArchitecturePolicySpec, ClusterArchitecturePolicySpec, Model, Rule

_NAMED: Final = (
    Rule(
        f"self.metadata.name != '{IGNORE}'",
        lambda _: True,  # the name is no part of the model: who reads the object looks at it
        f"a policy can't be called {IGNORE}: that is what the annotation says to opt out",
    ),
)


class Condition(Model):
    """What is true of an object, as conditions of Kubernetes say it."""

    type: Annotated[str, StringConstraints(max_length=63)] = Field(description="Ready or Conflicted.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    observed_generation: int = Field(ge=0, description="The metadata.generation that it is said of.")
    last_transition_time: AwareDatetime = Field(description="When the status came to be what it is.")
    reason: Annotated[str, StringConstraints(max_length=63)] = Field(description="Why, in one word.")
    message: Annotated[str, StringConstraints(max_length=4096)] = Field(description="Why, for people.")


class PolicyStatus(Model):
    """What is told of a policy. Rightarch's controller writes it."""

    observed_generation: int | None = Field(
        default=None, ge=0, description="The metadata.generation that the status tells of."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=8,
        description="Ready: whether it can be obeyed; if not, it counts as absent. Conflicted: whether it lost to "
        "another of the same priority by its name alone, for pods that both are for.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    pods: int | None = Field(
        default=None,
        ge=0,
        description="How many pods that have not ended it decided, by their label rightarch.dev/applied-policy, when "
        "they were last counted: every few minutes.",
    )


class ClusterArchitecturePolicy(Model):
    """What holds for the pods of the cluster, or of some namespaces: on which architectures they may run, and how.

    One policy wins for a pod: first those of the cluster with binding Mandatory, then its namespace's own, then those
    of the cluster with binding Default; among these the one of the highest priority, then the first by name. What a
    policy of the cluster says of images, tolerations, emulation, RuntimeClasses and capacity holds for all pods that
    it is for, whichever policy wins.
    """

    RULES: ClassVar = _NAMED

    spec: ClusterArchitecturePolicySpec = Field(description="What holds, and for which pods.")
    status: PolicyStatus | None = Field(default=None, description="What became of it.")


class ArchitecturePolicy(Model):
    """What holds for the pods of its namespace: on which architectures they may run, and how.

    One policy wins for a pod: first those of the cluster with binding Mandatory, then its namespace's own, then those
    of the cluster with binding Default; among these the one of the highest priority, then the first by name.
    """

    RULES: ClassVar = _NAMED

    spec: ArchitecturePolicySpec = Field(description="What holds, and for which pods.")
    status: PolicyStatus | None = Field(default=None, description="What became of it.")


def _condition(kind: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].status'


def _columns(*more: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return (
        {"name": "Mode", "type": "string", "jsonPath": ".spec.mode"},
        *more,
        {"name": "Priority", "type": "integer", "jsonPath": ".spec.priority"},
        {"name": "Ready", "type": "string", "jsonPath": _condition("Ready")},
        {"name": "Pods", "type": "integer", "jsonPath": ".status.pods"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        {"name": "Conflicted", "type": "string", "jsonPath": _condition("Conflicted"), "priority": 1},
        {
            "name": "Message",
            "type": "string",
            "jsonPath": '.status.conditions[?(@.type=="Ready")].message',
            "priority": 1,
        },
    )


CLUSTER_ARCHITECTURE_POLICIES: Final = Definition(
    {
        "kind": "ClusterArchitecturePolicy",
        "listKind": "ClusterArchitecturePolicyList",
        "plural": "clusterarchitecturepolicies",
        "singular": "clusterarchitecturepolicy",
        "shortNames": ["cap"],
        "categories": [CATEGORY],
    },
    ClusterArchitecturePolicy,
    _columns({"name": "Binding", "type": "string", "jsonPath": ".spec.binding"}),
    status=True,
)

ARCHITECTURE_POLICIES: Final = Definition(
    {
        "kind": "ArchitecturePolicy",
        "listKind": "ArchitecturePolicyList",
        "plural": "architecturepolicies",
        "singular": "architecturepolicy",
        "shortNames": ["ap"],
        "categories": [CATEGORY],
    },
    ArchitecturePolicy,
    _columns(),
    namespaced=True,
    status=True,
)
