"""Cases: a pod that is to be decided on, with what all outcomes have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

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
    """

    before: Writing = NOTHING
    standing: Writing = NOTHING
    shared: str | None = None

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
        if not given.gated:
            return cls(wrote, shared=shared)
        standing = Writing(wrote.terms, wrote.created, tolerations=wrote.tolerations)
        return cls(Writing(preferences=wrote.preferences), standing, shared)


_NONE = Earlier()


@dataclass(frozen=True)
class Case:
    """A pod that is to be decided on.

    Attributes:
        given: all that is known.
        earlier: what an earlier invocation did.
        own: the pod's constraints without what is taken back.
        os: the operating system to decide for.
        images: what is believed of each image.
        notes: on what is believed.
    """

    given: Input
    earlier: Earlier
    own: Constraints
    os: str
    images: Mapping[str, Outcome]
    notes: tuple[Note, ...]

    @classmethod
    def of(cls, given: Input) -> Self:
        """The case that an input makes."""
        earlier = Earlier.of(given)
        own = pods.constraints(given.pod).without(earlier.before)
        os = pods.os_name(given.pod) or own.named_os() or DEFAULT_OS
        images, stated = believed(given.images, given.policy.facts)
        notes = (Note.OVERRIDDEN,) if stated else ()
        return cls(given, earlier, own, os, images, (*notes, Note.STALE) if given.stale else notes)

    @property
    def policy(self) -> Effective:
        """What applies to the pod."""
        return self.given.policy

    @property
    def choices(self) -> Choices:
        """How it is to be decided."""
        return self.given.policy.choices

    @cached_property
    def known(self) -> Mapping[str, ImagePlatforms]:
        """The images whose platforms are known."""
        return {name: image for name, image in self.images.items() if isinstance(image, ImagePlatforms)}

    @cached_property
    def failures(self) -> Mapping[str, Failure]:
        """The others, each with its cause."""
        return {name: image for name, image in self.images.items() if isinstance(image, Failure)}

    @cached_property
    def common(self) -> frozenset[str]:
        """The node architectures on which all known images run."""
        return common_architectures(self.known.values(), self.os)

    @property
    def permitted(self) -> frozenset[str]:
        """Those of them that the policy allows."""
        allowed = self.choices.architectures.allowed
        return self.common.intersection(allowed) if allowed else self.common

    @cached_property
    def room(self) -> frozenset[str]:
        """Those of them that the pod's own constraints admit."""
        return self.own.admitted(self.permitted, self.os)

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
