"""Preferences: on which architectures a pod should rather run, where its images leave a choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rightarch import patches
from rightarch import pod as pods
from rightarch.affinity import ARCH_KEYS, Preference
from rightarch.placement import shares
from rightarch.placement.case import Case
from rightarch.policy import Preferred
from rightarch.reasons import Note

HEAVIEST: Final = 100
"""The weight of a preference that nothing else is weighed against."""


@dataclass(frozen=True, slots=True)
class Preferring:
    """What a pod is to prefer.

    Attributes:
        preferences: the preferred terms.
        share: the share choice behind them, if there is one.
        notes: what is worth knowing.
    """

    preferences: tuple[Preference, ...] = ()
    share: str | None = None
    notes: tuple[Note, ...] = ()


_NOTHING: Final = Preferring()
_KEPT: Final = Preferring(notes=(Note.PREFERENCE_KEPT,))


def prefer(case: Case, room: frozenset[str]) -> Preferring:
    """What a pod is to prefer of the architectures that it may run on.

    Nothing where there is no choice, and where it prefers an architecture itself. Ours stay lighter than its own
    preferences, since Karpenter tries to meet the heaviest alone. A template has none: its pods get theirs.
    """
    stated = case.choices.architectures
    if case.given.is_template or len(room) < 2 or not (stated.share or stated.preferred):
        return _NOTHING
    own = patches.without(
        pods.preferred_terms(case.given.pod), [each.raw() for each in case.earlier.before.preferences]
    )
    heaviest = _headroom(own)
    if not heaviest:
        return _KEPT
    choice = shares.choose(case.given, room) if stated.share else None
    if choice is None:
        return Preferring(_scaled(stated.preferred, room, heaviest))
    architectures = tuple(sorted(shares.preferred(choice, stated, room)))
    return Preferring((Preference(heaviest, architectures),), choice)


def _headroom(own: Sequence[Mapping[str, Any]]) -> int:
    """How heavy a preference of ours may be beside a pod's own; 0 where none may."""
    terms = (each.get("preference") or {} for each in own)
    expressions = (each for term in terms for each in term.get("matchExpressions") or ())
    if any(each["key"] in ARCH_KEYS for each in expressions):
        return 0
    return max(0, min((each.get("weight") or 0) - 1 for each in own)) if own else HEAVIEST


def _scaled(stated: Sequence[Preferred], room: frozenset[str], heaviest: int) -> tuple[Preference, ...]:
    """The stated preferences for architectures that there are; in proportion, if they are too heavy."""
    possible = [each for each in stated if each.architecture in room]
    most = max((each.weight for each in possible), default=0)
    scale = min(heaviest, most)
    weights = [(each.weight * scale // most, each.architecture) for each in possible]
    return tuple(Preference(weight, (architecture,)) for weight, architecture in weights if weight)
