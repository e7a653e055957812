"""Placement: from a pod and the platforms of its images to what is written on the pod.

Pure: no input and output, no clock, no logging. Admission, the controller and the command line gather an ``Input``,
call ``decide``, and ``apply`` the ``Decision``. Failures of the world enter as data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from rightarch import patches
from rightarch import pod as pods
from rightarch.affinity import ARCH, OS, Constraints, Requirement, Writing
from rightarch.capacity import Capacity, Demand
from rightarch.patches import Patch
from rightarch.platforms import ImagePlatforms, common_architectures
from rightarch.pod import Pod
from rightarch.policy import BUILT_IN, Effective
from rightarch.reasons import Note, Reason

KEY: Final = "rightarch.dev/decision"
"""The label, which carries the Reason, and the annotation, which carries why."""
GATED: Final = "rightarch.dev/gated"
"""The label of pods that our gate holds."""
APPLIED: Final = "rightarch.dev/applied-policy"
"""The label that tells which policy decided: the value of ``Effective.label``."""
SHARE: Final = "rightarch.dev/share"
"""The label that carries the share choice of a pod."""
DEFAULT_OS: Final = "linux"

_MAX_ANNOTATION: Final = 8 * 1024
_MAX_IMAGES: Final = 100
_MAX_MESSAGE: Final = 1000
_MAX_PLATFORMS: Final = 16


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


@dataclass(frozen=True, slots=True)
class Input:
    """All that a decision depends on.

    Attributes:
        pod: the raw pod.
        images: per image name of the pod, what is known of it or why nothing is.
        capacity: what the nodes of the cluster have.
        written: what an earlier invocation wrote; None where the pod's own annotation tells.
        stale: the names of those images whose registry failed to confirm what is known of them.
        policy: what applies to the pod.
        counts: live pods of the pod's owner per share choice, with those that are chosen and not seen yet.
        gating: whether a gate that is added now will be ended: the controller is alive. Else ``Gate`` acts as
            ``afterGate``.
        gated: whether the pod is stored and held by our gate: then constraints may only be appended to.
        overdue: whether its gate has lasted as long as it may.
        namespace: of the pod, where its metadata don't tell.
    """

    pod: Pod
    images: Mapping[str, ImagePlatforms | Failure]
    capacity: Capacity = field(default_factory=Capacity)
    written: Writing | None = None
    stale: frozenset[str] = frozenset()
    policy: Effective = BUILT_IN
    counts: Mapping[str, int] = field(default_factory=dict)
    gating: bool = False
    gated: bool = False
    overdue: bool = False
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Preference:
    """A preferred node affinity term of ours: architectures that the pod should rather run on.

    Attributes:
        weight: 1 to 100.
        architectures: sorted.
    """

    weight: int
    architectures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a pod, and why.

    Attributes:
        reason: the one documented constant; the label carries it.
        message: the reason in the pod's own terms, for people.
        os: the operating system that was decided for.
        architectures: the node architectures that all images support, sorted.
        images: per image name, its platforms, or the failure.
        notes: what else is worth knowing.
        writing: what is appended to the required terms; None leaves the spec as it is.
        policy: what applied to the pod.
        gate: whether our gate is to hold the pod until its images are known.
        denied: whether the pod is to be refused; the message says why, and what to do.
        audit: whether the spec stays as it is whatever was decided: label and annotation alone tell.
        preferences: what is added to the preferred terms.
        tolerations: what is added to the tolerations, as the API has them.
        share: the value of the label ``rightarch.dev/share``, or None for none of ours.
        lacking: what the cluster lacks for the pod, for people; empty where a node can or may be had.
    """

    reason: Reason
    message: str
    os: str = DEFAULT_OS
    architectures: tuple[str, ...] = ()
    images: Mapping[str, ImagePlatforms | Failure] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    writing: Writing | None = None
    policy: Effective = BUILT_IN
    gate: bool = False
    denied: bool = False
    audit: bool = False
    preferences: tuple[Preference, ...] = ()
    tolerations: tuple[Mapping[str, Any], ...] = ()
    share: str | None = None
    lacking: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the one who creates the pod should be told; empty where all is well."""
        well = {Reason.CONSTRAINED, Reason.ALREADY_CONSTRAINED, Reason.SKIPPED}
        told = () if self.reason in well else (f"rightarch: {self.reason}: {self.message}",)
        details = {Note.NO_CAPACITY: self.lacking}
        return *told, *(f"rightarch: {note}: {details.get(note) or note.meaning}" for note in self.notes if note.warns)


def skip(pod: Pod) -> str | None:
    """Why a pod's place is none of our business, or None. Asked before any look-up."""
    if pods.is_mirror(pod):
        return "it mirrors a static pod"
    if pods.is_bound(pod):
        return "it names its node"
    if pods.is_pinned(pod):
        return "its required terms name single nodes"
    return None


