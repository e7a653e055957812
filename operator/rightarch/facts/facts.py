"""Facts: all that keeps what was learnt in the cluster, for one process."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

from rightarch.cluster import Cluster
from rightarch.facts.calendar import DAY, Calendar
from rightarch.facts.collector import Collector
from rightarch.facts.fact import Fact, read
from rightarch.facts.memory import PATH, Memory
from rightarch.facts.recorder import Recorder
from rightarch.facts.writer import Writer
from rightarch.following import View, follow
from rightarch.metrics import ProcessMetrics
from rightarch.registry import ANONYMOUS, Registry

FLUSH_SECONDS: Final = 2.0
"""How long the end of a process waits for what is not written yet."""
_TURNS: Final = 500
"""How often in a day the clock is looked at, within bounds."""


class Facts:
    """Lets a registry client know what all replicas learnt, and all replicas what it learns.

    Args:
        cluster: where facts are kept.
        registry: observed, and taught, from here on.
        failed: called whenever the watch of facts breaks off.
        day: the seconds in which the last use of an image is written once.
    """

    def __init__(self, cluster: Cluster, registry: Registry, failed: Callable[[], None], day: float = DAY) -> None:
        self._cluster, self._failed = cluster, failed
        self._calendar = Calendar(day)
        self._memory = Memory(registry, self._calendar)
        self._recorder = Recorder(self._memory, self._calendar)
        self._writer = Writer(cluster, self._memory, self._recorder)
        registry.observer = self._recorder

    def __len__(self) -> int:
        return len(self._memory)

    @property
    def listed(self) -> bool:
        """Whether all facts were seen once, or there is no way to see them: nothing that is worth waiting for."""
        return self._memory.seen.is_set()

    async def wait(self) -> None:
        """Wait until they are listed."""
        await self._memory.seen.wait()

    async def run(self) -> None:
        """Follow and write, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._writer.run())
            group.create_task(self._turn())

    async def flush(self) -> None:
        """Write what is left to write, within seconds, for a process that is about to end; ``run`` was cancelled."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._writer.flush(), FLUSH_SECONDS)

    def collector(self, days: int) -> Collector:
        """What deletes facts that nobody has used for some days; for one process of the cluster."""
        return Collector(self._cluster, self._memory, self._calendar, days)

    def narrow(self) -> list[Fact]:
        """What was found with credentials and answers now."""
        return [fact for fact in self._memory.facts() if fact.answers and fact.key[0] != ANONYMOUS]

    def expose(self, metrics: ProcessMetrics) -> None:
        """Show what is held, written and passed over."""
        memory, recorder, writer = self._memory, self._recorder, self._writer
        name = "rightarch_image_facts"
        metrics.gauge(name, "ImagePlatforms that the cluster holds.", (), lambda: {(): float(len(memory))})
        metrics.gauge(
            f"{name}_listed",
            "Whether all ImagePlatforms were seen once, and can be.",
            (),
            lambda: {(): float(memory.seen.is_set() and not memory.refused)},
        )
        metrics.gauge(
            f"{name}_untrusted", "ImagePlatforms that were passed over.", (), lambda: {(): float(memory.untrusted)}
        )
        metrics.gauge(
            f"{name}_pending",
            "ImagePlatforms that wait to be written, or are being written.",
            (),
            lambda: {(): float(len(recorder) + writer.writing)},
        )
        metrics.counter(
            f"{name}_dropped", "What was learnt and found no room to wait.", (), lambda: {(): float(recorder.dropped)}
        )
        metrics.counter(
            f"{name}_writes",
            "ImagePlatforms written, by what changed.",
            ("kind",),
            lambda: {(kind,): float(count) for kind, count in writer.writes.items()},
        )
        metrics.counter(
            f"{name}_write_failures",
            "Writes of ImagePlatforms that failed, by status.",
            ("status",),
            lambda: {(status,): float(count) for status, count in writer.failures.items()},
        )

    async def _follow(self) -> NoReturn:
        memory = self._memory
        await follow(self._cluster, PATH, memory, self._failed, view=View(read), refused=memory.refuse)

    async def _turn(self) -> NoReturn:
        pause = min(max(self._calendar.day / _TURNS, 0.05), 30.0)
        while True:
            self._recorder.turn()
            await asyncio.sleep(pause)
