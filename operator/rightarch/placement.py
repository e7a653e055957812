"""Placement: from a pod and the platforms of its images to what is written on the pod.

Pure: no input and output, no clock, no logging. Admission, the controller and the command line gather an ``Input``,
call ``decide``, and ``apply`` the ``Decision``. Failures of the world enter as data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from rightarch import pod as pods
from rightarch.affinity import ARCH, OS, Constraints, Requirement, Writing
from rightarch.capacity import Capacity
from rightarch.platforms import ImagePlatforms, common_architectures
from rightarch.pod import REQUIRED, Pod
from rightarch.reasons import Note, Reason

KEY: Final = "rightarch.dev/decision"
"""The label, which carries the Reason, and the annotation, which carries why."""
DEFAULT_OS: Final = "linux"

_MAX_ANNOTATIONS: Final = 256 * 1024
"""Bytes that the API server lets all annotations of an object have: ours must never be what exceeds it."""
_MAX_ANNOTATION: Final = 8 * 1024
_MAX_MESSAGE: Final = 1000
_MAX_PLATFORMS: Final = 16

Patch = list[dict[str, Any]]
"""JSON Patch operations (RFC 6902)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the platforms of an image are not known: a look-up's outcome as data."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Input:
    """All that a decision depends on.

    Attributes:
        pod: the raw pod.
        images: per image name of the pod, what is known of it or why nothing is.
        capacity: what the nodes of the cluster have.
    """

    pod: Pod
    images: Mapping[str, ImagePlatforms | Failure]
    capacity: Capacity = field(default_factory=Capacity)


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
    """

    reason: Reason
    message: str
    os: str = DEFAULT_OS
    architectures: tuple[str, ...] = ()
    images: Mapping[str, ImagePlatforms | Failure] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    writing: Writing | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the one who creates the pod should be told; empty where all is well."""
        well = {Reason.CONSTRAINED, Reason.ALREADY_CONSTRAINED, Reason.SKIPPED}
        told = () if self.reason in well else (f"rightarch: {self.reason}: {self.message}",)
        if Note.ONLY_386 in self.notes:
            return (
                *told,
                "rightarch: Only386: an image has linux/386 and not amd64; some amd64 nodes refuse to pull it",
            )
        return told


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
    own = _own_constraints(given.pod)
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
    patch = _patch_terms(pod, before, decision.writing)
    patch += _patch_entry(pod, "labels", str(decision.reason))
    annotation = _annotation(decision, before if decision.writing is None else decision.writing)
    if _fits(pod, annotation):
        patch += _patch_entry(pod, "annotations", annotation)
    return patch


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
        return Decision(reason, message, self.os, architectures, self.given.images, self._notes(reason), writing)

    def _notes(self, reason: Reason) -> tuple[Note, ...]:
        notes = []
        offered = self.given.capacity.architectures(self.os)
        placed = reason in {Reason.CONSTRAINED, Reason.ALREADY_CONSTRAINED}
        if placed and self.given.capacity.platforms and not offered & self.own.admitted(self.common, self.os):
            notes.append(Note.NO_NODE)
        if placed and any(image.only_386(self.os) for image in self.known.values()):
            notes.append(Note.ONLY_386)
        return tuple(notes)


def _own_constraints(pod: Pod) -> Constraints:
    """The pod's constraints without what an earlier invocation of ours wrote: everything is computed anew."""
    constraints = pods.constraints(pod)
    return constraints.without(_written(pod))


def _constrain(facts: _Facts) -> Decision:
    wanted = [Requirement(ARCH, tuple(sorted(facts.common)))]
    if len(facts.given.capacity.oses) > 1:
        wanted.append(Requirement(OS, (facts.os,)))
    writing = facts.own.narrowed(wanted)
    reason = Reason.CONSTRAINED if writing.terms else Reason.ALREADY_CONSTRAINED
    return facts.decision(reason, f"its images run on {_listed(facts.common)} ({facts.os})", writing)


def _no_common(known: Mapping[str, ImagePlatforms], os: str) -> str:
    each = "; ".join(f"{_cut(name)} has {_listed(map(str, image.platforms))}" for name, image in known.items())
    return _cut(f"no architecture is supported by all images under {os}: {each}", _MAX_MESSAGE)


def _conflict(common: frozenset[str], os: str, own: Constraints) -> str:
    said = own.describe() or "no term that a node can match"
    return _cut(
        f"its images run on {_listed(common)} ({os}), and its own constraints admit none of that: {said}", _MAX_MESSAGE
    )


def _unknown(failures: Mapping[str, Failure]) -> tuple[Reason, str]:
    """One reason for all that is not known: what is permanent goes first, since waiting does not mend it."""
    permanent = [(name, failure) for name, failure in failures.items() if not failure.reason.transient]
    name, failure = next(iter(permanent or failures.items()), ("", None))
    if failure is None:
        return Reason.UNRESOLVED, "the pod names no image"
    if permanent:
        return failure.reason, f"image {_cut(name)}: {failure.message}"
    return Reason.UNRESOLVED, f"image {_cut(name)}: {failure.reason}: {failure.message}"


