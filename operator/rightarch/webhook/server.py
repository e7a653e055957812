"""The process of the webhook: two ports, the watch of Nodes, and an end that no admission notices."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Final

import uvloop

from rightarch import lookups, supply
from rightarch.cluster import Cluster
from rightarch.events import Events
from rightarch.facts import Facts
from rightarch.following import View, follow
from rightarch.keychains import Keychains
from rightarch.lease import LEASES, Lease, Renewal
from rightarch.logs import fields
from rightarch.metrics import Metrics
from rightarch.policy import Choices, OnUnresolved
from rightarch.registry import Registry
from rightarch.rulebook import Rulebook
from rightarch.serving import Health, Server, listening
from rightarch.settings import WebhookSettings
from rightarch.shares import COLLECTION, VIEW, Shares
from rightarch.snapshot import Nodes
from rightarch.webhook.certificate import Files, Secret, ServedCertificate, Source
from rightarch.webhook.endpoint import MAX_BUDGET, Endpoint, Handler
from rightarch.webhook.live import LivePods
from rightarch.webhook.pods import PodAdmission
from rightarch.webhook.readiness import Readiness
from rightarch.webhook.rules import Rules
from rightarch.webhook.workloads import WorkloadAdmission

PODS: Final = "/mutate/pods"
WORKLOADS: Final = "/mutate/workloads"
LIVE: Final = "/warn/pods"

log = logging.getLogger(__name__)


def run(settings: WebhookSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError: the certificate or the kubeconfig can't be used.
        PortTaken: a port can't be listened on.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: WebhookSettings) -> None:
    served, files, address = ServedCertificate(), _files(settings), settings.address
    if files:
        files.load(served)
    with listening(address, settings.port) as reviews, listening(address, settings.health_port) as health:
        metrics = Metrics()
        async with (
            lookups.connected(settings, metrics.watch_failed) as (cluster, registry),
            aclosing(Keychains.of(settings, cluster)) as keychains,
        ):
            replica = _Replica(settings, cluster, registry, keychains, metrics)
            source = files or _secret(settings, cluster, metrics)
            await replica.serve(served, source, reviews, health)
    log.info("ended")


class _Replica:
    """What a replica knows of the cluster, and what answers from it."""

    def __init__(
        self, settings: WebhookSettings, cluster: Cluster, registry: Registry, keychains: Keychains, metrics: Metrics
    ) -> None:
        self._settings, self._cluster, self._metrics = settings, cluster, metrics
        self._nodes, self._lease, self._shares = Nodes(), Lease(), Shares()
        self._facts = Facts(cluster, registry, metrics.watch_failed, settings.facts_day)
        self._rulebook = Rulebook(_built_in(settings))
        self._events = Events(cluster, socket.gethostname())
        means = registry, self._nodes, metrics, keychains, Rules(self._rulebook, cluster)
        self._handlers: dict[str, Handler] = {
            PODS: PodAdmission(*means, self._lease, self._shares, events=self._events),
            WORKLOADS: WorkloadAdmission(*means, events=self._events),
            LIVE: LivePods(*means),
        }
        for each in (self._facts, self._rulebook, self._events):
            each.expose(metrics)
        lookups.expose(registry, metrics)
        lookups.expose_requests(cluster, metrics)
        _expose(metrics, self._nodes, self._lease)

    async def serve(
        self, served: ServedCertificate, source: Source, reviews: socket.socket, health: socket.socket
    ) -> None:
        """Answer until told to end, and a while longer.

        Args:
            served: the certificate.
            source: where it comes from.
            reviews: the port for admission reviews.
            health: the port for probes and metrics.
        """
        served.expose(self._metrics)
        readiness = Readiness(self._nodes, self._rulebook, lambda: admission.started, lambda: self._facts.listed)
        endpoint = Endpoint(self._handlers, MAX_BUDGET, self._metrics, lambda: readiness.draining)
        admission = Server(endpoint, served.context, self._metrics.refused)
        probes = Server(Health(readiness.missing, self._metrics))
        async with asyncio.TaskGroup() as group:
            watches = [group.create_task(each) for each in (*self._watches(), source.keep(served))]
            servers = {
                admission: group.create_task(_serve_once_certified(served, admission, reviews)),
                probes: group.create_task(probes.serve([health])),
            }
            log.info("listening", extra=fields(port=self._settings.port, health_port=self._settings.health_port))
            await _until_told_to_end(readiness, self._settings.drain_seconds)
            for server, task in servers.items():
                await _end(server, task)
            for watch in watches:
                watch.cancel()
        await self._facts.flush()

    def _watches(self) -> tuple[Coroutine[None, None, None], ...]:
        """What keeps the replica's knowledge up to date."""
        cluster, failed = self._cluster, self._metrics.watch_failed
        return (
            supply.keep(cluster, self._nodes, failed),
            self._rulebook.follow(cluster, failed),
            follow(cluster, COLLECTION, self._shares, failed, view=VIEW),
            _follow_lease(self._settings, cluster, self._lease, self._metrics),
            self._facts.run(),
            self._events.run(),
            _settle(self._facts),
        )


