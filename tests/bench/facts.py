"""Facts in bulk: how long a replica takes to load them, what they weigh, and how often the last use is written."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.controlplane import ControlPlane, free_port
from tests.support.asking import Asking
from tests.support.facts import COLLECTION, CRD, DEFINITION, object_of
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGES = 20_000
DAY = 1500.0
"""Seconds of a day while uses are counted: 13 writes a second on average if each image is written once."""
WINDOW = 60.0
REAL_DAY = 86_400.0
PER_POD = 50
PLATFORMS = (("linux/amd64",), ("linux/amd64", "linux/arm64"), ("linux/amd64", "linux/arm/v7", "linux/arm64"))


def main() -> dict[str, float]:
    """Measure, print a table, and return the figures by name."""
    with ControlPlane(kwok=False) as plane:
        plane.kubectl("apply", "-f", "-", input=DEFINITION)
        plane.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=20s")
        images = names()
        empty, empty_ready = _weighed(plane)
        _seed(plane, images)
        full, full_ready = _weighed(plane)
        figures = {
            "images": float(len(images)),
            "seconds to ready without facts": empty_ready,
            "seconds to ready with facts": full_ready,
            "MiB without facts": empty / 2**20,
            "MiB with facts": full / 2**20,
            "MiB added": (full - empty) / 2**20,
            **_steady(plane, images),
        }
    _show(figures)
    return figures


def names() -> list[str]:
    """References as long as people's own; nobody answers at their registry."""
    host = f"127.0.0.1:{free_port()}"
    return [f"{host}/team-{index % 200}/service-{index}:1.{index % 40}.{index % 7}" for index in range(IMAGES)]


def _seed(plane: ControlPlane, images: Sequence[str]) -> None:
    """Create an object for each image, learnt just now, so that no registry is asked."""

    def create(part: Sequence[str]) -> None:
        with plane.client() as client:
            for index, image in enumerate(part):
                thing = object_of(image, f"sha256:{abs(hash(image)):064x}", PLATFORMS[index % len(PLATFORMS)])
                thing["status"]["lastUsed"] = "2026-01-01"
                client.post(COLLECTION, json=thing).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, [images[start::8] for start in range(8)]))


def _weighed(plane: ControlPlane) -> tuple[float, float]:
    """Resident bytes of a fresh replica, and the seconds from its start until it was ready."""
    begun = time.monotonic()
    with WebhookServer(plane.kubeconfig) as webhook:
        ready = time.monotonic() - begun
        time.sleep(2)
        return webhook.metrics()["process_resident_memory_bytes"], ready


def _steady(plane: ControlPlane, images: Sequence[str]) -> dict[str, float]:
    """Two replicas use all images at once, which is the most that a day begins with; their writes, scaled."""
    option = f"--facts-day={DAY}"
    with (
        WebhookServer(plane.kubeconfig, options=[option]) as first,
        WebhookServer(plane.kubeconfig, options=[option]) as second,
    ):
        both = first, second
        for webhook in both:
            _use(webhook, images)
        before, cpu, begun = sum(map(_uses, both)), sum(map(_cpu, both)), time.monotonic()
        time.sleep(WINDOW)
        seconds = time.monotonic() - begun
        rate = (sum(map(_uses, both)) - before) / seconds
        spent = (sum(map(_cpu, both)) - cpu) / seconds
        failures = sum(
            value for each in both for name, value in each.metrics().items() if "write_failures_total" in name
        )
    return {
        "writes/s by two replicas in a short day": rate,
        "writes/s by two replicas in a real day": rate * DAY / REAL_DAY,
        "CPUs of two replicas meanwhile": spent,
        "writes that failed": failures,
    }


def _use(webhook: WebhookServer, images: Sequence[str]) -> None:
    with Asking(webhook) as asking:
        for start in range(0, len(images), PER_POD):
            assert asking.admit(images[start : start + PER_POD])


def _uses(webhook: WebhookServer) -> float:
    return webhook.metrics().get('rightarch_image_facts_writes_total{kind="used"}', 0.0)


def _cpu(webhook: WebhookServer) -> float:
    return webhook.metrics()["process_cpu_seconds_total"]


def _show(figures: dict[str, float]) -> None:
    table = Table("Facts", "", box=None)
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
