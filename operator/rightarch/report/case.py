"""Cases: one shape of a workload's pods that is to be judged, and what is asked about it. Pure.

All of it is asked of the engine that decides for pods (``placement.decide``).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from rightarch import pod as pods
from rightarch.affinity import ARCH_KEYS, Constraints, Expression, Requirement, Term
from rightarch.placement import KEY, Decision, Failure, Input, decide, read_record
from rightarch.platforms import ImagePlatforms
from rightarch.pod import MIRROR, Pod
from rightarch.policy import BUILT_IN, Effective
from rightarch.reasons import Reason
from rightarch.report.nodes import NAMING, Nodes
from rightarch.report.workload import Shape

Image = ImagePlatforms | Failure

_SYSTEMS: Final = ("linux", "windows")
_NOT_ASKED: Final = Failure(Reason.UNRESOLVED, "it was not asked for")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about every workload.

    Attributes:
        architecture: the wanted one.
        images: what is known of each image, by its name in pods, or why nothing is.
        nodes: those of the cluster; none where they can't be read.
        guarded: whether Rightarch's admission sees pods that are yet to come.
        updates: per image that lacks the architecture, the newer one that has it.
        policy: what applies to a pod of a namespace.
    """

    architecture: str
    images: Mapping[str, Image]
    nodes: Nodes = field(default_factory=Nodes)
    guarded: bool = False
    updates: Mapping[str, str] = field(default_factory=dict)
    policy: Callable[[str, Pod], Effective] = lambda _namespace, _pod: BUILT_IN


@dataclass(frozen=True, slots=True)
class Case:
    """A shape that is to be judged.

    Attributes:
        policy: what applies to it, as if it were obeyed: one that opted out can move all the same.
        decision: what the engine makes of it where nothing but its images and constraints count.
        images: what is believed of them.
    """

    shape: Shape
    asked: Question
    policy: Effective
    decision: Decision
    images: Mapping[str, Image]

    @classmethod
    def of(cls, shape: Shape, namespace: str, asked: Question) -> "Case":
        """The case that a shape makes."""
        free, policy = _movable(shape.pod), _obeyed(asked.policy(namespace, shape.pod))
        images = {name: asked.images.get(name, _NOT_ASKED) for name in pods.image_names(free)}
        decision = decide(Input(free, images, asked.nodes.capacity, shape.written, policy=policy))
        return cls(shape, asked, policy, decision, {**images, **decision.images})

    @property
    def os(self) -> str:
        """The operating system that was decided for."""
        return self.decision.os

    def known(self) -> list[ImagePlatforms]:
        """What is known of images."""
        return [image for image in self.images.values() if isinstance(image, ImagePlatforms)]

    @property
    def foreign(self) -> bool:
        """Whether its RuntimeClass runs programs of other architectures, on whatever node."""
        return pods.runtime_class(self.shape.pod) in self.policy.facts.runtime_classes

    @property
    def own(self) -> Constraints:
        """The workload's own constraints, without what Rightarch wrote."""
        written = self.shape.written or read_record(pods.annotations(self.shape.pod).get(KEY))[1]
        return pods.constraints(self.shape.pod).without(written)


def lacks(image: Image, architecture: str, os: str) -> bool:
    """Whether an image that is known does not run on an architecture."""
    return isinstance(image, ImagePlatforms) and architecture not in image.node_architectures(os)


def stays(pod: Pod) -> bool:
    """Whether a pod's place is settled by a node's name."""
    return pods.is_bound(pod) or pods.is_mirror(pod) or pods.is_pinned(pod)


def implied(pod: Pod, nodes: Nodes) -> Pod:
    """The pod, with what its constraints on machines imply of the architecture said in the engine's own words."""
    own = pods.constraints(pod)
    always = [r for key, value in own.selector.items() if (r := _requirement(nodes, key, (value,)))]
    terms = own.terms if own.terms is not None else ([{}] if always else None)
    if terms is None:
        return pod
    said: list[Term] = []
    for term in terms:
        more = always + [r for e in term.get("matchExpressions") or () if (r := of_expression(nodes, e))]
        expressions = [*(term.get("matchExpressions") or ()), *more]
        keep = (own.terms is None or term.get("matchExpressions") or term.get("matchFields")) and expressions
        said.append({**term, "matchExpressions": expressions} if keep else term)
    affinity = {"nodeAffinity": {pods.REQUIRED: {"nodeSelectorTerms": said}}}
    return {**pod, "spec": {**pod["spec"], "affinity": affinity}}


def of_expression(nodes: Nodes, expression: Expression) -> Expression | None:
    """What an expression about machines implies of their architecture, if anything."""
    if expression["operator"] != "In":
        return None
    return _requirement(nodes, expression["key"], expression.get("values") or ())


def _requirement(nodes: Nodes, key: str, values: Iterable[str]) -> Expression | None:
    """What the machines of a label imply; of those that were never seen, nothing."""
    seen = nodes.implied(key, values) if key in NAMING else None
    return Requirement(ARCH_KEYS[0], tuple(sorted(seen))).raw() if seen else None


def _movable(pod: Pod) -> Pod:
    """The pod without what names single nodes, so that the engine looks at its images."""
    if not stays(pod):
        return pod
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
    terms = [_without_fields(term) for term in pods.required_terms(pod) or ()]
    if pods.is_pinned(pod):
        spec.pop("affinity")
        if all(terms):
            spec["affinity"] = {"nodeAffinity": {pods.REQUIRED: {"nodeSelectorTerms": terms}}}
    annotations = {key: value for key, value in pods.annotations(pod).items() if key != MIRROR}
    return {**pod, "metadata": {**pod["metadata"], "annotations": annotations}, "spec": spec}


def _without_fields(term: Term) -> Term:
    return {"matchExpressions": term["matchExpressions"]} if term.get("matchExpressions") else {}


def _obeyed(policy: Effective) -> Effective:
    """What applies to a pod, as far as it says on what it may run: not whether it is left alone for now."""
    off = policy.ignored or policy.choices.mode == "Off"
    choices = BUILT_IN.choices if off else policy.choices
    return replace(policy, ignored=False, choices=choices.model_copy(update={"operating_systems": _SYSTEMS}))
