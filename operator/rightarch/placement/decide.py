"""Deciding: the one function from an input to a decision."""

from dataclasses import replace

from rightarch.affinity import NOTHING
from rightarch.placement.case import Case
from rightarch.placement.contradiction import HOPELESS
from rightarch.placement.decision import Decision
from rightarch.placement.exclusion import bound, foreign, left_alone
from rightarch.placement.inputs import Input
from rightarch.placement.settlement import settle
from rightarch.placement.uncertainty import uncertain
from rightarch.reasons import Note, Reason


def decide(given: Input) -> Decision:
    """Decide where a pod may run.

    What a partial knowledge settles is settled: unknown images can only take architectures away, so that a pod whose
    known images share none, or are contradicted by its own constraints, is told so whatever the others turn out to be.
    """
    if why := bound(given.pod):
        return Decision(Reason.SKIPPED, why, policy=given.policy)
    case = Case.of(given)
    if why := left_alone(given.pod, given.policy) or foreign(case.os, given.policy):
        return case.skipped(why)
    decision = _decided(case)
    return _audited(decision) if case.choices.mode == "Audit" else decision


def _decided(case: Case) -> Decision:
    settled = settle(case) if case.known else None
    if settled is not None and (not case.failures or settled.reason in HOPELESS):
        return settled
    return uncertain(case)


def _audited(decision: Decision) -> Decision:
    """What would have been done is told, and not done: what an earlier invocation wrote goes as well."""
    tail = "; a gate would hold it" if decision.gate else ""
    if decision.denied or (decision.reason in HOPELESS and decision.writing is not NOTHING):
        tail = "; but this is an audit, and it is left as it is"
    return replace(
        decision,
        message=f"{decision.message.removesuffix('.')}{tail}" if tail else decision.message,
        notes=tuple(note for note in decision.notes if note is not Note.GATED),
        writing=NOTHING,
        gate=False,
        denied=False,
        audit=True,
        would=decision.writing,
        share=None,
    )
