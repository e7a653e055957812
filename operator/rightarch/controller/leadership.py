"""Leadership: all that the one leader does, for as long as it leads."""

import asyncio
import logging
import random
from collections.abc import Coroutine
from typing import Any, NoReturn

from rightarch.cluster import Cluster
from rightarch.controller.lists import Lists, WatchesBlind
from rightarch.controller.prefetch import Prefetch
from rightarch.controller.queue import Queue
from rightarch.controller.watching import Watching
from rightarch.controller.workloads import Key, Workload, Workloads
from rightarch.logs import fields
from rightarch.metrics import ProcessMetrics
from rightarch.registry import Registry

log = logging.getLogger(__name__)


class Leadership:
    """Watches, one queue, and lists that find what the watches missed.

    Args:
        cluster: whose workloads.
        registry: where images are looked up.
        list_interval: seconds between two full lists.
        metrics: where what is done is shown.
    """

    def __init__(self, cluster: Cluster, registry: Registry, list_interval: float, metrics: ProcessMetrics) -> None:
        self._cluster, self._list_interval, self._metrics = cluster, list_interval, metrics
        self._workloads = Workloads()
        self._prefetch = Prefetch(registry, self._workloads.refers)
        self._queue: Queue[str] = Queue(self._prefetch.look_up)
        self._watching = Watching(cluster, self._told)
        self._compared = Lists(cluster, self._workloads, self._take)
        self._expose(metrics)

    async def run(self) -> None:
        """Do all of it until one part ends, with its error: then none goes on."""
        await first(self._queue.run(), self._watching.run(), self._lists())

    def _told(self, key: Key, workload: Workload | None) -> None:
        self._compared.told(key)
        self._take(key, workload)

    def _take(self, key: Key, workload: Workload | None) -> None:
        """Take a change. Most are of the status, which changes nothing here."""
        if workload is None:
            self._workloads.remove(key)
        elif self._workloads.put(key, workload):
            self._enqueue(workload)

    def _enqueue(self, workload: Workload) -> None:
        for image in workload.images:
            if not self._prefetch.has(image):
                self._queue.add(image)

    async def _lists(self) -> NoReturn:
        while True:
            await asyncio.sleep(self._list_interval * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, no secret
            try:
                await self._compared.take()
            except WatchesBlind:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the next list comes
                self._metrics.watch_failed()
                log.warning("could not list the workloads", extra=fields(error=str(error) or type(error).__name__))
            for image in self._prefetch.due(self._workloads.images):
                self._queue.add(image)

    def _expose(self, metrics: ProcessMetrics) -> None:
        metrics.gauge(
            "rightarch_workloads", "Workloads whose templates are followed.", ("kind",), self._workloads.counts
        )
        metrics.gauge("rightarch_queue", "Keys of the controller's queue.", ("state",), self._queue.counts)
        metrics.counter(
            "rightarch_queue_attempts",
            "Attempts at keys of the queue, by how they ended.",
            ("outcome",),
            lambda: {(outcome,): count for outcome, count in self._queue.outcomes.items()},
        )
        metrics.gauge(
            "rightarch_template_images",
            "Images of templates, by whether they were found.",
            ("found",),
            lambda: {("true",): len(self._prefetch), ("false",): len(self._workloads.images) - len(self._prefetch)},
        )
        metrics.counter(
            "rightarch_missed_changes",
            "Changes of workloads that a full list found and no watch had told.",
            (),
            lambda: {(): self._compared.missed},
        )


async def first(*parts: Coroutine[Any, Any, object]) -> None:
    """Run all together until one of them ends; the others are cancelled.

    Raises:
        Exception: what the one that ended raised.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