def decide(given: Input) -> Decision:
    """Decide where a pod may run.

    What a partial knowledge settles is settled: unknown images can only take architectures away, so that a pod whose
    known images share none, or are contradicted by its own constraints, is told so whatever the others turn out to be.
    """
    if why := skip(given.pod):
        return Decision(Reason.SKIPPED, why)
    own = _own_constraints(given)
    os = pods.os_name(given.pod) or own.named_os() or DEFAULT_OS
    known = {name: image for name, image in given.images.items() if isinstance(image, ImagePlatforms)}
    failures = {name: image for name, image in given.images.items() if isinstance(image, Failure)}
    common = common_architectures(known.values(), os)
    facts = _Facts(given, own, os, common, known)
    if known and not common:
        return facts.decision(Reason.NO_COMMON_ARCHITECTURE, _no_common(known, os), Writing())
    if known and not own.admitted(common, os):
        return facts.decision(Reason.CONFLICTING_CONSTRAINT, _conflict(common, os, own), Writing())
    if failures or not known:
        return facts.decision(*_unknown(failures), writing=None)
    return _constrain(facts)


def apply(decision: Decision, pod: Pod) -> Patch:
    """The JSON Patch that carries a decision out on the pod it was made for; empty where all is as it should be."""
    if decision.reason is Reason.SKIPPED and pods.is_mirror(pod):
        return []
    before = _written(pod)
    patch = patches.terms(pod, before, decision.writing)
    patch += patches.entry(pod, "labels", KEY, str(decision.reason))
    written = before if decision.writing is None else decision.writing
    records = (_short(decision, written), _shortest(decision, written))
    fitting = next((text for text in records if patches.fits(pod, KEY, text)), None)
    return patch + patches.entry(pod, "annotations", KEY, fitting)


def release(decision: Decision, pod: Pod) -> Patch:
    """The JSON Patch that ends the gate of a stored pod and writes what was decided, in one update.

    Args:
        decision: made with ``Input.gated``; one that holds the pod on (``gate``) has nothing to release.
        pod: as it was read. That nobody has changed it since is the caller's condition, by its resourceVersion.

    Returns:
        What ``apply`` does, and the end of gate and label; an operation tests that it is our gate that goes.
    """
    return apply(decision, pod) + patches.ungate(pod) + patches.entry(pod, "labels", GATED, None)


def record(decision: Decision, writing: Writing) -> str:
    """Compact JSON: reason, operating system, architectures, per image its platforms or the cause, what was written."""
    content: dict[str, Any] = {"reason": decision.reason, "message": decision.message}
    if decision.reason is not Reason.SKIPPED:
        content |= {"os": decision.os, "architectures": decision.architectures}
    if decision.images:
        content["images"] = {name: _recorded(image) for name, image in decision.images.items()}
    if decision.notes:
        content["notes"] = decision.notes
    if writing.terms:
        content["wrote"] = writing.raw()
    return orjson.dumps(content).decode()


def read_record(text: str | None) -> tuple[Mapping[str, Any], Writing]:
    """A record, empty where it can't be read, and what it says was written. It may be copied or forged."""
    try:
        content = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        content = {}
    if not isinstance(content, dict):
        content = {}
    return content, Writing.read(content.get("wrote")) or Writing()


@dataclass(frozen=True, slots=True)
class _Facts:
    """What all outcomes of a decision have in common."""

    given: Input
    own: Constraints
    os: str
    common: frozenset[str]
    known: Mapping[str, ImagePlatforms]

    def decision(self, reason: Reason, message: str, writing: Writing | None) -> Decision:
        architectures = tuple(sorted(self.common))
        message, lacking = _cut(message, _MAX_MESSAGE), self._lacking(reason)
        notes = self._notes(reason, lacking)
        images = self.given.images
        return Decision(reason, message, self.os, architectures, images, notes, writing, lacking=lacking)

    def _lacking(self, reason: Reason) -> str:
        """What the cluster lacks for a pod that is placed."""
        if reason not in _PLACED:
            return ""
        tolerations, assumed = _tolerations(self.given, self.common), self.given.policy.facts.assumed
        demand = Demand(self.own, self.common, self.os, tolerations, assumed)
        return _cut(self.given.capacity.refusal(demand) or "", _MAX_MESSAGE)

    def _notes(self, reason: Reason, lacking: str) -> tuple[Note, ...]:
        notes = []
        placed = reason in _PLACED
        if lacking:
            notes.append(Note.NO_CAPACITY)
        if placed and any(image.only_386(self.os) for image in self.known.values()):
            notes.append(Note.ONLY_386)
        if self.given.stale:
            notes.append(Note.STALE)
        return tuple(notes)


