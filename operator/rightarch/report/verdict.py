"""Verdicts: whether a workload can run on an architecture, and if it can't, what keeps it. Pure.

All of it is asked of the engine that decides for pods (``placement.decide``): once with what is known of the images,
and once as if each of them ran on the wanted architecture alone, which tells what the pod's own constraints say.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rightarch import pod as pods
from rightarch.affinity import ARCH_KEYS, OS_KEYS, Constraints, Expression, Requirement, Term
from rightarch.capacity import Demand, Offer, current, toleration_lines
from rightarch.capacity import Verdict as Offered
from rightarch.placement import KEY, Decision, Failure, Input, decide, read_record
from rightarch.platforms import ImagePlatforms, Platform, common_architectures
from rightarch.pod import MIRROR, Pod
from rightarch.policy import BUILT_IN, Effective
from rightarch.reasons import Reason
from rightarch.report.nodes import NAMING, Nodes
from rightarch.report.workload import DAEMON_SET, Placed, Shape, Workload
from rightarch.word import Word

Image = ImagePlatforms | Failure


class Verdict(Word):
    """What becomes of a workload on the wanted architecture; each member carries ``meaning``, one sentence."""

    READY = "Ready", "All images have the architecture, and nothing of the workload speaks against it."
    READY_WITH_UPDATE = (
        "ReadyWithUpdate",
        "The images that lack the architecture have it under a newer tag of the same repository and flavour.",
    )
    EMULATED = "Emulated", "The images lack the architecture, and a policy has it emulated."
    PINNED = "Pinned", "All images have the architecture, and a field of the workload keeps it from there."
    UNKNOWN = "Unknown", "What an image was built for could not be read."
    BLOCKED = "Blocked", "An image lacks the architecture."


class Risk(Word):
    """What may go wrong today; each member carries ``meaning``, one sentence."""

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
        lines: what to add to the spec of a ClusterArchitecturePolicy so that pods get them, YAML; empty where they are
            no business of a policy about architectures.
        updates: per blocking image, the newer one that has the architecture.
        risk: what may go wrong today.
    """

    verdict: Verdict
    cause: str = ""
    blocking: tuple[str, ...] = ()
    unknown: tuple[tuple[str, Reason], ...] = ()
    fields: tuple[str, ...] = ()
    tolerations: tuple[Mapping[str, str], ...] = ()
    lines: str = ""
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
        policy: what applies to a pod of a namespace.
    """

    architecture: str
    images: Mapping[str, Image]
    nodes: Nodes = field(default_factory=Nodes)
    guarded: bool = False
    updates: Mapping[str, str] = field(default_factory=dict)
    policy: Callable[[str, Pod], Effective] = lambda _namespace, _pod: BUILT_IN


@dataclass(frozen=True, slots=True)
class _Case:
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
    def of(cls, shape: Shape, namespace: str, asked: Question) -> "_Case":
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


def judge(workload: Workload, asked: Question) -> Judgement:
    """The verdict on a workload: the worst on any of its pods, and all that keeps them."""
    cases = [_Case.of(shape, workload.owner.namespace, asked) for shape in workload.shapes]
    each = [_judge(case) for case in cases]
    return replace(_together(each, asked.architecture), risk=_risk(workload, cases, each))


def _together(each: Sequence[Judgement], architecture: str) -> Judgement:
    """What is said of a workload whose pods differ: the worst first, and each thing once."""
    if len(each) == 1:
        return each[0]
    ranked = sorted(each, key=lambda judgement: SEVERITY.index(judgement.verdict), reverse=True)
    fitting = _tolerations(judgement for judgement in ranked if judgement.lines)
    return Judgement(
        ranked[0].verdict,
        _listed(_joined((judgement.cause,) for judgement in ranked if judgement.cause), "; "),
        _joined(judgement.blocking for judgement in ranked),
        _joined(judgement.unknown for judgement in ranked),
        _joined(judgement.fields for judgement in ranked),
        _tolerations(ranked),
        toleration_lines((architecture, toleration) for toleration in fitting),
        {old: new for judgement in ranked for old, new in judgement.updates.items()},
    )


def _judge(case: _Case) -> Judgement:
    images, architecture = case.images, case.asked.architecture
    lacking = tuple(name for name, image in images.items() if _lacks(image, architecture, case.os))
    unknown = tuple((name, image.reason) for name, image in images.items() if isinstance(image, Failure))
    if lacking:
        return _emulated(case, lacking) or _blocked(case, lacking, unknown)
    if unknown or not images:
        return Judgement(Verdict.UNKNOWN, case.decision.message, unknown=unknown)
    return _pinned(case) or Judgement(Verdict.READY)


def _emulated(case: _Case, lacking: tuple[str, ...]) -> Judgement | None:
    """Whether a policy has what the images lack emulated on nodes of the architecture."""
    decision = case.decision
    if case.foreign:
        return Judgement(Verdict.EMULATED, decision.message, lacking)
    if decision.reason is Reason.EMULATED and case.asked.architecture in decision.architectures:
        return Judgement(Verdict.EMULATED, decision.message, lacking)
    return None


def _blocked(case: _Case, lacking: tuple[str, ...], unknown: tuple[tuple[str, Reason], ...]) -> Judgement:
    updates = {name: case.asked.updates[name] for name in lacking if name in case.asked.updates}
    if len(updates) == len(lacking) and not unknown:
        cause = "; ".join(f"{old} has it as {new}" for old, new in updates.items())
        return Judgement(Verdict.READY_WITH_UPDATE, cause, lacking, updates=updates)
    each = "; ".join(f"{name} has {_platforms(case.images[name])}" for name in lacking)
    cause = f"no {case.os}/{case.asked.architecture}: {each}"
    return Judgement(Verdict.BLOCKED, cause, lacking, unknown, updates=updates)


def _pinned(case: _Case) -> Judgement | None:
    """What of the pod itself, or of its policy, keeps it from the architecture, if anything does."""
    told = _as_if(case)
    if told.reason is Reason.SKIPPED and _stays(case.shape.pod):
        return Judgement(Verdict.PINNED, told.message, fields=_node_fields(case.shape.pod))
    if told.reason is Reason.CONFLICTING_CONSTRAINT:
        fields = _fields(case)
        return Judgement(Verdict.PINNED, f"its own constraints name other machines: {', '.join(fields)}", fields=fields)
    if told.reason is Reason.NOT_ALLOWED:
        field = f"{case.policy.name}: spec.architectures.allowed"
        return Judgement(
            Verdict.PINNED, f"its policy does not allow {case.asked.architecture}: {field}", fields=(field,)
        )
    return _kept_out(case, told)


def _as_if(case: _Case) -> Decision:
    """What the engine would make of the pod if each of its images ran on the wanted architecture alone."""
    image = ImagePlatforms("sha256:0", (Platform.of(case.os, case.asked.architecture),), indexed=True)
    images = dict.fromkeys(pods.image_names(case.shape.pod), image)
    policy = replace(case.policy, facts=replace(case.policy.facts, overrides=()))
    pod, capacity = _implied(case.shape.pod, case.asked.nodes), case.asked.nodes.capacity
    return decide(Input(pod, images, capacity, case.shape.written, policy=policy))


def _kept_out(case: _Case, told: Decision) -> Judgement | None:
    """What of the pod keeps it from all nodes of the architecture that could be had: taints, or labels it asks for."""
    architecture, added = case.asked.architecture, told.writing.tolerations if told.writing else ()
    tolerations = (*pods.tolerations(case.shape.pod), *added)
    demand = Demand(case.own, frozenset({architecture}), case.os, tolerations, case.policy.facts.assumed)
    answer = case.asked.nodes.capacity.answer(demand)
    found = answer.verdicts[architecture]
    if found.offer is not Offer.NO:
        return None
    if not found.missing:
        return _barred(case, demand)
    lacked, lines = _lacked(found), answer.toleration_lines()
    return Judgement(Verdict.PINNED, str(found), fields=(_TOLERATIONS,), tolerations=lacked, lines=lines)


def _barred(case: _Case, demand: Demand) -> Judgement | None:
    """Which labels that it asks for keep it from all NodePools of the architecture, if that is what does."""
    capacity, architecture = case.asked.nodes.capacity, case.asked.architecture
    found = capacity.barred(demand, architecture)
    if found is None:
        return None
    relevant = {path: e for path, e in _entries(case.own).items() if current(e["key"]) in found.labels}
    alone = {path: replace(demand, constraints=_only(e), tolerations=_ALL) for path, e in relevant.items()}
    excluding = tuple(path for path, asked in alone.items() if capacity.barred(asked, architecture))
    fields, lacked = excluding or tuple(relevant), _lacked(found)
    return Judgement(
        Verdict.PINNED, str(found), fields=(*fields, *([_TOLERATIONS] if lacked else ())), tolerations=lacked
    )


def _lacked(found: Offered) -> tuple[Mapping[str, str], ...]:
    return tuple(taint.toleration() for taint in found.taints)


def _obeyed(policy: Effective) -> Effective:
    """What applies to a pod, as far as it says on what it may run: not whether it is left alone for now."""
    off = policy.ignored or policy.choices.mode == "Off"
    choices = BUILT_IN.choices if off else policy.choices
    return replace(policy, ignored=False, choices=choices.model_copy(update={"operating_systems": _SYSTEMS}))


def _risk(workload: Workload, cases: Sequence[_Case], each: Sequence[Judgement]) -> Risk | None:
    """What may go wrong with the pods that there are, by what is known of their images."""
    emulated = [judgement.verdict is Verdict.EMULATED for judgement in each]
    if any(not emulated[placed.shape] and _is_misplaced(cases[placed.shape], placed) for placed in workload.placed):
        return Risk.MISPLACED
    return Risk.EXPOSED if any(map(_is_exposed, cases)) else None


def _is_misplaced(case: _Case, placed: Placed) -> bool:
    """Whether an image does not run on the node of its pods; one that does not say what it is tells nothing."""
    node = case.asked.nodes.get(placed.node)
    if node is None or not node.architecture or not node.os or case.foreign:
        return False
    return any(_lacks(image, node.architecture, node.os) for image in case.known())


def _is_exposed(case: _Case) -> bool:
    """Whether the cluster has, or may get, a node that admits the pods as they are now, and an image does not."""
    shape = case.shape
    if not case.known() or (not shape.stored and case.asked.guarded) or _stays(shape.pod) or case.foreign:
        return False
    constraints = pods.constraints(_implied(shape.pod, case.asked.nodes))
    return any(_is_exposed_to(case, constraints, os) for os in case.asked.nodes.capacity.oses | {case.os})


def _is_exposed_to(case: _Case, constraints: Constraints, os: str) -> bool:
    """Whether nodes of an operating system are a danger: the scheduler knows none of the image, nor ``spec.os``.

    Of another system than the pod's they count where they are sure: most NodePools name none, and never buy Windows.
    """
    capacity, own = case.asked.nodes.capacity, os == case.os
    assumed = case.policy.facts.assumed if own else frozenset()
    elsewhere = (capacity.architectures(os) | assumed) - common_architectures(case.known(), os)
    wrong = constraints.admitted(elsewhere, os)
    offers = capacity.answer(Demand(constraints, wrong, os, pods.tolerations(case.shape.pod), assumed)).offers
    return any(offer is Offer.YES or (own and offer is Offer.UNKNOWN) for offer in offers.values())


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
    seen = nodes.implied(key, values) if key in NAMING else None
    return Requirement(ARCH_KEYS[0], tuple(sorted(seen))).raw() if seen else None


_TERMS: Final = f"spec.affinity.nodeAffinity.{pods.REQUIRED}.nodeSelectorTerms"


def _fields(case: _Case) -> tuple[str, ...]:
    """The fields that exclude the architecture, each by itself; those that do so only together, all of them."""
    os, asked, wanted = case.os, case.asked, frozenset({case.asked.architecture})
    relevant = {path: e for path, e in _entries(case.own).items() if e["key"] in {*ARCH_KEYS, *OS_KEYS, *NAMING}}
    excluding = tuple(path for path, e in relevant.items() if not _admits(e, wanted, os, asked.nodes))
    return excluding or tuple(relevant) or (_TERMS,)


def _entries(own: Constraints) -> Mapping[str, Expression]:
    """All that constraints say, by its path into the pod."""
    entries = {f'spec.nodeSelector["{key}"]={value}': _selecting(key, value) for key, value in own.selector.items()}
    for index, term in enumerate(own.terms or ()):
        for expression in term.get("matchExpressions") or ():
            entries[f"{_TERMS}[{index}]: {_worded(expression)}"] = expression
    return entries


def _only(expression: Expression) -> Constraints:
    return Constraints({}, [{"matchExpressions": [expression]}])


def _admits(expression: Expression, wanted: frozenset[str], os: str, nodes: Nodes) -> bool:
    implied = _of_expression(nodes, expression)
    terms: list[Term] = [{"matchExpressions": [expression, *([implied] if implied else [])]}]
    return bool(Constraints({}, terms).admitted(wanted, os))


def _selecting(key: str, value: str) -> Expression:
    return {"key": key, "operator": "In", "values": [value]}


def _platforms(image: Image) -> str:
    names = sorted({str(each) for each in image.platforms}) if isinstance(image, ImagePlatforms) else []
    return _listed(names, ", ") or "nothing"


def _listed(each: Sequence[str], between: str) -> str:
    return between.join([*each[:_MAX_SHOWN], *(["…"] if len(each) > _MAX_SHOWN else [])])


def _worded(expression: Expression) -> str:
    return " ".join([expression["key"], expression["operator"], ", ".join(expression.get("values") or ())]).rstrip()


def _joined(each: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(item for items in each for item in items))


def _tolerations(each: Iterable[Judgement]) -> tuple[Mapping[str, str], ...]:
    """The tolerations that are lacked, each once."""
    return tuple(map(dict, dict.fromkeys(tuple(t.items()) for judgement in each for t in judgement.tolerations)))


def holds_back_nodes(workload: Workload, judgement: Judgement) -> bool:
    """Whether a DaemonSet lacks the architecture: its work is then missing on every node of it."""
    return workload.owner.kind == DAEMON_SET and judgement.verdict in {
        Verdict.BLOCKED,
        Verdict.READY_WITH_UPDATE,
    }


_TOLERATIONS: Final = "spec.tolerations"
_ALL: Final = ({"operator": "Exists"},)
"""Tolerates every taint."""
_SYSTEMS: Final = ("linux", "windows")
_MAX_SHOWN: Final = 6
_NOT_ASKED: Final = Failure(Reason.UNRESOLVED, "it was not asked for")
