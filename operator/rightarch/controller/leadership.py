"""Leadership: all that the one leader does, for as long as it leads."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, NoReturn

from rightarch import supply
from rightarch.cluster import Cluster
from rightarch.controller.census import Census, counted
from rightarch.controller.desk import Desk
from rightarch.controller.events import Events
from rightarch.controller.gates import Gates
from rightarch.controller.lists import Lists, WatchesBlind
from rightarch.controller.prefetch import Prefetch
from rightarch.controller.queue import Queue, Within
from rightarch.controller.readiness import Readiness
from rightarch.controller.templates import Templates
from rightarch.controller.watching import Watching
from rightarch.controller.workloads import UNSETTLED, Key, Kind, Wanted, Workload, Workloads
from rightarch.facts import Facts
from rightarch.gather import parse
from rightarch.keychains import Keychains
from rightarch.logs import fields
from rightarch.metrics import ProcessMetrics
from rightarch.platforms import ImagePlatforms
from rightarch.reference import Reference
from rightarch.registry import Registry
from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes

NODES_SECONDS: Final = 0.2
"""Between two looks whether the Nodes and the policies are listed."""
POLICIES_SECONDS: Final = 0.5
"""Between two looks whether the policies have changed."""

log = logging.getLogger(__name__)


class Leadership:
    """Watches, one queue, and lists that find what the watches missed.

    Args:
        cluster: whose workloads.
        registry: where images are looked up.
        keychains: in whose name.
        facts: what is known of them already.
        rulebook: what the policies say.
        instance: of the controller, for Events.
        namespace: our own.
        list_interval: seconds between two full lists.
        metrics: where what is done is shown.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a process has
        self,
        cluster: Cluster,
        registry: Registry,
        keychains: Keychains,
        facts: Facts,
        rulebook: Rulebook,
        instance: str,
        namespace: str,
        list_interval: float,
        metrics: ProcessMetrics,
    ) -> None:
        self._cluster, self._registry, self._facts, self._rulebook = cluster, registry, facts, rulebook
        self._list_interval, self._metrics = list_interval, metrics
        self._nodes, self._workloads, self._events = Nodes(), Workloads(), Events(cluster, instance)
        self._keychains = keychains
        self._prefetch = Prefetch(registry, keychains, self._needed)
        self._desk = Desk(cluster, registry, keychains, self._nodes)
        self._gates = Gates(cluster, registry, keychains, self._nodes, self._events, metrics, self._informed, rulebook)
        self._census = Census(cluster, self._nodes, self._known, namespace)
        self._readiness = Readiness(cluster, self._nodes, self._known, rulebook)
        self._queue: Queue[Wanted | Key] = Queue(self._work)
        self._templates = Templates(
            self._desk,
            registry,
            keychains,
            self._nodes,
            rulebook,
            self._events,
            free=self._queue.add_afresh,
            listed=lambda: self._lists.taken,
        )
        self._watching = Watching(cluster, self._told)
        self._lists = Lists(cluster, self._workloads, self._take, self._see)
        self._expose(metrics)

    @property
    def caught_up(self) -> asyncio.Event:
        """Set once the pods are released whose time was up before: until then, nothing is to be looked up."""
        return self._gates.caught_up

    async def run(self) -> None:
        """Do all of it until one part ends, with its error: then none goes on."""
        nodes = supply.keep(self._cluster, self._nodes, self._metrics.watch_failed)
        keeping = self._keep_working(), self._keep_listing(), self._keep_counting()
        await first(nodes, self._gates.run(), self._watching.run(), self._events.run(), *keeping)

    async def _keep_working(self) -> None:
        await self._facts.wait()  # what the cluster knows is not asked for again
        await self.caught_up.wait()  # pods that waited too long go before any look-up
        await self._queue.run()

    async def _work(self, key: Wanted | Key) -> float | Within | None:
        """Work on an image, or on a workload's template."""
        if isinstance(key, Wanted):
            return await self._prefetch.look_up(key)
        return await self._templates.settle(key)

    def _told(self, key: Key, workload: Workload | None) -> None:
        self._lists.told(key)
        self._take(key, workload)

    def _take(self, key: Key, workload: Workload | None) -> None:
        """Take a change. Most are of the status, which changes nothing here."""
        if workload is None:
            self._workloads.remove(key)
            self._queue.forget(key)
        elif self._workloads.put(key, workload):
            self._enqueue(image for image in workload.wanted if not self._prefetch.has(image))
            if workload.standing in UNSETTLED:
                self._queue.add_afresh(key)
        self._templates.observe(key, workload)

    def _see(self, kind: Kind, thing: Mapping[str, Any]) -> None:
        """See a workload of a full list: a policy may want what is there already otherwise."""
        if self._templates.is_due(kind, thing):
            self._queue.add(Key.of(kind, thing))

    def _enqueue(self, keys: Iterable[Wanted | Key]) -> None:
        for key in keys:
            self._queue.add(key)

    async def _keep_listing(self) -> NoReturn:
        while True:
            await self._pause_or_policy()
            await self._tried(self._lists.take(), "could not list the workloads")
            await self._tried(self._gates.find(), "could not list the pods that are Pending")
            self._enqueue(self._prefetch.due({*self._workloads.wanted, *self._census.images}))
            self._enqueue(self._workloads.unsettled())

    async def _keep_counting(self) -> NoReturn:
        while not self._nodes.listed or self._rulebook.missing:  # noqa: ASYNC110 - a store of what is followed tells nobody
            await asyncio.sleep(NODES_SECONDS)
        while True:
            await self._tried(self._census.take(), "could not count the pods")
            self._enqueue(image for image in self._census.images if not self._prefetch.has(image))
            await self._tried(self._readiness.take(), "could not judge the workloads")
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._list_interval * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, no secret

    async def _pause_or_policy(self) -> None:
        """As a pause, but no longer than until the policies are others."""
        policies, pause = self._rulebook.policies, asyncio.create_task(self._pause())
        while self._rulebook.policies is policies and not pause.done():  # a store of what is followed tells nobody
            await asyncio.wait([pause], timeout=POLICIES_SECONDS)
        pause.cancel()

    async def _tried(self, task: Awaitable[None], failure: str) -> None:
        """Wait for a task, whose failure is no end: the next one comes."""
        try:
            await task
        except WatchesBlind:
            raise
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            self._metrics.watch_failed()
            log.warning(failure, extra=fields(error=str(error) or type(error).__name__))

    def _needed(self, wanted: Wanted) -> bool:
        return self._workloads.wants(wanted) or wanted in self._census.images

    def _known(self, wanted: Wanted) -> ImagePlatforms | None:
        reference = parse(wanted.image)
        if not isinstance(reference, Reference):
            return None
        keys = self._keychains.of_names(wanted.puller.namespace, wanted.puller.secrets)
        found = self._registry.known(reference, keys, record=False)
        return found if isinstance(found, ImagePlatforms) else None

    def _informed(self) -> bool:
        """Whether all is known that the cluster tells of images and policies."""
        return self._facts.listed and self._rulebook.missing is None

    def _expose(self, metrics: ProcessMetrics) -> None:
        _expose_work(metrics, self._queue, self._lists)
        _expose_state(metrics, self._workloads, self._prefetch, self._census)
        self._readiness.expose(metrics)
        counted_by(metrics, "rightarch_templates_written", "Templates written late.", lambda: self._desk.written)
        meaning = "Workloads whose templates policies want reconciled and that are not done, by how they stand."
        metrics.gauge("rightarch_rollouts", meaning, ("state",), self._templates.rollouts)
        self._events.expose(metrics)


