"""Metrics, in the format that Prometheus scrapes.

Labels are bounded: reasons, outcomes and platforms, never a host or an image that a pod's author chose.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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

Family = GaugeMetricFamily | CounterMetricFamily
Values = Callable[[], Mapping[tuple[str, ...], float]]
"""Tells a metric's values, by the values of its labels."""

_SECONDS: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0)


class ProcessMetrics:
    """The metrics that every process has, in a registry of their own; others are told to it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("rightarch_build", "The version that runs.", registry=self.registry).info(
            {"version": version("rightarch")}
        )
        self._watch_failures = Counter(
            "rightarch_watch_failures", "Times that a watch of the cluster broke off.", registry=self.registry
        )
        self.watch_failed: Callable[[], None] = self._watch_failures.inc

    def gauge(self, name: str, meaning: str, labels: Sequence[str], values: Values) -> None:
        """Show values that go up and down, as a function tells them whenever somebody scrapes."""
        self.registry.register(_Told(lambda: GaugeMetricFamily(name, meaning, labels=labels), values))

    def counter(self, name: str, meaning: str, labels: Sequence[str], values: Values) -> None:
        """Show values that somebody else counts, as a function tells them whenever somebody scrapes."""
        self.registry.register(_Told(lambda: CounterMetricFamily(name, meaning, labels=labels), values))

    def histogram(self, name: str, meaning: str, buckets: Sequence[float]) -> Callable[[float], None]:
        """Show how values are spread; gives what takes one."""
        return Histogram(name, meaning, buckets=buckets, registry=self.registry).observe

    def exposition(self) -> bytes:
        """All metrics as text."""
        return generate_latest(self.registry)


class Metrics(ProcessMetrics):
    """All metrics of a process that answers reviews."""

    def __init__(self) -> None:
        super().__init__()
        admissions = Counter(
            "rightarch_admissions",
            "Reviews answered, by the Reason of the decision.",
            ["reason"],
            registry=self.registry,
        )
        self._admissions = {reason: admissions.labels(reason) for reason in (*map(str, Reason), IGNORED, FAILED)}
        notes = Counter("rightarch_notes", "Notes beside decisions.", ["note"], registry=self.registry)
        self._notes = {note: notes.labels(note) for note in Note}
        self._seconds = Histogram(
            "rightarch_admission_duration_seconds",
            "From the arrival of a review's head to its answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._refused = Counter(
            "rightarch_reviews_refused", "Requests that are no readable review.", ["status"], registry=self.registry
        )
        self.errors = Counter(
            "rightarch_admission_errors",
            "Pods and DaemonSets admitted unchanged because Rightarch failed; the log has tracebacks of some.",
            registry=self.registry,
        )

    def admitted(self, reason: str, seconds: float) -> None:
        """Count a review that was answered."""
        self._admissions[reason].inc()
        self._seconds.observe(seconds)

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