def _built_in(settings: WebhookSettings) -> Choices:
    """What holds for pods that no policy is for."""
    waiting = OnUnresolved(lookup_budget_milliseconds=round(settings.lookup_budget * 1000))
    return Choices(mode=settings.default_mode, on_unresolved=waiting)


async def _follow_lease(settings: WebhookSettings, cluster: Cluster, lease: Lease, metrics: Metrics) -> None:
    """Know whether a controller works; where nobody told us whose Lease that would be, none does."""
    if settings.namespace is not None:
        path = LEASES.format(settings.namespace)
        await follow(cluster, path, lease, metrics.watch_failed, settings.lease_name, view=View(Renewal.of))


async def _settle(facts: Facts) -> None:
    """What is there once the facts are listed stays: the garbage collector need not look at it again."""
    await facts.wait()
    gc.collect()
    gc.freeze()


async def _serve_once_certified(served: ServedCertificate, server: Server, port: socket.socket) -> None:
    """Serve reviews; until there is a certificate, connections are refused, so that the API server need not wait."""
    await served.loaded.wait()
    await server.serve([port])


async def _end(server: Server, task: asyncio.Task[None]) -> None:
    """Let a server answer what it was asked, and end; one that never began just ends."""
    server.should_exit = True
    if not server.started:
        task.cancel()
    await asyncio.wait([task])


def _files(settings: WebhookSettings) -> Files | None:
    if settings.cert_file is None or settings.key_file is None:
        return None
    return Files(settings.cert_file, settings.key_file)


def _secret(settings: WebhookSettings, cluster: Cluster, metrics: Metrics) -> Source:
    assert settings.namespace, "the settings say so"
    assert settings.certificate_secret, "without files"
    return Secret(cluster, settings.namespace, settings.certificate_secret, metrics.watch_failed)


async def _until_told_to_end(readiness: Readiness, drain: float) -> None:
    """Wait for a signal, then go on serving while the cluster learns that this replica is about to end.

    Meanwhile every answer closes its connection, so that what is left at the end has been idle for all that time. A
    second signal cuts it short.
    """
    told = asyncio.Semaphore(0)
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told.release)
    await told.acquire()
    readiness.draining = True
    log.info("draining", extra=fields(seconds=drain))
    try:
        await asyncio.wait_for(told.acquire(), drain)
    except TimeoutError:
        return


def _expose(metrics: Metrics, nodes: Nodes, lease: Lease) -> None:
    """Show what others count. The labels are the platforms of Nodes."""
    metrics.gauge("rightarch_nodes", "Nodes by platform.", ("os", "architecture"), nodes.counts)
    metrics.gauge("rightarch_nodes_listed", "Whether all Nodes were seen once.", (), lambda: {(): float(nodes.listed)})
    metrics.gauge("rightarch_nodepools", "NodePools of Karpenter.", (), lambda: {(): float(len(nodes.pools))})
    meaning = "Whether a controller renewed its Lease lately, so that pods may be held by a gate."
    metrics.gauge("rightarch_controller_alive", meaning, (), lambda: {(): float(lease.held)})
