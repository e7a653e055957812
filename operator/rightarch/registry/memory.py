"""Memory: what is remembered between look-ups, within bounds."""

from collections import OrderedDict
from collections.abc import ValuesView
from dataclasses import dataclass
from typing import Generic, TypeVar

from rightarch.errors import ImageError
from rightarch.platforms import ImagePlatforms

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A mapping that forgets the least recently used entry when it is full."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The value, which counts as a use; None where there is none."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Remember a value, as the most recently used one."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def drop(self, key: Key) -> None:
        """Forget a value, if there is one."""
        self._entries.pop(key, None)

    def values(self) -> ValuesView[Value]:
        """All values, which counts as no use."""
        return self._entries.values()

    def __len__(self) -> int:
        return len(self._entries)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a reference in a scope.

    Attributes:
        outcome: its platforms, or why they can't be told.
        fresh_until: when to ask again, on the monotonic clock, in seconds.
        stale_until: when the outcome must no longer be used at all.
        kept: whether it is kept outside of this process: then it answers until a registry fails to confirm it.
        stale: whether its registry failed to confirm it when it was last asked.
    """

    outcome: ImagePlatforms | ImageError
    fresh_until: float
    stale_until: float
    kept: bool = False
    stale: bool = False
