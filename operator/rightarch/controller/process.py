"""The process of the controller: a port for health, signals, and a candidate that leads when it is elected."""

import asyncio
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Any

import uvloop

from rightarch import lookups
from rightarch.certificates import Plan
from rightarch.cluster import Cluster
from rightarch.controller.certificates import Certificates, Target
from rightarch.controller.election import Election
from rightarch.controller.leadership import Leadership, first
from rightarch.controller.policies import PolicyStatuses
from rightarch.controller.rechecks import Rechecks
from rightarch.facts import Facts
from rightarch.keychains import Keychains
from rightarch.logs import fields
from rightarch.metrics import ProcessMetrics
from rightarch.policy import Choices
from rightarch.registry import Registry
from rightarch.rulebook import Rulebook
from rightarch.serving import Health, Server, listening
from rightarch.settings import ControllerSettings

Duty = Callable[[], Coroutine[Any, Any, object]]

log = logging.getLogger(__name__)


def run(settings: ControllerSettings) -> None:
    """Work until SIGTERM or SIGINT.

    Raises:
        SettingsError: the kubeconfig can't be used.
        PortTaken: the port can't be listened on.
        LeadershipLost: another replica leads, or the API server is away for too long: to be restarted.
        WatchesEnded: kopf gave up: likewise.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: ControllerSettings) -> None:
    with listening(settings.address, settings.health_port) as port:
        metrics = ProcessMetrics()
        async with (
            lookups.connected(settings, metrics.watch_failed) as (cluster, registry),
            aclosing(Keychains.of(settings, cluster)) as keychains,
        ):
            identity = f"{socket.gethostname()}_{secrets.token_hex(4)}"
            election = Election(cluster, settings.namespace, settings.lease_name, identity)
            facts = Facts(cluster, registry, metrics.watch_failed, settings.facts_day)
            facts.expose(metrics)
            lookups.expose(registry, metrics)
            lookups.expose_requests(cluster, metrics)
            duties = _duties(settings, cluster, registry, keychains, facts, identity, metrics)
            candidate = _Candidate(election, *duties, *_certificates(settings, cluster, metrics))
            metrics.gauge("rightarch_leader", "Whether this replica leads.", (), lambda: {(): float(election.leading)})
            health = Server(Health(candidate.missing, metrics))
            log.info("listening", extra=fields(health_port=settings.health_port, identity=identity))
            try:
                await first(health.serve([port]), candidate.run(), _told_to_end())
                await facts.flush()
            finally:
                await election.resign()
    log.info("ended")


def _duties(  # noqa: PLR0913, PLR0917 - what a process has
    settings: ControllerSettings,
    cluster: Cluster,
    registry: Registry,
    keychains: Keychains,
    facts: Facts,
    identity: str,
    metrics: ProcessMetrics,
) -> tuple[Duty, ...]:
    """What the one that leads does."""
    rulebook = Rulebook(Choices(mode=settings.default_mode))
    interval = settings.list_interval
    leadership = Leadership(
        cluster, registry, keychains, facts, rulebook, identity, settings.namespace, interval, metrics
    )
    collector = facts.collector(settings.facts_retention)
    rechecks = Rechecks(registry, keychains, facts, settings.recheck_interval)
    for each in (rulebook, collector, rechecks):
        each.expose(metrics)
    return (
        facts.run,
        partial(rulebook.follow, cluster, metrics.watch_failed),
        leadership.run,
        collector.run,
        _after(leadership.caught_up, rechecks.run),
        PolicyStatuses(cluster, rulebook, interval, metrics).run,
    )


def _after(event: asyncio.Event, duty: Duty) -> Duty:
    """A duty that begins when something has happened."""

    async def begin() -> None:
        await event.wait()
        await duty()

    return begin


class _Candidate:
    """Stands for election, and does its duties when elected."""

    def __init__(self, election: Election, *duties: Duty) -> None:
        self._election, self._duties = election, duties

    async def run(self) -> None:
        """Wait for the Lease, then lead until it is lost or a duty ends."""
        await self._election.win()
        await first(self._election.keep(), *(duty() for duty in self._duties))

    def missing(self) -> str | None:
        """Why this replica is not ready, or None: one that stands by is."""
        return None if self._election.heard else "the Lease was not read yet: is the API server there?"


def _certificates(settings: ControllerSettings, cluster: Cluster, metrics: ProcessMetrics) -> Iterator[Duty]:
    """The duty to keep the webhook's certificate, where it is this controller's."""
    if settings.certificates == "external":
        return
    assert settings.certificate_secret, "the settings say so"
    assert settings.webhook_configuration, "likewise"
    host = str(settings.webhook_host) if settings.webhook_host else None
    lifetime = timedelta(seconds=settings.certificate_lifetime)
    plan = Plan.of(settings.service_name, settings.namespace, host, lifetime)
    target = Target(settings.namespace, settings.certificate_secret, settings.webhook_configuration, plan)
    certificates = Certificates(cluster, target, metrics.watch_failed)
    certificates.expose(metrics)
    yield certificates.keep


async def _told_to_end() -> None:
    """Return when a signal asks for the end."""
    told = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told.set)
    await told.wait()
    log.info("told to end")
