"""Gathering: from a pod to all that a decision about it depends on, under one deadline.

What is known already is taken from memory, at once and beside whatever else is going on; only images that nothing is
known of are waited for, all at the same time. Failures come out as data.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rightarch import pod as pods
from rightarch.capacity import Capacity
from rightarch.errors import ImageError
from rightarch.placement import HOPELESS, Failure, Input, Outcome, decide, overridden, parse
from rightarch.platforms import ImagePlatforms
from rightarch.pod import Pod
from rightarch.policy import BUILT_IN, Effective, Facts
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import Keys, Registry

__all__ = ["MAX_IMAGES", "MAX_LOOKUPS", "all_known", "gather", "parse", "recall"]

MAX_LOOKUPS: Final = 64
"""Images of one pod that are looked up at the same time: its author must not make us ask for thousands."""
MAX_IMAGES: Final = 500
"""Images of one pod that are considered at all."""


async def gather(  # noqa: PLR0913 - all that an admission knows
    pod: Pod,
    capacity: Capacity,
    registry: Registry,
    keys: Keys,
    seconds: float,
    *,
    policy: Effective = BUILT_IN,
    record: bool = True,
) -> Input:
    """All that a decision about a pod depends on.

    Args:
        pod: the raw pod.
        capacity: what the nodes of the cluster have.
        registry: the memory and the look-ups of images.
        keys: the keychains that this pod's images are read with.
        seconds: how long to wait for images that are not known. A pod whose images are known is never suspended.
        policy: what applies to the pod. Images that it tells the platforms of are not asked for.
        record: whether what is found and used may be written down; not for a dry run.

    Returns:
        An Input with an outcome for every image. A look-up that does not end in time goes on without us.
    """
    names = pods.image_names(pod)
    references = {name: parse(name) for name in names[:MAX_IMAGES]}
    asking = _Asking(registry, keys, policy.facts, record)
    images = {name: asking.known(reference) for name, reference in references.items()}
    unknown = [name for name, outcome in images.items() if outcome is None]
    if unknown and not _settled(Input(pod, {}, capacity, policy=policy), images):
        wanted = {name: reference for name in unknown if isinstance(reference := references[name], Reference)}
        images |= await _look_up(wanted, asking, seconds)
    images |= dict.fromkeys(names[MAX_IMAGES:], _TOO_MANY)
    outcomes = {name: _NOT_ASKED if outcome is None else outcome for name, outcome in images.items()}
    stale = frozenset(name for name, reference in references.items() if asking.stale(reference))
    return Input(pod, outcomes, capacity, stale=stale, policy=policy)


def recall(pod: Pod, capacity: Capacity, registry: Registry, keys: Keys, policy: Effective = BUILT_IN) -> Input:
    """As ``gather``, from memory alone: nobody is asked, and nothing is waited for.

    Images that nothing is known of are unresolved, as are those whose look-up failed for now.
    """
    names = pods.image_names(pod)
    asking = _Asking(registry, keys, policy.facts, record=True)
    references = {name: parse(name) for name in names[:MAX_IMAGES]}
    images = {name: asking.known(reference) or _NOT_YET for name, reference in references.items()}
    stale = frozenset(name for name, reference in references.items() if asking.stale(reference))
    return Input(pod, images | dict.fromkeys(names[MAX_IMAGES:], _TOO_MANY), capacity, stale=stale, policy=policy)


def _settled(given: Input, images: Mapping[str, Outcome | None]) -> bool:
    """Whether the images that are known settle the decision already, so that nobody need wait for the others."""
    known = {name: outcome for name, outcome in images.items() if isinstance(outcome, ImagePlatforms)}
    return bool(known) and decide(replace(given, images=known)).reason in HOPELESS


def all_known(pod: Pod, registry: Registry, keys: Keys) -> bool:
    """Whether memory holds the platforms of all images of a pod; nothing is started."""
    references = map(parse, pods.image_names(pod))
    return all(isinstance(each, Failure) or registry.holds(each, keys) for each in references)


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asks whom, in whose name; and what need not be asked."""

    registry: Registry
    keys: Keys
    facts: Facts
    record: bool

    def known(self, reference: Reference | Failure) -> Outcome | None:
        """What a policy or else memory says of an image, if anything."""
        if isinstance(reference, Failure):
            return reference
        if (stated := overridden(reference, self.facts)) is not None:
            return stated
        found = self.registry.known(reference, self.keys, record=self.record)
        return _failure(found) if isinstance(found, ImageError) else found

    def stale(self, reference: Reference | Failure) -> bool:
        """Whether what memory says of an image is what its registry failed to confirm. Seldom: most never fail."""
        if not self.registry.stats.stale or isinstance(reference, Failure):
            return False
        return self.registry.stale(reference, self.keys)

    async def wait(self, reference: Reference, seconds: float) -> Outcome:
        """One image, waited for until the deadline; the shared look-up behind it is not cancelled."""
        try:
            async with asyncio.timeout(seconds):
                return await self.registry.platforms(reference, self.keys, record=self.record)
        except TimeoutError:
            return Failure(Reason.TIMED_OUT, f"its registry did not answer within {seconds:.3g} s; the look-up goes on")
        except ImageError as error:
            return _failure(error)


async def _look_up(wanted: Mapping[str, Reference], asking: _Asking, seconds: float) -> dict[str, Outcome]:
    names = list(wanted)
    asked, left = names[:MAX_LOOKUPS], names[MAX_LOOKUPS:]
    waits = (asking.wait(wanted[name], seconds) for name in asked)
    outcomes: Sequence[Outcome] = await asyncio.gather(*waits)
    return dict(zip(asked, outcomes, strict=True)) | dict.fromkeys(left, _TOO_MANY)


def _failure(error: ImageError) -> Failure:
    return Failure(error.reason, str(error), error.retry_after)


_TOO_MANY: Final = Failure(
    Reason.LOOKUP_LIMIT,
    f"the pod has more than {MAX_LOOKUPS} images that are not known, or {MAX_IMAGES} in all; the others come first",
)
_NOT_ASKED: Final = Failure(Reason.UNRESOLVED, "it was not asked for: the other images settle the decision")
_NOT_YET: Final = Failure(Reason.UNRESOLVED, "it was not looked up yet")