def _written(pod: Pod) -> Writing:
    """What the annotation says that an earlier invocation wrote. It may be copied or forged: see ``Constraints``."""
    text = pods.annotations(pod).get(KEY)
    if not text:
        return Writing()
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Writing()
    return (Writing.read(record.get("wrote")) if isinstance(record, dict) else None) or Writing()


def _patch_terms(pod: Pod, before: Writing, writing: Writing | None) -> Patch:
    if writing is None:
        return []
    actual = pods.constraints(pod)
    own = actual.without(before)
    wanted = own.with_(writing)
    if wanted == actual.terms:
        return []
    if own == actual:
        return _append(actual, writing, pod)
    return _replace(pod, wanted)


def _append(own: Constraints, writing: Writing, pod: Pod) -> Patch:
    """Operations that touch nothing but what is added."""
    if writing.created:
        return [_add_required(pod, own.with_(writing))]
    patch: Patch = []
    for index, requirements in writing.terms.items():
        assert own.terms is not None
        path = f"/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms/{index}/matchExpressions"
        raw = [requirement.raw() for requirement in requirements]
        if own.terms[index].get("matchExpressions"):
            patch += [_add(f"{path}/-", expression) for expression in raw]
        else:
            patch.append(_add(path, raw))
    return patch


def _add_required(pod: Pod, terms: object) -> dict[str, Any]:
    """One operation that adds the required terms under the deepest parent that is there."""
    path, parent, value = "/spec", pod["spec"], {"nodeSelectorTerms": terms}
    for key, deeper in (("affinity", ("nodeAffinity", REQUIRED)), ("nodeAffinity", (REQUIRED,))):
        if not parent.get(key):
            for name in reversed(deeper):
                value = {name: value}
            return _add(f"{path}/{key}", value)
        path, parent = f"{path}/{key}", parent[key]
    return _add(f"{path}/{REQUIRED}", value)


def _replace(pod: Pod, terms: object) -> Patch:
    """Put other terms where an earlier invocation of ours wrote.

    Where none are left, empty parents go too: whether they were the user's is not remembered, and means the same.
    """
    affinity = pod["spec"]["affinity"]
    if terms is not None:
        path = f"/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms"
        return [{"op": "replace", "path": path, "value": terms}]
    if len(affinity["nodeAffinity"]) > 1:
        return [{"op": "remove", "path": f"/spec/affinity/nodeAffinity/{REQUIRED}"}]
    return [{"op": "remove", "path": "/spec/affinity/nodeAffinity" if len(affinity) > 1 else "/spec/affinity"}]


def _patch_entry(pod: Pod, kind: str, value: str) -> Patch:
    entries = (pod.get("metadata") or {}).get(kind)
    if not entries:
        return [_add(f"/metadata/{kind}", {KEY: value})]
    if entries.get(KEY) == value:
        return []
    return [_add(f"/metadata/{kind}/{KEY.replace('/', '~1')}", value)]


def _annotation(decision: Decision, writing: Writing) -> str:
    """Compact JSON: reason, operating system, architectures, per image its platforms or the cause, what was written."""
    record: dict[str, Any] = {"reason": decision.reason, "message": decision.message}
    if decision.reason is not Reason.SKIPPED:
        images = {name: _recorded(image) for name, image in decision.images.items()}
        record |= {"os": decision.os, "architectures": decision.architectures, "images": images}
    if decision.notes:
        record["notes"] = decision.notes
    if writing.terms:
        record["wrote"] = writing.raw()
    text = orjson.dumps(record).decode()
    if len(text) > _MAX_ANNOTATION:
        text = orjson.dumps({key: value for key, value in record.items() if key != "images"}).decode()
    return text


def _recorded(image: ImagePlatforms | Failure) -> list[str] | str:
    if isinstance(image, Failure):
        return str(image.reason)
    return list(dict.fromkeys(map(str, image.platforms)))[:_MAX_PLATFORMS]


def _fits(pod: Pod, annotation: str) -> bool:
    others = sum(len(key.encode()) + len(text.encode()) for key, text in pods.annotations(pod).items() if key != KEY)
    return others + len(KEY) + len(annotation.encode()) <= _MAX_ANNOTATIONS


def _add(path: str, value: object) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _listed(names: Iterable[str]) -> str:
    """Names in order, each once, and not more than a person reads."""
    each = sorted(set(names))
    shown = ", ".join(each[:_MAX_PLATFORMS])
    return f"{shown}, and {len(each) - _MAX_PLATFORMS} more" if len(each) > _MAX_PLATFORMS else shown or "nothing"


def _cut(name: str, limit: int = 100) -> str:
    return name if len(name) <= limit else f"{name[:limit]}…"
