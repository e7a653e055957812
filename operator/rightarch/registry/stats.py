"""Stats: what the client did, as plain numbers that metrics can export."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """Counters since the start. Their keys are fixed words: pod authors choose hosts, so hosts are none of them.

    Attributes:
        requests: requests sent, by the class of the answer's status (``2xx``…) or ``error``.
        lookups: look-ups ended, by ``Found`` or the Reason of the failure.
        refreshes: those of them that confirmed an answer in the background.
        refused: look-ups not begun because too many were in flight.
        in_flight: look-ups that are running.
        spared: requests not sent because their host failed lately.
        stale: answers given though their registry failed to confirm them.
        open_circuits: tells how many hosts are not asked for now, because they fail.
    """

    requests: Counter[str] = field(default_factory=Counter)
    lookups: Counter[str] = field(default_factory=Counter)
    refreshes: int = 0
    refused: int = 0
    in_flight: int = 0
    spared: int = 0
    stale: int = 0
    open_circuits: Callable[[], int] = lambda: 0
