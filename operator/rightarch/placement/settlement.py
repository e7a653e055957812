"""Settlement: what becomes of a pod by what is known of its images."""

from dataclasses import dataclass, replace

from rightarch import pod as pods
from rightarch.affinity import Constraints, Requirement
from rightarch.capacity import Demand
from rightarch.placement import tolerations
from rightarch.placement.case import MAX_MESSAGE, Case
from rightarch.placement.contradiction import contradicted, incompatible, no_common
from rightarch.placement.decision import Decision
from rightarch.placement.emulation import Emulated, find
from rightarch.placement.preferences import prefer
from rightarch.placement.words import cut, listed
from rightarch.reasons import Note, Reason


def settle(case: Case) -> Decision:
    """Constrain a pod to what its images support, or tell why nothing is left of that."""
    if case.room:
        return _constrained(case)
    if case.common:
        return contradicted(case)
    emulated = find(case)
    return incompatible(case) if emulated is None else _emulated(case, emulated)


def _constrained(case: Case) -> Decision:
    permitted = case.permitted
    message = f"its images run on {listed(case.common)} ({case.os})"
    if permitted != case.common:
        message += f", of which {case.policy.name} allows {listed(permitted)}"
    return _placed(case, _Place(permitted, case.room, case.own, case.required(permitted)), message)


def _emulated(case: Case, emulated: Emulated) -> Decision:
    labels = [Requirement(key, (value,)) for key, value in emulated.labels.items()]
    place = _Place(
        emulated.nodes,
        case.own.admitted(emulated.nodes, case.os, emulated.labels),
        Constraints({**case.own.selector, **emulated.labels}, case.own.terms),
        case.required(emulated.nodes) + labels,
    )
    return replace(_placed(case, place, f"{no_common(case)}; {emulated}"), reason=Reason.EMULATED)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pod may run.

    Attributes:
        architectures: of the nodes.
        room: those of them that the pod's own constraints admit.
        constraints: the pod's own, and what else the nodes must have.
        required: what is ANDed to the pod's own.
    """

    architectures: frozenset[str]
    room: frozenset[str]
    constraints: Constraints
    required: list[Requirement]


def _placed(case: Case, place: _Place, message: str) -> Decision:
    """A pod that has a place: what is required of nodes, preferred, and tolerated."""
    architectures = place.architectures
    preferring = prefer(case, place.room)
    writing = case.own.narrowed(place.required)
    reason = Reason.CONSTRAINED if writing.terms else Reason.ALREADY_CONSTRAINED
    added = tolerations.needed(case, architectures)
    if added or preferring.preferences:
        writing = replace(writing, preferences=preferring.preferences, tolerations=added)
    tolerated = (*pods.tolerations(case.given.pod), *added)
    demand = Demand(place.constraints, architectures, case.os, tolerated, case.policy.facts.assumed)
    lacking = cut(case.given.capacity.refusal(demand) or "", MAX_MESSAGE)
    notes = (*_notes(case, lacking), *preferring.notes)
    return case.decision(reason, message, writing, architectures, notes, share=preferring.share, lacking=lacking)


def _notes(case: Case, lacking: str) -> tuple[Note, ...]:
    """What is worth knowing of a pod that has a place."""
    notes = (Note.NO_CAPACITY,) if lacking else ()
    return (*notes, Note.ONLY_386) if any(image.only_386(case.os) for image in case.known.values()) else notes
