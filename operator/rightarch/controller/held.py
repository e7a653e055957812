"""Held pods: those that our scheduling gate holds, as they were last seen."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson

from rightarch import pod as pods
from rightarch.controller.workloads import POD, Key, Puller, Wanted
from rightarch.patches import GATE
from rightarch.placement import GATED
from rightarch.pod import Pod

LABELS: Final = f"{GATED}=true"
"""Selects them, on the server."""


@dataclass(frozen=True, slots=True)
class Held:
    """A pod with the label of those that are held.

    Attributes:
        key: its name among all.
        uid: which no other pod ever has.
        since: when it was created, by our monotonic clock, as far as both clocks agree.
        wanted: its images, each with who pulls it.
        gated: whether our gate holds it, or it has the label alone.
    """

    key: Key
    uid: str
    since: float
    wanted: tuple[Wanted, ...]
    gated: bool
    _raw: bytes

    @classmethod
    def of(cls, pod: Pod) -> "Held":
        """What is kept of a pod: all but its managed fields, packed, since there may be thousands."""
        metadata = {key: value for key, value in pod["metadata"].items() if key != "managedFields"}
        puller = Puller.of_pod(pod)
        return cls(
            Key.of(POD, pod),
            metadata["uid"],
            time.monotonic() - _age(metadata),
            tuple(Wanted(image, puller) for image in pods.image_names(pod)),
            GATE in pods.gates(pod),
            orjson.dumps({**pod, "metadata": metadata}),
        )

    def pod(self) -> Pod:
        """The pod as it was last seen."""
        found: Pod = orjson.loads(self._raw)
        return found

    def seconds(self) -> float:
        """How long it has been held."""
        return time.monotonic() - self.since


def _age(metadata: dict[str, Any]) -> float:
    """Seconds since an object was created; never less than none, whatever the clocks say."""
    created = datetime.fromisoformat(metadata["creationTimestamp"]).timestamp()
    return max(0.0, time.time() - created)


class HeldPods:
    """All of them: a store of what is followed.

    Args:
        changed: told of each that is new or has changed.
        gone: told of each that is held no more.

    Attributes:
        listed: whether all were seen once.
    """

    def __init__(self, changed: Callable[[Held], None], gone: Callable[[Held], None]) -> None:
        self.listed = False
        self._changed, self._gone = changed, gone
        self._held: dict[Key, Held] = {}
        self._released: dict[Key, str] = {}

    def __len__(self) -> int:
        return sum(held.gated for held in self._held.values())

    def __iter__(self) -> Iterator[Held]:
        return iter(tuple(self._held.values()))

    def get(self, key: Key) -> Held | None:
        """The pod of a name, if it is held."""
        return self._held.get(key)

    def replace(self, listed: list[Held]) -> None:
        """Take a complete list in place of all that was known."""
        self.listed = True
        keys = {held.key for held in listed}
        for held in [held for held in self._held.values() if held.key not in keys]:
            self.remove(held)
        self._released = {key: uid for key, uid in self._released.items() if key in keys}
        for held in listed:
            self.put(held)

    def put(self, held: Held) -> None:
        """Take a pod that is new or has changed. One that was released here may be told of as it was before."""
        if self._released.get(held.key) == held.uid:
            return
        self.renew(held)
        self._changed(held)

    def renew(self, held: Held) -> None:
        """Take a pod as it was read by whoever works on it."""
        before = self._held.get(held.key)
        if before and before.uid == held.uid:
            held = replace(held, since=min(before.since, held.since))  # clocks may be set
        self._held[held.key] = held

    def remove(self, held: Held) -> None:
        """Forget a pod that is gone, or has lost the label; not another one that has its name by now."""
        if self._released.get(held.key) == held.uid:
            del self._released[held.key]
        before = self._held.get(held.key)
        if before and before.uid == held.uid:
            del self._held[held.key]
            self._gone(before)

    def release(self, held: Held) -> None:
        """Forget a pod that was released here; what the watch still tells of it is older."""
        if self._held.pop(held.key, None):
            self._released[held.key] = held.uid
