"""The burst: pods through the real API server, without and with Rightarch, in interleaved rounds."""

from collections import defaultdict
from typing import Any

from tests.bench.figures import Measure, console, table
from tests.bench.load import Target, burst
from tests.bench.stage import NAMESPACE, Stage, labelled, process_seconds

PODS = 500
CONNECTIONS = 16
SINGLE_PODS = 150
WITHOUT, NOOP, WITH = "no webhook", "no-op in Go", "Rightarch"
MEASURES = (
    Measure("pods/s", "seen by a watch"),
    Measure("create p50", "ms"),
    Measure("create p99", "ms"),
    Measure("webhook call", "ms, mean, as the API server sees it", 2),
    Measure("CPU of the webhook", "ms per pod", 2),
    Measure("requests to the API server", "per pod", 3),
    Measure("requests to the registry", "per pod", 3),
)


def main(stage: Stage, rounds: int) -> dict[str, Any]:
    """Measure, print, and return the medians per number of connections, mode and measure."""
    shapes = {CONNECTIONS: PODS, 1: SINGLE_PODS}
    results: dict[int, dict[str, list[dict[str, float]]]] = {each: defaultdict(list) for each in shapes}
    _register(stage, WITH)
    _measure(stage, WITH, PODS, CONNECTIONS)  # so that no round pays for what is only once
    assert stage.requests_of_ours(), "the audit log must show Rightarch's list of Nodes, or it counts nothing"
    for round_ in range(rounds):
        for mode in (WITHOUT, NOOP, WITH):
            _register(stage, mode)
            for connections, pods in shapes.items():
                results[connections][mode].append(_measure(stage, mode, pods, connections))
                console.print(_told(round_, mode, connections, results[connections][mode][-1]))
    for name in ("requests to the API server", "requests to the registry"):
        worst = max(figures[name] for of in results.values() for figures in of[WITH])
        assert worst < 0.05, f"{worst} {name} per pod: an admission of known images must cost none"
    return {
        str(connections): table(
            f"{shapes[connections]} pods by {connections} connections: medians of {rounds} rounds, ratio to the first",
            MEASURES,
            results[connections],
        )
        for connections in shapes
    }


def _register(stage: Stage, mode: str) -> None:
    match mode:
        case "Rightarch":
            stage.register(stage.registration, labelled)
        case "no-op in Go":
            before = stage.admission_seconds()[1]
            stage.register(
                stage.noop.configuration(), lambda pod: not labelled(pod) and stage.admission_seconds()[1] > before
            )
        case _:
            stage.register(None, lambda pod: not labelled(pod))


def _measure(stage: Stage, mode: str, pods: int, connections: int) -> dict[str, float]:
    """One burst, with what it cost beside it; its pods are deleted afterwards."""
    stage.registry.forget()
    pid = (stage.noop if mode == NOOP else stage.webhook).process.pid
    ours, cpu, (waited, calls) = stage.requests_of_ours(), process_seconds(pid), stage.admission_seconds()
    pod = stage.pod("samples/multi-arch:1.0")
    done = burst(Target(stage.plane.server, stage.plane.context(), NAMESPACE), pod, pods, connections)
    waited, calls = (after - before for after, before in zip(stage.admission_seconds(), (waited, calls), strict=True))
    figures = done.figures() | {
        "CPU of the webhook": (process_seconds(pid) - cpu) / pods * 1000,
        "requests to the API server": (stage.requests_of_ours() - ours) / pods,
        "requests to the registry": len(stage.registry.requests()) / pods,
    }
    stage.clear()
    return figures | ({"webhook call": waited / calls * 1000} if calls else {})


def _told(round_: int, mode: str, connections: int, figures: dict[str, float]) -> str:
    return f"round {round_ + 1}: {mode}, {connections} connection(s): {figures['pods/s']:.0f} pods/s"
