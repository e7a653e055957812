"""Verdicts: whether a workload can run on an architecture, and if it can't, what keeps it. Pure.

All of it is asked of the engine that decides for pods (``placement.decide``): once with what is known of the images,
and once as if each of them ran on the wanted architecture alone, which tells what the pod's own constraints say.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from rightarch import pod as pods
from rightarch.affinity import ARCH_KEYS, OS_KEYS, Constraints, Expression, Requirement, Term
from rightarch.capacity import Demand, Offer
from rightarch.placement import KEY, Decision, Failure, Input, decide, read_record
from rightarch.platforms import ImagePlatforms, Platform, common_architectures
from rightarch.pod import MIRROR, Pod
from rightarch.reasons import Reason
from rightarch.report.nodes import HARDWARE, Nodes
from rightarch.report.workload import DAEMON_SET, Shape, Workload
from rightarch.taints import CORDON

Image = ImagePlatforms | Failure


class Verdict(StrEnum):
    """What becomes of a workload on the wanted architecture; each member carries ``meaning``, one sentence."""

    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> "Verdict":  # noqa: PYI034 - the form that enum prescribes
        """Make a member that is its own text and knows its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    READY = "Ready", "All images have the architecture, and nothing of the workload speaks against it."
    READY_WITH_UPDATE = (
        "ReadyWithUpdate",
        "The images that lack the architecture have it under a newer tag of the same repository and flavour.",
    )
    EMULATED = "Emulated", "The images lack the architecture, and a policy has it emulated."
    PINNED = "Pinned", "All images have the architecture, and a field of the workload keeps it from there."
    UNKNOWN = "Unknown", "What an image was built for could not be read."
    BLOCKED = "Blocked", "An image lacks the architecture."


class Risk(StrEnum):
    """What may go wrong today; each member carries ``meaning``, one sentence."""

    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> "Risk":  # noqa: PYI034 - likewise
        """Make a member that is its own text and knows its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    MISPLACED = "misplaced", "A pod is on a node that one of its images can't run on."
    EXPOSED = "exposed", "The scheduler may put a pod on a node that one of its images can't run on."


SEVERITY: Final = tuple(Verdict)
"""The verdicts, the worst last: a workload whose pods differ has the worst of theirs."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a workload, and why.

    Attributes:
        cause: one sentence for people; empty where all is well.
        blocking: images that lack the architecture.
        unknown: images that could not be read, with the Reason.
        fields: where the workload speaks against the architecture, as paths into the pod.
        tolerations: those that the pods lack, as the API has them.
        updates: per blocking image, the newer one that has the architecture.
        risk: what may go wrong today.
    """

    verdict: Verdict
    cause: str = ""
    blocking: tuple[str, ...] = ()
    unknown: tuple[tuple[str, Reason], ...] = ()
    fields: tuple[str, ...] = ()
    tolerations: tuple[Mapping[str, str], ...] = ()
    updates: Mapping[str, str] = field(default_factory=dict)
    risk: Risk | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about every workload.

    Attributes:
        architecture: the wanted one.
        images: what is known of each image, by its name in pods, or why nothing is.
        nodes: those of the cluster; none where they can't be read.
        guarded: whether Rightarch's admission sees pods that are yet to come.
        updates: per image that lacks the architecture, the newer one that has it.
    """

    architecture: str
    images: Mapping[str, Image]
    nodes: Nodes = field(default_factory=Nodes)
    guarded: bool = False
    updates: Mapping[str, str] = field(default_factory=dict)


def judge(workload: Workload, asked: Question) -> Judgement:
    """The verdict on a workload: the worst on any of its pods, and all that keeps them."""
    each = [_judge(shape, asked) for shape in workload.shapes]
    worst = max(each, key=lambda judgement: SEVERITY.index(judgement.verdict))
    return replace(
        worst,
        blocking=_joined(judgement.blocking for judgement in each),
        unknown=_joined(judgement.unknown for judgement in each),
        risk=_risk(workload, asked),
    )


def _judge(shape: Shape, asked: Question) -> Judgement:
    free = _movable(shape.pod)
    images = {name: asked.images.get(name, _NOT_ASKED) for name in pods.image_names(free)}
    decision = decide(Input(free, images, asked.nodes.capacity, shape.written))
    lacking = tuple(name for name, image in images.items() if _lacks(image, asked.architecture, decision.os))
    unknown = tuple((name, image.reason) for name, image in images.items() if isinstance(image, Failure))
    if lacking:
        return _blocked(lacking, unknown, decision, asked)
    if unknown or not images:
        return Judgement(Verdict.UNKNOWN, decision.message, unknown=unknown)
    return _pinned(shape, decision, asked) or Judgement(Verdict.READY)


