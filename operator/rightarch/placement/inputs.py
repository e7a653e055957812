"""Inputs: all that a decision depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rightarch import pod as pods
from rightarch.affinity import Writing
from rightarch.capacity import Capacity
from rightarch.platforms import ImagePlatforms
from rightarch.pod import Pod
from rightarch.policy import BUILT_IN, Effective
from rightarch.reasons import Reason


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the platforms of an image are not known: a look-up's outcome as data.

    Attributes:
        reason: the constant that names the cause.
        message: the cause, for people.
        retry_after: seconds until its registry may be asked again; None where that is not known.
    """

    reason: Reason
    message: str
    retry_after: float | None = None


Outcome = ImagePlatforms | Failure
"""What is known of an image, or why nothing is."""


@dataclass(frozen=True, slots=True)
class Input:
    """All that a decision depends on.

    Attributes:
        pod: the raw pod, or a workload's template, which reads like one.
        images: per image name of the pod, what is known of it or why nothing is.
        capacity: what the nodes of the cluster have.
        written: of a template, what an earlier invocation wrote into it; None for a pod, whose own annotation tells.
        stale: the names of those images whose registry failed to confirm what is known of them.
        policy: what applies to the pod.
        counts: live pods of the pod's owner per share choice, with those that are chosen and not seen yet.
        gating: whether a gate that is added now will be ended: the controller is alive. Else ``Gate`` acts as
            ``afterGate``. For a pod that is stored it is true: the controller itself decides.
        gated: whether the pod is stored and held by our gate: then constraints may only be appended to, and nobody can
            be refused any more.
        overdue: whether its gate has lasted as long as it may.
        namespace: of the pod, where its metadata don't tell.
    """

    pod: Pod
    images: Mapping[str, Outcome]
    capacity: Capacity = field(default_factory=Capacity)
    written: Writing | None = None
    stale: frozenset[str] = frozenset()
    policy: Effective = BUILT_IN
    counts: Mapping[str, int] = field(default_factory=dict)
    gating: bool = False
    gated: bool = False
    overdue: bool = False
    namespace: str = ""

    @property
    def is_template(self) -> bool:
        """Whether it is about a template, which many pods are made of."""
        return self.written is not None

    @property
    def place(self) -> str:
        """The namespace of the pod, as far as anybody told."""
        return self.namespace or pods.namespace(self.pod)
