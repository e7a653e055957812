"""Shares: how many live pods of each owner made which share choice, so that the next pod makes the one that lacks most.

Only pods with the label are watched, and of them the metadata alone: a few integers per owner are kept, and nothing per
pod. A choice counts from the moment it is made, for half a minute or until its pod is seen.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from rightarch.cluster import ALIVE, Object
from rightarch.following import View
from rightarch.placement import SHARE
from rightarch.pod import Pod

COLLECTION: Final = "/api/v1/pods"
UNSEEN_SECONDS: Final = 30.0
"""For how long a choice counts whose pod is not seen: it may have been refused by others."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A share choice.

    Attributes:
        owner: whose pods are counted together, as ``owner`` tells.
        name: what was chosen: an architecture, or the others.
    """

    owner: str
    name: str

    @classmethod
    def of(cls, pod: Object) -> Self:
        """The choice that stands on a pod; only those with the label are asked for."""
        metadata = pod["metadata"]
        return cls(owner(pod, metadata["namespace"]), (metadata.get("labels") or {}).get(SHARE, ""))


VIEW: Final = View(Choice.of, metadata=True, labels=SHARE, fields=ALIVE, news=True)
"""How live pods with a choice are followed. A pod's later changes are none of its choice: it is made once."""


def owner(pod: Pod, namespace: str) -> str:
    """Whose pods are counted together: those of one controller; but those of all Jobs of a namespace.

    A Job has few pods, and often one: counted by themselves, all would make the same choice. So do pods without an
    owner. Whoever makes a pod chooses the UID of its owner: it counts within its namespace alone.
    """
    owners: Iterable[Mapping[str, Any]] = (pod.get("metadata") or {}).get("ownerReferences") or ()
    controller = next((each for each in owners if each.get("controller")), None)
    if controller is None:
        return f"{namespace}/"
    if controller.get("kind") == "Job" and str(controller.get("apiVersion")).startswith("batch/"):
        return f"{namespace}/Job"
    return f"{namespace}/{controller.get('uid')}"


class Shares:
    """The counts: a store of what is followed.

    Args:
        clock: seconds that pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._live: dict[str, Counter[str]] = {}
        self._unseen: dict[str, dict[str, deque[_Made]]] = {}
        self._made: deque[_Made] = deque()

    def counts(self, whose: str) -> Mapping[str, int]:
        """Pods per choice of an owner: those that live, and those that are chosen for and not seen yet."""
        self._expire()
        counts = Counter(self._live.get(whose, {}))
        counts.update({name: len(made) for name, made in self._unseen.get(whose, {}).items()})
        return counts

    def chose(self, choice: Choice) -> None:
        """Count a choice that was just made for a pod."""
        self._expire()
        made = _Made(self._clock() + UNSEEN_SECONDS, choice)
        self._made.append(made)
        self._unseen.setdefault(choice.owner, {}).setdefault(choice.name, deque()).append(made)

    def replace(self, choices: Iterable[Choice]) -> None:
        """Take those of all pods in place of all that was known."""
        self._live = {}
        for choice in choices:
            self._count(choice)

    def put(self, choice: Choice) -> None:
        """Take that of a pod that is new; the oldest one like it that was not seen is taken for its own."""
        self._count(choice)
        if choice.name in self._unseen.get(choice.owner, {}):
            self._see(choice)

    def remove(self, choice: Choice) -> None:
        """Forget that of a pod that is gone, or has done its work."""
        live = self._live.get(choice.owner)
        if live is None:
            return
        live[choice.name] -= 1
        if live[choice.name] <= 0:
            del live[choice.name]
        if not live:
            del self._live[choice.owner]

    def _count(self, choice: Choice) -> None:
        self._live.setdefault(choice.owner, Counter())[choice.name] += 1

    def _see(self, choice: Choice) -> None:
        """Count the oldest unseen one of a choice no more."""
        names = self._unseen[choice.owner]
        names[choice.name].popleft().counts = False
        if not names[choice.name]:
            del names[choice.name]
        if not names:
            del self._unseen[choice.owner]

    def _expire(self) -> None:
        now = self._clock()
        while self._made and self._made[0].until <= now:
            made = self._made.popleft()
            if made.counts:
                self._see(made.choice)


@dataclass(slots=True)
class _Made:
    """A choice that was made: until when it counts unseen, and whether it does."""

    until: float
    choice: Choice
    counts: bool = True
