"""Templates: the placement of a workload's pods, decided on its template and written there.

Each pod of a DaemonSet is pinned to its node: an architecture constraint on the pod could only strand it, and on the
template it keeps the DaemonSet controller from making that pod. Of other kinds the pods are decided one by one; their
templates are written where a policy says so, for whoever reads them. The label and annotation of pods are not put into
the template; what was decided stands on the workload's own metadata. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from rightarch import patches, placement
from rightarch import pod as pods
from rightarch.affinity import Writing
from rightarch.patches import Patch
from rightarch.placement import Decision
from rightarch.pod import Pod
from rightarch.policy import BUILT_IN, Effective
from rightarch.policy.spec import When
from rightarch.reasons import Reason
from rightarch.word import Word

KEY: Final = "rightarch.dev/template"
"""The annotation of a workload whose template was decided on: the Reason, the images, what was written."""

Workload = Mapping[str, Any]
"""A raw object with a pod template: in ``spec.template``, or, as a CronJob, in ``spec.jobTemplate.spec.template``."""

_ROLLED: Final = "rolled"
_DECIDED: Final = frozenset(
    {
        Reason.CONSTRAINED,
        Reason.ALREADY_CONSTRAINED,
        Reason.NO_COMMON_ARCHITECTURE,
        Reason.CONFLICTING_CONSTRAINT,
        Reason.NOT_ALLOWED,
        Reason.EMULATED,
        Reason.SKIPPED,
    }
)


class Standing(Word):
    """How the template of a workload stands; each member carries ``meaning``, one sentence for people."""

    OWNED = "Owned", "Another controller writes the workload: it is never touched."
    UNSEEN = "Unseen", "Rightarch never decided on the template: it is older than the install, or excluded."
    OUTDATED = "Outdated", "The template has other images than those that were decided on."
    WAITING = "Waiting", "An image was not known when the template was admitted; it is written once all are."
    DECIDED = "Decided", "The template was decided on, with the images that it has."


def pod_of(workload: Workload) -> Pod:
    """The template, which reads like a pod."""
    template: Pod = _holder(workload).get("template") or {}
    return template


def written(workload: Workload, policy: Effective = BUILT_IN) -> Writing:
    """What an earlier invocation wrote into the template.

    Args:
        workload: the raw object.
        policy: what applies to its pods: labels of nodes that it does not name were never ours.
    """
    return placement.read_record(_annotation(workload), policy)[1]


def is_owned(workload: Workload) -> bool:
    """Whether another controller owns the workload, and would write its template anew."""
    owners = (workload.get("metadata") or {}).get("ownerReferences") or ()
    return any(owner.get("controller") for owner in owners)


def when(kind: str, workload: Workload, policy: Effective) -> When:
    """When the template of a workload is to be written. An audit rolls nothing.

    Args:
        kind: of the workload: an object of a list does not say.
        workload: the raw object.
        policy: what applies to its pods.
    """
    rule, mode = policy.choices.template(kind), policy.choices.mode
    if policy.ignored or mode == "Off" or (is_owned(workload) and not rule.owned):
        return "Never"
    return "OnAdmission" if mode == "Audit" and rule.when == "Reconcile" else rule.when


def is_decided(reason: str) -> bool:
    """Whether a Reason is that of a decision, and not of an image that is not known."""
    return reason in _DECIDED


def standing(workload: Workload) -> Standing:
    """How the template of a workload stands."""
    if is_owned(workload):
        return Standing.OWNED
    record, _ = placement.read_record(_annotation(workload))
    reason = record.get("reason")
    if not isinstance(reason, str):
        return Standing.UNSEEN
    if reason != Reason.SKIPPED and not _same_images(record, workload):
        return Standing.OUTDATED
    return Standing.DECIDED if is_decided(reason) else Standing.WAITING


@dataclass(frozen=True, slots=True)
class Rolled:
    """A change of ours outside of admission, which rolls the pods of a workload.

    Attributes:
        generation: of the workload, that the change made.
        policy: because of which it was made: its title.
    """

    generation: int
    policy: str


def rolled(workload: Workload) -> Rolled | None:
    """The last change of ours that rolled a workload's pods, if there was one."""
    match placement.read_record(_annotation(workload))[0].get(_ROLLED):
        case [int(generation), str(policy)]:
            return Rolled(generation, policy)
    return None


def apply(decision: Decision, workload: Workload, *, rolls_for: str | None = None) -> Patch:
    """The JSON Patch of the workload that carries out a decision on its template.

    Args:
        decision: made with ``Input.pod`` as of ``pod_of`` and ``Input.written`` as of ``written``.
        workload: the raw object.
        rolls_for: where it is changed outside of admission, the title of the policy that wants it: it is noted, with
            the generation that a new template makes.

    Returns:
        Operations; none where all is as it should be, and none where nothing was decided that was decided before for
        the same images: a registry that is away now takes nothing from what it once said. Where the annotation has no
        room, nothing is written at all, since nobody would know it again.
    """
    if not is_decided(decision.reason) and standing(workload) is Standing.DECIDED:
        return []
    before = written(workload, decision.policy)
    patch = patches.spec(pod_of(workload), before, decision.writing, _path(workload))
    record = placement.record(decision, before if decision.writing is None else decision.writing)
    change = Rolled(_generation(workload) + 1, rolls_for) if patch and rolls_for else rolled(workload)
    if change is not None:
        record = orjson.dumps(orjson.loads(record) | {_ROLLED: [change.generation, change.policy]}).decode()
    if not patches.fits(workload, KEY, record):
        return []
    return patch + patches.entry(workload, "annotations", KEY, record)


def changes_template(patch: Patch) -> bool:
    """Whether a patch of a workload makes a new template, and not only a note of what was decided."""
    return any(operation["path"].startswith("/spec/") for operation in patch)


def retract(workload: Workload, policy: Effective = BUILT_IN) -> Patch:
    """The JSON Patch of a workload that is none of our business any more: what was ours goes, with the annotation.

    Args:
        workload: the raw object.
        policy: what applies to its pods, as of ``written``.
    """
    if KEY not in pods.annotations(workload):
        return []
    patch = patches.spec(pod_of(workload), written(workload, policy), Writing(), _path(workload))
    return patch + patches.entry(workload, "annotations", KEY, None)


def _holder(workload: Workload) -> Mapping[str, Any]:
    """The part of a workload that has the template."""
    spec = workload.get("spec") or {}
    return (spec["jobTemplate"] or {}).get("spec") or {} if "jobTemplate" in spec else spec


def _path(workload: Workload) -> str:
    """Where the template is, as a JSON Pointer (RFC 6901)."""
    return "/spec/jobTemplate/spec/template" if "jobTemplate" in (workload.get("spec") or {}) else "/spec/template"


def _generation(workload: Workload) -> int:
    generation: int = workload["metadata"].get("generation", 0)
    return generation


def _annotation(workload: Workload) -> str | None:
    return pods.annotations(workload).get(KEY)


def _same_images(record: Mapping[str, Any], workload: Workload) -> bool:
    images = record.get("images") or {}
    return isinstance(images, dict) and images.keys() == set(pods.image_names(pod_of(workload)))
