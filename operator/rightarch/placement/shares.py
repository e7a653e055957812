"""Shares: which architecture a pod prefers, so that of a workload's pods a part prefers each."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from rightarch import pod as pods
from rightarch.placement.inputs import Input
from rightarch.policy import Architectures

SHARE: Final = "rightarch.dev/share"
"""The label that carries the share choice of a pod."""
OTHERS: Final = "others"
"""The choice of those pods that prefer the architectures which no share names."""


def possible(stated: Architectures, room: frozenset[str] | None) -> Mapping[str, int]:
    """The choices that a pod has, each with its part of the workload's pods, in percent of all choices.

    Args:
        stated: what the policy says.
        room: the architectures that the pod may run on; None where they are not known yet, so that all are possible.
    """
    choices = {each.architecture: each.percent for each in stated.share if room is None or each.architecture in room}
    if room is None or room.difference(each.architecture for each in stated.share):
        choices[OTHERS] = 100 - sum(each.percent for each in stated.share)
    return choices


def preferred(choice: str, stated: Architectures, room: frozenset[str]) -> frozenset[str]:
    """The architectures that a choice prefers."""
    if choice != OTHERS:
        return frozenset({choice})
    return room.difference(each.architecture for each in stated.share)


def choose(given: Input, room: frozenset[str] | None) -> str | None:
    """The choice for a pod, or None where it has none.

    A choice that stands on the pod already is kept. Pods with the same value of the label that ``sameFor`` names get
    the same one. All others get that which lacks the most. Stored ones whose choice of before turned out to be none
    get one by their UID: nobody counts for whoever releases them.

    Args:
        given: with the counts.
        room: as of ``possible``.
    """
    stated = given.policy.choices.architectures
    choices = possible(stated, room)
    labels = pods.labels(given.pod)
    if (kept := labels.get(SHARE)) in choices:
        return kept
    parts = {choice: percent for choice, percent in choices.items() if percent > 0}
    if not parts:
        return None
    if stated.same_for and (value := labels.get(stated.same_for)):
        return _hashed(parts, f"{given.place}/{value}")
    if given.gated and not given.counts:
        return _hashed(parts, pods.uid(given.pod))
    return _lacking(parts, given.counts)


def _hashed(parts: Mapping[str, int], text: str) -> str:
    """A choice by a text alone: each gets its part of all texts."""
    point = int.from_bytes(sha256(text.encode()).digest()[:8]) * sum(parts.values()) >> 64
    for choice, percent in parts.items():
        if point < percent:
            return choice
        point -= percent
    raise AssertionError("the point lies below the sum")


def _lacking(parts: Mapping[str, int], counts: Mapping[str, int]) -> str:
    """The choice with the largest deficit, were there one pod more; among equals the first."""
    whole = sum(parts.values())
    pods_then = 1 + sum(counts.get(choice, 0) for choice in parts)
    return max(parts, key=lambda choice: parts[choice] * pods_then - counts.get(choice, 0) * whole)
