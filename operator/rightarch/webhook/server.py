"""The process of the webhook: two ports, the watch of Nodes, and an end that no admission notices."""

import asyncio
import gc
import logging
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvloop

from rightarch.cluster import NODES, Cluster, follow
from rightarch.errors import SettingsError
from rightarch.logs import fields
from rightarch.metrics import Metrics
from rightarch.registry import AnonymousKeychain, Registry, RegistryOptions
from rightarch.serving import Health, Server, listening
from rightarch.settings import WebhookSettings
from rightarch.snapshot import Nodes
from rightarch.webhook.admission import Admission
from rightarch.webhook.endpoint import Endpoint
from rightarch.webhook.readiness import Readiness

PODS: Final = "/mutate/pods"

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
    context = tls_context(settings)
    address = settings.address
    with listening(address, settings.port) as reviews, listening(address, settings.health_port) as health:
        async with _connected(settings) as (cluster, registry):
            nodes, metrics = Nodes(), Metrics()
            readiness = Readiness(nodes)
            _expose(metrics, nodes, registry)
            admission = Admission(registry, nodes, metrics, lambda _: AnonymousKeychain())
            endpoint = Endpoint({PODS: admission}, settings.lookup_budget, metrics, lambda: readiness.draining)
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(follow(cluster, NODES, nodes, metrics.watch_failed))
                servers = Server(endpoint, context), Server(Health(readiness.missing, metrics))
                tasks = [group.create_task(s.serve([port])) for s, port in zip(servers, (reviews, health), strict=True)]
                log.info("listening", extra=fields(port=settings.port, health_port=settings.health_port))
                await _until_told_to_end(readiness, settings.drain_seconds)
                for server, task in zip(servers, tasks, strict=True):
                    server.should_exit = True
                    await task
                watch.cancel()
    log.info("ended")


def tls_context(settings: WebhookSettings) -> ssl.SSLContext:
    """The TLS context of the endpoint.

    Raises:
        SettingsError: certificate and key can't be read, or don't belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        files = f"--cert-file {settings.cert_file} with --key-file {settings.key_file}"
        raise SettingsError(f"{files}: {error}; give a certificate chain and its own key, both in PEM") from error
    return context


@asynccontextmanager
async def _connected(settings: WebhookSettings) -> AsyncIterator[tuple[Cluster, Registry]]:
    cluster = await Cluster.connect(settings.kubeconfig)
    registry = Registry(
        RegistryOptions(
            allow_loopback=settings.allow_loopback_registries,
            ca_file=settings.registry_ca_file,
            forbidden_endpoints=await cluster.endpoints(),
        )
    )
    try:
        yield cluster, registry
    finally:
        await registry.aclose()
        await cluster.aclose()


async def _until_told_to_end(readiness: Readiness, drain: float) -> None:
    """Wait for a signal, then go on serving while the cluster learns that this replica is about to end.

    Meanwhile every answer closes its connection, so that what is left at the end has been idle for all that time. A
    second signal cuts it short.
    """
    told = asyncio.Semaphore(0)
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told.release)
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at it again
    await told.acquire()
    readiness.draining = True
    log.info("draining", extra=fields(seconds=drain))
    try:
        await asyncio.wait_for(told.acquire(), drain)
    except TimeoutError:
        return


def _expose(metrics: Metrics, nodes: Nodes, registry: Registry) -> None:
    """Show what others count. Their keys are fixed words, and the platforms of Nodes."""
    stats = registry.stats
    metrics.gauge("rightarch_nodes", "Nodes by platform.", ("os", "architecture"), nodes.counts)
    metrics.gauge("rightarch_nodes_listed", "Whether all Nodes were seen once.", (), lambda: {(): float(nodes.listed)})
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
