"""Metrics, in the format that Prometheus scrapes.

Labels are bounded: reasons, outcomes and platforms; of what others name, such as policies and registries, the first few
dozens, and ``other`` for the rest. Never an image or a pod. docs/metrics.md is made of what is described here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rightarch.reasons import Note, Reason

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
IGNORED: Final = "Ignored"
"""The reason that stands for reviews of what Rightarch has nothing to say about."""
FAILED: Final = "Error"
"""The reason that stands for pods on which Rightarch itself failed, admitted unchanged."""

OTHER: Final = "other"
"""The label of what has none of its own."""
MAX_NAMES: Final = 50
"""Values of a label, of those that others choose."""

Family = GaugeMetricFamily | CounterMetricFamily
Values = Callable[[], Mapping[tuple[str, ...], float]]
"""Tells a metric's values, by the values of its labels."""

_SECONDS: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0)


@dataclass(frozen=True, slots=True, order=True)
class Description:
    """What a metric is.

    Attributes:
        name: as it is scraped; a histogram's without its endings.
        kind: counter, gauge, histogram or info.
        labels: their names.
        meaning: for people.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Bounded:
    """Values of a label that others choose: so many are told apart, all later ones are ``other``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: set[str] = set()

    def label(self, value: str, *, worthy: bool = True) -> str:
        """The label that stands for a value; one that is not worthy gets none of its own."""
        if value not in self._values:
            if not worthy or len(self._values) >= self._most:
                return OTHER
            self._values.add(value)
        return value


class ProcessMetrics:
    """The metrics that every process has, in a registry of their own; others are told to it.

    Attributes:
        described: all of them, but for those of any process, such as its memory.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.described: list[Description] = []
        ProcessCollector(registry=self.registry)
        build = "The version that runs."
        Info("rightarch_build", build, registry=self.registry).info({"version": version("rightarch")})
        self.described.append(Description("rightarch_build_info", "info", ("version",), build))
        failures = self.counted("rightarch_watch_failures", "Times that a watch of the cluster broke off.")
        self.watch_failed: Callable[[], None] = failures.inc

    def gauge(self, name: str, meaning: str, labels: Sequence[str], values: Values) -> None:
        """Show values that go up and down, as a function tells them whenever somebody scrapes."""
        self.described.append(Description(name, "gauge", tuple(labels), meaning))
        self.registry.register(_Told(lambda: GaugeMetricFamily(name, meaning, labels=labels), values))

    def counter(self, name: str, meaning: str, labels: Sequence[str], values: Values) -> None:
        """Show values that somebody else counts, as a function tells them whenever somebody scrapes."""
        self.described.append(Description(f"{name}_total", "counter", tuple(labels), meaning))
        self.registry.register(_Told(lambda: CounterMetricFamily(name, meaning, labels=labels), values))

    def histogram(self, name: str, meaning: str, buckets: Sequence[float]) -> Callable[[float], None]:
        """Show how values are spread; gives what takes one."""
        self.described.append(Description(name, "histogram", (), meaning))
        return Histogram(name, meaning, buckets=buckets, registry=self.registry).observe

    def counted(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        """A counter that is counted here."""
        self.described.append(Description(f"{name}_total", "counter", tuple(labels), meaning))
        return Counter(name, meaning, labels, registry=self.registry)

    def exposition(self) -> bytes:
        """All metrics as text."""
        return generate_latest(self.registry)


class Metrics(ProcessMetrics):
    """All metrics of a process that answers reviews."""

    def __init__(self) -> None:
        super().__init__()
        meaning = (
            "Reviews answered, by the Reason of the decision; Ignored are none of our business, Error is our fault."
        )
        admissions = self.counted("rightarch_admissions", meaning, ["reason"])
        self._admissions = {reason: admissions.labels(reason) for reason in (*map(str, Reason), IGNORED, FAILED)}
        meaning = f"Decisions by Reason and by the policy that applied: {MAX_NAMES} of them by name, then other."
        self._decisions = self.counted("rightarch_decisions", meaning, ["reason", "policy"])
        self._policies = Bounded(MAX_NAMES)
        notes = self.counted("rightarch_notes", "Notes beside decisions.", ["note"])
        self._notes = {note: notes.labels(note) for note in Note}
        self._seconds = self.histogram(
            "rightarch_admission_duration_seconds", "From the arrival of a review's head to its answer.", _SECONDS
        )
        self._refused = self.counted("rightarch_reviews_refused", "Requests that are no readable review.", ["status"])
        self.errors = self.counted(
            "rightarch_admission_errors",
            "Pods and workloads admitted unchanged because Rightarch failed; the log has tracebacks of some.",
        )

    def admitted(self, reason: str, seconds: float) -> None:
        """Count a review that was answered."""
        self._admissions[reason].inc()
        self._seconds(seconds)

    def decided(self, reason: str, policy: str) -> None:
        """Count a decision, and the policy that applied."""
        self._decisions.labels(reason, self._policies.label(policy)).inc()

    def noted(self, notes: Iterable[Note]) -> None:
        """Count the notes of a decision."""
        for note in notes:
            self._notes[note].inc()

    def refused(self, status: int) -> None:
        """Count a request that is no readable review."""
        self._refused.labels(str(status)).inc()


class _Told(Collector):
    """A metric whose values live elsewhere."""

    def __init__(self, family: Callable[[], Family], values: Values) -> None:
        self._family, self._values = family, values

    def describe(self) -> Iterable[Metric]:
        """The metric without values: they may not be there yet when it is registered."""
        yield self._family()

    def collect(self) -> Iterable[Metric]:
        """The values of this moment."""
        family = self._family()
        for labels, value in self._values().items():
            family.add_metric(labels, value)
        yield family
