"""Stats: what the client did, as plain numbers that metrics can export."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

FOUND: Final = "Found"
"""How a look-up ends that finds what it looked for."""
OTHER: Final = "other"
"""Stands for all registries that are not counted by name."""
MAX_REGISTRIES: Final = 50


@dataclass(slots=True)
class Stats:
    """Counters since the start. Their keys are fixed words; of hosts, which pod authors choose, a few that had images.

    Attributes:
        requests: requests sent, by the class of the answer's status (``2xx``…) or ``error``.
        lookups: look-ups ended, by ``Found`` or the Reason of the failure.
        registries: the same by registry; one of the first that had an image that was found, else ``other``.
        remembered: questions that memory answered.
        waited: questions for which a look-up had to be waited for.
        refreshes: those of them that confirmed an answer in the background.
        refused: look-ups not begun because too many were in flight.
        in_flight: look-ups that are running.
        spared: requests not sent because their host failed lately.
        stale: answers given though their registry failed to confirm them.
        open_circuits: tells how many hosts are not asked for now, because they fail.
    """

    requests: Counter[str] = field(default_factory=Counter)
    lookups: Counter[str] = field(default_factory=Counter)
    registries: Counter[tuple[str, str]] = field(default_factory=Counter)
    remembered: int = 0
    waited: int = 0
    refreshes: int = 0
    refused: int = 0
    in_flight: int = 0
    spared: int = 0
    stale: int = 0
    open_circuits: Callable[[], int] = lambda: 0
    _known: set[str] = field(default_factory=set)

    def looked_up(self, registry: str, word: str) -> None:
        """Count a look-up that has ended.

        Args:
            registry: its host, as references name it.
            word: ``Found``, or the Reason of the failure.
        """
        self.lookups[word] += 1
        if word == FOUND and len(self._known) < MAX_REGISTRIES:
            self._known.add(registry)
        self.registries[registry if registry in self._known else OTHER, word] += 1
