"""Uncertainty: pods with an image that is not known, and what the policy does about them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from rightarch.affinity import NOTHING
from rightarch.placement.case import MAX_MESSAGE, Case
from rightarch.placement.contradiction import HOPELESS
from rightarch.placement.decision import Decision
from rightarch.placement.inputs import Failure
from rightarch.placement.refusal import refused
from rightarch.placement.settlement import settle
from rightarch.placement.shares import choose
from rightarch.placement.words import cut, listed
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.reasons import Note, Reason

Action = Literal["Gate", "Allow", "Fallback", "Deny"]


def uncertain(case: Case) -> Decision:
    """What becomes of a pod one of whose images is not known.

    What an earlier invocation wrote for others stays, unless that was in doubt itself.
    """
    writing = NOTHING if case.earlier.doubtful else None
    reason, message = _cause(case.failures)
    action, notes = _action(case, reason) if case.failures else ("Allow", ())
    match action:
        case "Gate":
            share = _share(case)
            return case.decision(reason, message, writing, case.permitted, notes, gate=True, share=share)
        case "Deny":
            field = "onUnresolved.action" if reason is Reason.UNRESOLVED else "onUnreadable"
            return refused(case, reason, message, field)
        case "Fallback" if (assumed := _assumed(case)) is not None:
            told = f"{message}; assumed to run on {listed(assumed.architectures)}"
            told = f"{told}; {assumed.message}" if assumed.reason is Reason.EMULATED else told
            message = cut(told, MAX_MESSAGE)
            return replace(assumed, reason=reason, message=message, images=case.images, notes=(*assumed.notes, *notes))
    return case.decision(reason, message, writing, case.permitted, notes)


def _share(case: Case) -> str | None:
    """The share choice of a pod that is held: made now, where it can be counted, and kept at its release."""
    return choose(case.given, None) if case.choices.architectures.share else None


def _cause(failures: Mapping[str, Failure]) -> tuple[Reason, str]:
    """One reason for all that is not known: what is permanent goes first, since waiting does not mend it."""
    permanent = [(name, failure) for name, failure in failures.items() if not failure.reason.transient]
    name, failure = next(iter(permanent or failures.items()), ("", None))
    if failure is None:
        return Reason.UNRESOLVED, "the pod names no image"
    if permanent:
        return failure.reason, f"{failure.message} (image {cut(name)})"
    return Reason.UNRESOLVED, f"{failure.reason}: {failure.message} (image {cut(name)})"


def _action(case: Case, reason: Reason) -> tuple[Action, tuple[Note, ...]]:
    """What the policy says, as far as it can be done: nobody holds a pod that nobody would release.

    A stored pod can't be refused any more: it goes on as after its gate.
    """
    given, chosen = case.given, case.choices.on_unresolved
    if reason is not Reason.UNRESOLVED:
        unreadable = case.choices.on_unreadable
        return ("Allow" if given.gated and unreadable == "Deny" else unreadable), ()
    if chosen.action == "Gate" and given.gating and not given.overdue:
        return "Gate", (Note.GATED,)
    if chosen.action == "Gate" or (chosen.action == "Deny" and given.gated):
        return chosen.after_gate, ((Note.GATE_TIMED_OUT,) if given.overdue else ())
    return chosen.action, ()


def _assumed(case: Case) -> Decision | None:
    """What becomes of a pod whose unknown images run where the policy assumes; None where that leaves it no place."""
    fallback = (Platform.of(case.os, architecture) for architecture in case.choices.on_unresolved.fallback)
    image = ImagePlatforms("", tuple(fallback), indexed=False)
    decision = settle(case.assuming(image))
    if decision.reason in HOPELESS:
        return None
    return replace(decision, notes=(*decision.notes, Note.ASSUMED))
