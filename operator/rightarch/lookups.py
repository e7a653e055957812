"""Look-ups: what every process that asks registries shows of it."""

from rightarch.metrics import ProcessMetrics
from rightarch.registry import Registry


def expose(registry: Registry, metrics: ProcessMetrics) -> None:
    """Show what a registry client counts. The labels are fixed words: pod authors choose the hosts."""
    stats = registry.stats
    metrics.counter(
        "rightarch_lookups",
        "Look-ups of images ended, by Found or the Reason of the failure.",
        ("outcome",),
        lambda: {(outcome,): count for outcome, count in stats.lookups.items()},
    )
    metrics.counter(
        "rightarch_registry_requests",
        "Requests to registries, by the class of the answer's status.",
        ("status",),
        lambda: {(status,): count for status, count in stats.requests.items()},
    )
    metrics.counter("rightarch_lookups_refused", "Look-ups not begun: too many ran.", (), lambda: {(): stats.refused})
    metrics.gauge("rightarch_lookups_in_flight", "Look-ups that run.", (), lambda: {(): stats.in_flight})
    meaning = "Requests not sent because their host failed lately."
    metrics.counter("rightarch_registry_requests_spared", meaning, (), lambda: {(): stats.spared})
    meaning = "Hosts that fail, and are asked by one request at a time."
    metrics.gauge("rightarch_registry_circuits_open", meaning, (), lambda: {(): stats.open_circuits()})
    meaning = "Answers from memory that their registry failed to confirm."
    metrics.counter("rightarch_stale_answers", meaning, (), lambda: {(): stats.stale})