_PLACED: Final = frozenset({Reason.CONSTRAINED, Reason.ALREADY_CONSTRAINED})


def _tolerations(given: Input, architectures: frozenset[str]) -> list[Mapping[str, Any]]:
    """The tolerations that a pod has, and those that policies give it."""
    facts = [each.toleration for each in given.policy.facts.tolerations if each.architecture in architectures]
    return [*pods.tolerations(given.pod), *(each.model_dump(by_alias=True, exclude_none=True) for each in facts)]


def _own_constraints(given: Input) -> Constraints:
    """The pod's constraints without what an earlier invocation of ours wrote: everything is computed anew."""
    written = _written(given.pod) if given.written is None else given.written
    return pods.constraints(given.pod).without(written)


def _constrain(facts: _Facts) -> Decision:
    wanted = [Requirement(ARCH, tuple(sorted(facts.common)))]
    if len(facts.given.capacity.oses) > 1:
        wanted.append(Requirement(OS, (facts.os,)))
    writing = facts.own.narrowed(wanted)
    reason = Reason.CONSTRAINED if writing.terms else Reason.ALREADY_CONSTRAINED
    return facts.decision(reason, f"its images run on {_listed(facts.common)} ({facts.os})", writing)


def _no_common(known: Mapping[str, ImagePlatforms], os: str) -> str:
    each = "; ".join(f"{_cut(name)} has {_listed(map(str, image.platforms))}" for name, image in known.items())
    return f"no architecture is supported by all images under {os}: {each}"


def _conflict(common: frozenset[str], os: str, own: Constraints) -> str:
    said = own.describe() or "no term that a node can match"
    return f"its images run on {_listed(common)} ({os}), and its own constraints admit none of that: {said}"


def _unknown(failures: Mapping[str, Failure]) -> tuple[Reason, str]:
    """One reason for all that is not known: what is permanent goes first, since waiting does not mend it."""
    permanent = [(name, failure) for name, failure in failures.items() if not failure.reason.transient]
    name, failure = next(iter(permanent or failures.items()), ("", None))
    if failure is None:
        return Reason.UNRESOLVED, "the pod names no image"
    if permanent:
        return failure.reason, f"{failure.message} (image {_cut(name)})"
    return Reason.UNRESOLVED, f"{failure.reason}: {failure.message} (image {_cut(name)})"


def _written(pod: Pod) -> Writing:
    return read_record(pods.annotations(pod).get(KEY))[1]


def _short(decision: Decision, writing: Writing) -> str:
    """The record, without the images where they are too many for people or too long."""
    if len(decision.images) <= _MAX_IMAGES and len((text := record(decision, writing)).encode()) <= _MAX_ANNOTATION:
        return text
    return record(replace(decision, images={}), writing)


def _shortest(decision: Decision, writing: Writing) -> str:
    """What a second invocation needs, for pods whose own annotations leave little room."""
    return record(Decision(decision.reason, "", decision.os, writing=decision.writing), writing)


def _recorded(image: ImagePlatforms | Failure) -> list[str] | str:
    if isinstance(image, Failure):
        return str(image.reason)
    return list(dict.fromkeys(map(str, image.platforms)))[:_MAX_PLATFORMS]


def _listed(names: Iterable[str]) -> str:
    """Names in order, each once, and not more than a person reads."""
    each = sorted(set(names))
    shown = ", ".join(each[:_MAX_PLATFORMS])
    return f"{shown}, and {len(each) - _MAX_PLATFORMS} more" if len(each) > _MAX_PLATFORMS else shown or "nothing"


def _cut(text: str, limit: int = 100) -> str:
    """Text that pod authors or registries may have chosen, for people: not too long, nothing that steers a terminal."""
    shown = text if len(text) <= limit else f"{text[:limit]}…"
    return shown if shown.isprintable() else "".join(char if char.isprintable() else "?" for char in shown)