def _blocked(
    lacking: tuple[str, ...], unknown: tuple[tuple[str, Reason], ...], decision: Decision, asked: Question
) -> Judgement:
    if decision.reason == "Emulated" and asked.architecture in decision.architectures:
        return Judgement(Verdict.EMULATED, decision.message, lacking)
    updates = {name: asked.updates[name] for name in lacking if name in asked.updates}
    if len(updates) == len(lacking) and not unknown:
        cause = "; ".join(f"{old} has it as {new}" for old, new in updates.items())
        return Judgement(Verdict.READY_WITH_UPDATE, cause, lacking, updates=updates)
    each = "; ".join(f"{name} has {_platforms(asked.images[name])}" for name in lacking)
    return Judgement(
        Verdict.BLOCKED, f"no {decision.os}/{asked.architecture}: {each}", lacking, unknown, updates=updates
    )


def _pinned(shape: Shape, decision: Decision, asked: Question) -> Judgement | None:
    """What of the pod itself keeps it from the architecture, if anything does."""
    as_if = ImagePlatforms("sha256:0", (Platform.of(decision.os, asked.architecture),), indexed=True)
    images = dict.fromkeys(pods.image_names(shape.pod), as_if)
    pod = _implied(shape.pod, asked.nodes)
    told = decide(Input(pod, images, asked.nodes.capacity, shape.written))
    if told.reason is Reason.SKIPPED:
        return Judgement(Verdict.PINNED, told.message, fields=_node_fields(shape.pod))
    if told.reason is Reason.CONFLICTING_CONSTRAINT:
        fields = _fields(shape, decision.os, asked)
        return Judgement(Verdict.PINNED, f"its own constraints name other machines: {', '.join(fields)}", fields=fields)
    return _kept_out(shape, decision.os, asked)


def _kept_out(shape: Shape, os: str, asked: Question) -> Judgement | None:
    """What keeps it from all nodes of the architecture that could be had, where that is but taints."""
    demand = _demand(shape, asked.architecture, os)
    found = asked.nodes.capacity.answer(demand).verdicts[asked.architecture]
    if found.offer is not Offer.NO or not found.missing or CORDON in found.missing:
        return None
    tolerations = tuple(taint.toleration() for taint in found.missing)
    return Judgement(Verdict.PINNED, str(found), fields=("spec.tolerations",), tolerations=tolerations)


def _demand(shape: Shape, architecture: str, os: str) -> Demand:
    """What a pod asks of a node of one architecture, apart from what Rightarch asks for it."""
    tolerations = shape.pod["spec"].get("tolerations") or ()
    return Demand(_own(shape), frozenset({architecture}), os, tolerations)


def _own(shape: Shape) -> Constraints:
    """The workload's own constraints, without what Rightarch wrote."""
    written = shape.written or read_record(pods.annotations(shape.pod).get(KEY))[1]
    return pods.constraints(shape.pod).without(written)


def _risk(workload: Workload, asked: Question) -> Risk | None:
    """What may go wrong with the pods that there are, by what is known of their images."""
    for placed in workload.placed:
        node = asked.nodes.get(placed.node)
        if node and any(_lacks(i, node.architecture, node.os) for i in _known(workload.shapes[placed.shape], asked)):
            return Risk.MISPLACED
    return Risk.EXPOSED if any(_is_exposed(shape, asked) for shape in workload.shapes) else None


def _is_exposed(shape: Shape, asked: Question) -> bool:
    """Whether the cluster has, or may get, a node that admits the pods as they are now, and an image does not."""
    known = _known(shape, asked)
    if not known or (not shape.stored and asked.guarded) or _stays(shape.pod):
        return False
    os = decide(Input(_movable(shape.pod), {}, asked.nodes.capacity, shape.written)).os
    capacity, common = asked.nodes.capacity, common_architectures(known, os)
    constraints = pods.constraints(_implied(shape.pod, asked.nodes))
    tolerations = shape.pod["spec"].get("tolerations") or ()
    wrong = constraints.admitted(capacity.architectures(os) - common, os)
    answer = capacity.answer(Demand(constraints, wrong, os, tolerations))
    return any(offer is not Offer.NO for offer in answer.offers.values())


def _known(shape: Shape, asked: Question) -> list[ImagePlatforms]:
    found = (asked.images.get(name) for name in pods.image_names(shape.pod))
    return [image for image in found if isinstance(image, ImagePlatforms)]


def _lacks(image: Image, architecture: str, os: str) -> bool:
    return isinstance(image, ImagePlatforms) and architecture not in image.node_architectures(os)


