"""Tolerations: what a pod needs beside affinity to get to the nodes of an architecture."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rightarch import patches
from rightarch import pod as pods
from rightarch.placement.case import Case
from rightarch.policy.spec import TolerationSpec

Raw = Mapping[str, Any]
"""A toleration as the API has it."""


def needed(case: Case, architectures: frozenset[str]) -> tuple[Raw, ...]:
    """The tolerations of architectures that a pod may run on and does not have yet, each once."""
    stated = case.policy.facts.tolerations
    if not stated:
        return ()
    own = patches.without(pods.tolerations(case.given.pod), case.earlier.before.tolerations)
    added: list[Raw] = []
    for each in stated:
        raw = _raw(each.toleration)
        if each.architecture in architectures and not any(_covers(other, raw) for other in (*own, *added)):
            added.append(raw)
    return tuple(added)


def _covers(one: Raw, other: Raw) -> bool:
    """Whether every taint that the other toleration matches is matched by the one, for no shorter time."""
    if one == other:
        return True
    exists = one.get("operator") == "Exists"
    key = one.get("key") or ""
    if key != (other.get("key") or "") and not (exists and not key):
        return False
    if (effect := one.get("effect")) and effect != other.get("effect"):
        return False
    if one.get("tolerationSeconds") is not None:
        return False
    equal = other.get("operator") != "Exists" and (one.get("value") or "") == (other.get("value") or "")
    return exists or equal


@lru_cache(maxsize=1024)
def _raw(spec: TolerationSpec) -> Raw:
    """The toleration as the API has it; nobody changes it."""
    raw: Raw = spec.model_dump(by_alias=True, exclude_none=True)
    return raw
