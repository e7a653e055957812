"""Places: how many look-ups may be in flight, in all and at one registry, and how many of them for the same asker.

Authors of pods name registries that hang, as many as they like. So nobody gets more places than they leave to others:
who asks alone gets half of all, two come to a third each, and for the next one there is a place. (Dynamic thresholds,
as switches share their memory: Choudhury and Hahne, 1998.) We ourselves, the asker without a name, get what there is.
"""

from collections import Counter


class Places:
    """The places of all look-ups.

    Args:
        total: how many there are.
        per_registry: how many of them at one registry, so that one that hangs leaves room for others.
    """

    def __init__(self, total: int, per_registry: int) -> None:
        self._per_registry = per_registry
        self._all = _Pool(total)
        self._at: dict[str, _Pool] = {}

    def free(self, registry: str, asker: str) -> bool:
        """Whether there is one at a registry for somebody."""
        at = self._at.get(registry)
        return self._all.free(asker) and (at is None or at.free(asker))

    def take(self, registry: str, asker: str) -> None:
        """Take one, whether it is free or not."""
        self._all.take(asker)
        self._at.setdefault(registry, _Pool(self._per_registry)).take(asker)

    def leave(self, registry: str, asker: str) -> None:
        """Give back one that was taken."""
        self._all.leave(asker)
        at = self._at[registry]
        at.leave(asker)
        if not at.taken:
            del self._at[registry]


class _Pool:
    """Places without a difference.

    Attributes:
        taken: how many.
    """

    __slots__ = ("_by", "_size", "taken")

    def __init__(self, size: int) -> None:
        self.taken = 0
        self._size = size
        self._by: Counter[str] = Counter()

    def free(self, asker: str) -> bool:
        left = self._size - self.taken
        return self._by[asker] < left if asker else left > 0

    def take(self, asker: str) -> None:
        self.taken += 1
        self._by[asker] += 1

    def leave(self, asker: str) -> None:
        self.taken -= 1
        self._by[asker] -= 1
        if not self._by[asker]:
            del self._by[asker]
