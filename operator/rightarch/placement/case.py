"""Cases: a pod that is to be decided on, with what all outcomes have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from rightarch import pod as pods
from rightarch.affinity import ARCH, NOTHING, OS, Constraints, Requirement, Writing
from rightarch.placement.decision import DEFAULT_OS, Decision
from rightarch.placement.images import believed
from rightarch.placement.inputs import Failure, Input, Outcome
from rightarch.placement.record import KEY, read_record
from rightarch.placement.words import cut
from rightarch.platforms import ImagePlatforms, common_architectures
from rightarch.policy import Choices, Effective
from rightarch.reasons import Note, Reason

MAX_MESSAGE: Final = 1000
"""Characters of a decision's message."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier invocation did.

    Attributes:
        before: what it wrote that is taken back: everything is computed anew.
        standing: what it wrote that can't be taken back: required terms and tolerations of a stored pod. They count
            as the pod's own.
        shared: the share choice that it made.
        doubtful: whether it wrote what an image was assumed to be, or what keeps the pod Pending: another image may
            make that wrong.
    """

    before: Writing = NOTHING
    standing: Writing = NOTHING
    shared: str | None = None
    doubtful: bool = False

    @classmethod
    def of(cls, given: Input) -> "Earlier":
        """What the record tells, which may be copied or forged."""
        if given.written is not None:
            return cls(given.written)
        text = pods.annotations(given.pod).get(KEY)
        if text is None:
            return _NONE
        content, wrote = read_record(text, given.policy)
        share = content.get("share")
        shared = share if isinstance(share, str) else None
        notes = content.get("notes")
        doubtful = content.get("reason") in _PENDING or (isinstance(notes, list) and Note.ASSUMED in notes)
        if not given.gated:
            return cls(wrote, shared=shared, doubtful=doubtful)
        standing = Writing(wrote.terms, wrote.created, tolerations=wrote.tolerations)
        return cls(Writing(preferences=wrote.preferences), standing, shared, doubtful)


_NONE = Earlier()
_PENDING = (Reason.NOT_ALLOWED, Reason.CONFLICTING_CONSTRAINT)


@dataclass(frozen=True, slots=True)
class Case:
    """A pod that is to be decided on; make one by ``of``.

    Attributes:
        given: all that is known.
        earlier: what an earlier invocation did.
        own: the pod's constraints without what is taken back.
        os: the operating system to decide for.
        images: what is believed of each image.
        known: those of them whose platforms are known.
        failures: the others, each with its cause.
        common: the node architectures on which all known images run.
        permitted: those of them that the policy allows.
        room: those of these that the pod's own constraints admit.
        notes: on what is believed.
    """

    given: Input
    earlier: Earlier
    own: Constraints
    os: str
    images: Mapping[str, Outcome]
    known: Mapping[str, ImagePlatforms]
    failures: Mapping[str, Failure]
    common: frozenset[str]
    permitted: frozenset[str]
    room: frozenset[str]
    notes: tuple[Note, ...]

    @classmethod
    def of(cls, given: Input) -> "Case":
        """The case that an input makes."""
        earlier = Earlier.of(given)
        own = pods.constraints(given.pod).without(earlier.before)
        os = pods.os_name(given.pod) or own.named_os() or DEFAULT_OS
        images, stated = believed(given.images, given.policy.facts)
        notes = (Note.OVERRIDDEN,) if stated else ()
        return cls._with(given, earlier, own, os, images, (*notes, Note.STALE) if given.stale else notes)

    def assuming(self, image: ImagePlatforms) -> "Case":
        """The case that it would be if all images that are not known were like one."""
        images = {**self.images, **dict.fromkeys(self.failures, image)}
        return self._with(self.given, self.earlier, self.own, self.os, images, self.notes)

    @classmethod
    def _with(  # noqa: PLR0913, PLR0917 - what the rest is computed from
        cls,
        given: Input,
        earlier: Earlier,
        own: Constraints,
        os: str,
        images: Mapping[str, Outcome],
        notes: tuple[Note, ...],
    ) -> "Case":
        known = {name: image for name, image in images.items() if isinstance(image, ImagePlatforms)}
        failures = {name: image for name, image in images.items() if isinstance(image, Failure)}
        common = common_architectures(known.values(), os)
        allowed = given.policy.choices.architectures.allowed
        permitted = common.intersection(allowed) if allowed else common
        room = own.admitted(permitted, os)
        return cls(given, earlier, own, os, images, known, failures, common, permitted, room, notes)

    @property
    def policy(self) -> Effective:
        """What applies to the pod."""
        return self.given.policy

    @property
    def choices(self) -> Choices:
        """How it is to be decided."""
        return self.given.policy.choices

    def required(self, *sets: Iterable[str]) -> list[Requirement]:
        """What is required of nodes: an architecture of each set; and the operating system, where there are several."""
        wanted = [Requirement(ARCH, tuple(sorted(each))) for each in sets]
        if len(self.given.capacity.oses) > 1:
            wanted.append(Requirement(OS, (self.os,)))
        return wanted

    def skipped(self, why: str) -> Decision:
        """An outcome that leaves the pod alone, as if nobody had ever seen it."""
        return replace(self.decision(Reason.SKIPPED, why, NOTHING, frozenset()), images={}, notes=())

    def decision(  # noqa: PLR0913 - all that outcomes differ in
        self,
        reason: Reason,
        message: str,
        writing: Writing | None,
        architectures: frozenset[str],
        notes: tuple[Note, ...] = (),
        *,
        gate: bool = False,
        denied: bool = False,
        share: str | None = None,
        lacking: str = "",
    ) -> Decision:
        """An outcome."""
        return Decision(
            reason,
            cut(message, MAX_MESSAGE),
            self.os,
            tuple(sorted(architectures)),
            self.images,
            (*notes, *self.notes),
            writing,
            self.given.policy,
            gate=gate,
            denied=denied,
            share=share,
            lacking=lacking,
            before=self.earlier.before,
            standing=self.earlier.standing,
            shared=self.earlier.shared,
        )