def _expose_work(metrics: ProcessMetrics, queue: Queue[Wanted | Key], lists: Lists) -> None:
    metrics.gauge("rightarch_queue", "Keys of the controller's queue.", ("state",), queue.counts)
    metrics.counter(
        "rightarch_queue_attempts",
        "Attempts at keys of the queue, by how they ended.",
        ("outcome",),
        lambda: {(outcome,): count for outcome, count in queue.outcomes.items()},
    )
    meaning = "Changes of workloads that a full list found and no watch had told."
    counted_by(metrics, "rightarch_missed_changes", meaning, lambda: lists.missed)


def _expose_state(metrics: ProcessMetrics, workloads: Workloads, prefetch: Prefetch, census: Census) -> None:
    metrics.gauge("rightarch_templates", "Workloads whose templates are followed.", ("kind",), workloads.counts)
    metrics.gauge("rightarch_daemonsets", "DaemonSets by how they stand.", ("standing",), workloads.standings)
    metrics.gauge(
        "rightarch_template_images",
        "Images of templates, by whether they were found.",
        ("found",),
        lambda: prefetch.counts(workloads.wanted),
    )
    meaning = "Pods without our label, but for those of kube-system and of our own namespace, which never get one."
    metrics.gauge("rightarch_unseen_pods", meaning, (), lambda: counted(census.unseen))
    meaning = "Unseen pods on a node whose architecture one of their images lacks."
    metrics.gauge("rightarch_misplaced_pods", meaning, (), lambda: counted(census.misplaced))


def counted_by(metrics: ProcessMetrics, name: str, meaning: str, value: Callable[[], int]) -> None:
    """Show one number that somebody else counts."""
    metrics.counter(name, meaning, (), lambda: {(): value()})


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
