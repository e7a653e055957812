"""Cold starts: what the first pods of an image wait, with and without a controller that looks images up before.

``python -m tests.bench.cold_start``
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from tests.bench.delay import Delay
from tests.bench.figures import console
from tests.controlplane import wait_for
from tests.images import attested
from tests.support.controller import ControllerServer
from tests.support.world import NAMESPACE, World, workload, world

LATENCIES = (0, 20, 200)
SAMPLES = 5
DECISION = "rightarch.dev/decision"


def main() -> dict[str, Any]:
    """Measure, print, and return medians in milliseconds, per latency of the registry, with and without."""
    figures: dict[str, Any] = {}
    with world() as on:
        for latency in LATENCIES:
            with Delay(on.registry.port, latency / 1000) as port:
                figures[f"{latency} ms"] = _compared(on, f"127.0.0.1:{port}", f"l{latency}")
    return figures


def _compared(on: World, host: str, prefix: str) -> dict[str, dict[str, float]]:
    """All cases at one distance of the registry, first without a controller."""
    without = _measured(on, host, f"{prefix}-without", _unprepared)
    with ControllerServer(on.plane.kubeconfig) as controller:
        wait_for(lambda: controller.leads, seconds=30)
        with_ = _measured(on, host, f"{prefix}-with", lambda name, image: _prepared(on, controller, name, image))
    return {"without": without, "with": with_}


def _measured(on: World, host: str, prefix: str, prepare: Callable[[str, str], float | None]) -> dict[str, float]:
    """The median of each case, in milliseconds."""
    first, deployed, known = list[float](), list[float](), list[float]()
    for number in range(SAMPLES):
        name = f"{prefix}-{number}"
        image = _pushed(on, host, name)
        if (seconds := prepare(name, image)) is not None:
            known.append(seconds)
        first.append(_first_pod(on, name, image))
        deployed.append(_deployed(on, f"{name}-d", _pushed(on, host, f"{name}-d")))
    cases = {"first pod": first, "Deployment to its first pod": deployed, "template to known by the webhook": known}
    medians = {case: statistics.median(each) * 1000 for case, each in cases.items() if each}
    console.print(f"{prefix}: " + ", ".join(f"{case} {value:.0f} ms" for case, value in medians.items()))
    return medians


def _pushed(on: World, host: str, name: str) -> str:
    """Push an image that nobody knows; gives its name at the distant registry."""
    on.push(f"cold/{name}:1", attested("linux/amd64", "linux/arm64", salt=name))
    return f"{host}/cold/{name}:1"


def _unprepared(*_: str) -> float | None:
    """Nobody looks."""
    return None


def _prepared(on: World, controller: ControllerServer, name: str, image: str) -> float:
    """Have the image in the template of a workload without pods; gives the seconds until the webhook knows it."""
    begun = time.perf_counter()
    on.create(workload("Deployment", name, image, replicas=0))
    on.known(controller, image)
    return time.perf_counter() - begun


def _first_pod(on: World, name: str, image: str) -> float:
    """The seconds that the creation of a pod takes."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }
    begun = time.perf_counter()
    stored = on.create(pod)
    took = time.perf_counter() - begun
    assert stored["metadata"]["labels"][DECISION] == "Constrained"
    return took


def _deployed(on: World, name: str, image: str) -> float:
    """The seconds from the creation of a Deployment of a cold image to its first pod, made at once."""
    begun = time.perf_counter()
    on.create(workload("Deployment", name, image, replicas=1))
    (pod,) = wait_for(lambda: on.pods(name), pause=0.005)
    took = time.perf_counter() - begun
    assert pod["metadata"]["labels"][DECISION] == "Constrained"
    return took


if __name__ == "__main__":
    console.print_json(json.dumps(main()))
