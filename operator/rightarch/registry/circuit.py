"""Circuits: hosts that failed lately and are not asked for a while. Pure, with a clock; all times are in seconds.

A circuit is *closed* while its host answers. Failures in a row *open* it: requests fail at once, with what the host
failed with, and none is sent. When its pause is over it is *half-open*: one request, the probe, goes through, and by
its outcome the circuit is closed again or opened for longer. Between the starts of two probes are never more than
``LONGEST_PAUSE`` seconds, unless the host itself asked for more (Retry-After).

A host that refuses one client's requests (429) may well answer another's, so rate limits have circuits of their own,
per host and credential.
"""

import random
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final

from rightarch.errors import ImageError
from rightarch.reasons import Reason
from rightarch.registry.memory import Recent

FAILURES: Final = 3
"""Failures in a row that open a circuit."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 4.5
PROBE_SECONDS: Final = 4.5
"""How long a probe may take; a host that is slower counts as failing."""
_REMEMBERED: Final = 4096
_SOON: Final = 0.1


class Circuit:
    """What one host did lately.

    Args:
        chance: a number between 0 and 1; each pause is between half of what is due and all of it, so that the probes
            of many clients spread.
    """

    __slots__ = ("_chance", "_error", "_failures", "_opened", "_probe", "_until")

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._failures = 0
        self._opened = 0
        self._until = 0.0
        self._probe: float | None = None
        self._error: ImageError | None = None

    @property
    def open(self) -> bool:
        """Whether requests fail without being sent, but for probes."""
        return self._opened > 0

    def refusal(self, now: float) -> ImageError | None:
        """The error of a request that is not to be sent now; None for one that may."""
        wait = self.wait(now)
        if self._error is None or wait is None or wait <= 0.0:
            return None
        return ImageError.of(self._error.reason, f"{self._error}; asked again in {wait:.2g} s", retry_after=wait)

    def wait(self, now: float) -> float | None:
        """The seconds until a request may be sent; None while the circuit is closed."""
        if not self.open:
            return None
        probed = 0.0 if self._probe is None else self._probe + PROBE_SECONDS - now
        return max(0.0, self._until - now, probed)

    def enter(self, now: float) -> bool:
        """Take note of a request that is sent although it might fail; whether it is a probe."""
        if self.open:
            self._probe = now
        return self.open

    def succeed(self) -> None:
        """The host answered: all is well."""
        self._failures = self._opened = 0
        self._probe = self._error = None

    def fail(self, error: ImageError, now: float, *, probe: bool = False) -> None:
        """The host failed. While the circuit is open that counts for the probe alone: the others were sent before."""
        self._failures += 1
        started, again = (self._probe if probe else None), error.retry_after
        if probe:
            self._probe = None
        if not self.open or probe:
            if again is None and not probe and self._failures < FAILURES:
                return
            self._error, self._opened = error, self._opened + 1
            self._until = max(now, (now if started is None else started) + self._pause())
        if again is not None:
            self._until = max(self._until, now + again)

    def abandon(self) -> None:
        """A probe ended with nothing learnt."""
        self._probe = None

    def _pause(self) -> float:
        due = min(FIRST_PAUSE * 2.0 ** min(self._opened - 1, 8), LONGEST_PAUSE)
        return due * (0.5 + self._chance() / 2)


class Circuits:
    """The circuits of all hosts that did not answer lately, within bounds: pod authors choose hosts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._circuits: Recent[Hashable, Circuit] = Recent(_REMEMBERED)

    def __len__(self) -> int:
        return len(self._circuits)

    def open(self) -> int:
        """How many are open."""
        return sum(circuit.open for circuit in self._circuits.values())

    def admit(self, host: Hashable, client: Hashable) -> "Passage":
        """Let a request of a client to a host pass.

        Raises:
            ImageError: with the Reason for which the host fails, and when it is asked again.
        """
        now = self._clock()
        known = list(self._known((host, (host, client))))
        for circuit in known:
            if error := circuit.refusal(now):
                raise error
        probes = [circuit.enter(now) for circuit in known]  # all of them: the first that is a probe is not enough
        return Passage(self, host, client, probe=any(probes))

    def _known(self, keys: Iterable[Hashable]) -> Iterator[Circuit]:
        for key in keys:
            if circuit := self._circuits.get(key):
                yield circuit

    def settle(self, key: Hashable, error: ImageError | None, *, probe: bool) -> float | None:
        """Take note of an outcome; the seconds until the next request may be sent, None for at once."""
        circuit = self._circuits.get(key)
        if error is None:
            if circuit is not None:
                circuit.succeed()
                self._circuits.drop(key)
            return None
        if circuit is None:
            circuit = Circuit()
            self._circuits.put(key, circuit)
        now = self._clock()
        circuit.fail(error, now, probe=probe)
        wait = circuit.wait(now)
        return None if wait is None else max(wait, _SOON)

    def abandon(self, *keys: Hashable) -> None:
        """A request ended with nothing learnt of its host."""
        for circuit in self._known(keys):
            circuit.abandon()


class Passage:
    """One request on its way through; settle or abandon it once.

    Attributes:
        probe: whether its outcome decides on a circuit that is open.
    """

    __slots__ = ("_circuits", "_client", "_host", "probe")

    def __init__(self, circuits: Circuits, host: Hashable, client: Hashable, *, probe: bool) -> None:
        self.probe = probe
        self._circuits, self._host, self._client = circuits, host, (host, client)

    def answered(self) -> None:
        """The host answered, whatever it said."""
        self._circuits.settle(self._host, None, probe=self.probe)
        self._circuits.settle(self._client, None, probe=self.probe)

    def failed(self, error: ImageError) -> ImageError:
        """The request failed; its error, which says when the host may be asked again."""
        if not error.transient:
            self.answered()
            return error
        limited = error.reason is Reason.RATE_LIMITED
        key, other = (self._client, self._host) if limited else (self._host, self._client)
        if limited:
            self._circuits.settle(other, None, probe=self.probe)
        elif self.probe:
            self._circuits.abandon(other)
        wait = self._circuits.settle(key, error, probe=self.probe)
        again = max((each for each in (wait, error.retry_after) if each is not None), default=None)
        return ImageError.of(error.reason, str(error), retry_after=again)

    def abandoned(self) -> None:
        """The request was given up for reasons that are not its host's."""
        if self.probe:
            self._circuits.abandon(self._host, self._client)