def _stays(pod: Pod) -> bool:
    """Whether a pod's place is settled by a node's name."""
    return pods.is_bound(pod) or pods.is_mirror(pod) or pods.is_pinned(pod)


def _movable(pod: Pod) -> Pod:
    """The pod without what names single nodes, so that the engine looks at its images."""
    if not _stays(pod):
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


def _node_fields(pod: Pod) -> tuple[str, ...]:
    """Where a pod names its node."""
    if pods.is_mirror(pod):
        return (f'metadata.annotations["{MIRROR}"]',)
    if pods.is_bound(pod):
        return ("spec.nodeName",)
    return tuple(f"{_TERMS}[{index}].matchFields" for index in range(len(pods.required_terms(pod) or ())))


def _implied(pod: Pod, nodes: Nodes) -> Pod:
    """The pod, with what its constraints on machines imply of the architecture said in the engine's own words."""
    own = pods.constraints(pod)
    always = [r for key, value in own.selector.items() if (r := _requirement(nodes, key, (value,)))]
    terms = own.terms if own.terms is not None else ([{}] if always else None)
    if terms is None:
        return pod
    said: list[Term] = []
    for term in terms:
        more = always + [r for e in term.get("matchExpressions") or () if (r := _of_expression(nodes, e))]
        expressions = [*(term.get("matchExpressions") or ()), *more]
        keep = (own.terms is None or term.get("matchExpressions") or term.get("matchFields")) and expressions
        said.append({**term, "matchExpressions": expressions} if keep else term)
    affinity = {"nodeAffinity": {pods.REQUIRED: {"nodeSelectorTerms": said}}}
    return {**pod, "spec": {**pod["spec"], "affinity": affinity}}


def _of_expression(nodes: Nodes, expression: Expression) -> Expression | None:
    if expression["operator"] != "In":
        return None
    return _requirement(nodes, expression["key"], expression.get("values") or ())


def _requirement(nodes: Nodes, key: str, values: Iterable[str]) -> Expression | None:
    """What the machines of a label imply; of those that were never seen, nothing."""
    seen = nodes.implied(key, values) if key in HARDWARE else None
    return Requirement(ARCH_KEYS[0], tuple(sorted(seen))).raw() if seen else None


_TERMS: Final = f"spec.affinity.nodeAffinity.{pods.REQUIRED}.nodeSelectorTerms"


def _fields(shape: Shape, os: str, asked: Question) -> tuple[str, ...]:
    """The fields that exclude the architecture, each by itself; those that do so only together, all of them."""
    own = _own(shape)
    entries = {f'spec.nodeSelector["{key}"]={value}': _selecting(key, value) for key, value in own.selector.items()}
    for index, term in enumerate(own.terms or ()):
        for expression in term.get("matchExpressions") or ():
            entries[f"{_TERMS}[{index}]: {_worded(expression)}"] = expression
    wanted = frozenset({asked.architecture})
    relevant = {path: e for path, e in entries.items() if e["key"] in {*ARCH_KEYS, *OS_KEYS, *HARDWARE}}
    excluding = tuple(path for path, e in relevant.items() if not _admits(e, wanted, os, asked.nodes))
    return excluding or tuple(relevant) or (_TERMS,)


def _admits(expression: Expression, wanted: frozenset[str], os: str, nodes: Nodes) -> bool:
    implied = _of_expression(nodes, expression)
    terms: list[Term] = [{"matchExpressions": [expression, *([implied] if implied else [])]}]
    return bool(Constraints({}, terms).admitted(wanted, os))


def _selecting(key: str, value: str) -> Expression:
    return {"key": key, "operator": "In", "values": [value]}


def _platforms(image: Image) -> str:
    names = sorted({str(each) for each in image.platforms}) if isinstance(image, ImagePlatforms) else []
    return ", ".join(names[:_MAX_SHOWN]) + (", …" if len(names) > _MAX_SHOWN else "") or "nothing"


def _worded(expression: Expression) -> str:
    return " ".join([expression["key"], expression["operator"], ", ".join(expression.get("values") or ())]).rstrip()


def _joined(each: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(item for items in each for item in items))


def holds_back_nodes(workload: Workload, judgement: Judgement) -> bool:
    """Whether a DaemonSet lacks the architecture: its work is then missing on every node of it."""
    return workload.owner.kind == DAEMON_SET and judgement.verdict in {
        Verdict.BLOCKED,
        Verdict.READY_WITH_UPDATE,
    }


_MAX_SHOWN: Final = 6
_NOT_ASKED: Final = Failure(Reason.UNRESOLVED, "it was not asked for")
