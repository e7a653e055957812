"""Decisions: what is to become of a pod, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rightarch.affinity import NOTHING, Preference, Writing
from rightarch.placement.inputs import Outcome
from rightarch.policy import BUILT_IN, Effective
from rightarch.reasons import Note, Reason

DEFAULT_OS: Final = "linux"
_WELL: Final = frozenset({Reason.CONSTRAINED, Reason.ALREADY_CONSTRAINED, Reason.SKIPPED})


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a pod, and why.

    Attributes:
        reason: the one documented constant; the label carries it.
        message: the reason in the pod's own terms, for people.
        os: the operating system that was decided for.
        architectures: the node architectures that all images support and the policy allows, sorted; those of the
            emulating nodes where one is emulated.
        images: per image name, its platforms, or the failure.
        notes: what else is worth knowing.
        writing: what is appended to what is the pod's own; None leaves the spec as it is.
        policy: what applied to the pod.
        gate: whether our gate is to hold the pod until its images are known.
        denied: whether the pod is to be refused; the message says why, and what to do.
        audit: whether the spec stays as it is whatever was decided: label and annotation alone tell.
        would: in an audit, what would have been written.
        share: the value of the label ``rightarch.dev/share``, or None for none of ours.
        lacking: what the cluster lacks for the pod, for people; empty where a node can or may be had.
        before: what an earlier invocation wrote and this one takes back, or writes anew.
        standing: what an earlier invocation wrote that can't be taken back, since the pod is stored.
        shared: the share choice that an earlier invocation made.
    """

    reason: Reason
    message: str
    os: str = DEFAULT_OS
    architectures: tuple[str, ...] = ()
    images: Mapping[str, Outcome] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    writing: Writing | None = None
    policy: Effective = BUILT_IN
    gate: bool = False
    denied: bool = False
    audit: bool = False
    would: Writing | None = None
    share: str | None = None
    lacking: str = ""
    before: Writing = NOTHING
    standing: Writing = NOTHING
    shared: str | None = None

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """What is added to the preferred terms."""
        return () if self.writing is None else self.writing.preferences

    @property
    def tolerations(self) -> tuple[Mapping[str, Any], ...]:
        """What is added to the tolerations, as the API has them."""
        return () if self.writing is None else self.writing.tolerations

    @property
    def written(self) -> Writing:
        """All that is ours on the spec once the decision is carried out."""
        return self.standing + (self.before if self.writing is None else self.writing)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the one who creates the pod should be told; empty where all is well."""
        who = "rightarch (audit)" if self.audit else "rightarch"
        told = () if self.reason in _WELL else (f"{self.reason}: {self.message}",)
        details = {Note.NO_CAPACITY: self.lacking}
        notes = (f"{note}: {details.get(note) or note.meaning}" for note in self.notes if note.warns)
        return tuple(f"{who}: {text}" for text in (*self.policy.warnings, *told, *notes))
