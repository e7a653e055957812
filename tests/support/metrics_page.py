"""docs/metrics.md, from what the parts of both processes say of their metrics."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kubernetes.aio.client import ApiClient, Configuration

from rightarch import lookups
from rightarch.certificates import Plan
from rightarch.cluster import Cluster
from rightarch.controller.certificates import Certificates, Target
from rightarch.controller.leadership import Leadership
from rightarch.controller.policies import PolicyStatuses
from rightarch.controller.rechecks import Rechecks
from rightarch.events import Events
from rightarch.facts import Facts
from rightarch.keychains import Keychains
from rightarch.lease import Lease
from rightarch.metrics import Metrics, ProcessMetrics
from rightarch.registry import Registry, RegistryOptions
from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes
from rightarch.webhook import server
from rightarch.webhook.certificate import ServedCertificate
from rightarch.webhook.live import LivePods
from rightarch.webhook.rules import Rules
from tests.support.marks import replaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rightarch.metrics import Description

PAGE: Final = Path(__file__).parents[2] / "docs" / "metrics.md"


def generated(text: str) -> str:
    """The page with its tables made anew."""
    webhook, controller = asyncio.run(_described())
    both = webhook.keys() & controller.keys()
    text = replaced(text, "both", _table(webhook[name] for name in both))
    text = replaced(text, "webhook", _table(each for name, each in webhook.items() if name not in both))
    return replaced(text, "controller", _table(each for name, each in controller.items() if name not in both))


async def _described() -> tuple[Mapping[str, Description], Mapping[str, Description]]:
    """The metrics of webhook and controller, by name: their parts are put together as the processes do, and not run."""
    cluster = Cluster(ApiClient(Configuration()))
    registry = Registry(RegistryOptions())
    try:
        return _of_webhook(cluster, registry), _of_controller(cluster, registry)
    finally:
        await registry.aclose()
        await cluster.aclose()


def _of_webhook(cluster: Cluster, registry: Registry) -> Mapping[str, Description]:
    metrics = Metrics()
    _of_both(cluster, registry, metrics)
    ServedCertificate().expose(metrics)
    server._expose(metrics, Nodes(), Lease())
    Events(cluster, "").expose(metrics)
    LivePods(registry, Nodes(), metrics, Keychains(cluster, ()), Rules(Rulebook(), cluster))
    return {each.name: each for each in metrics.described}


def _of_controller(cluster: Cluster, registry: Registry) -> Mapping[str, Description]:
    metrics, rulebook, keychains = ProcessMetrics(), Rulebook(), Keychains(cluster, ())
    facts = _of_both(cluster, registry, metrics)
    Leadership(cluster, registry, keychains, facts, rulebook, "", "", 1.0, metrics)
    PolicyStatuses(cluster, rulebook, 1.0, metrics)
    facts.collector(1).expose(metrics)
    Rechecks(registry, keychains, facts, 1.0).expose(metrics)
    plan = Plan.of("service", "namespace", None, timedelta(days=90))
    Certificates(cluster, Target("namespace", "secret", "configuration", plan)).expose(metrics)
    metrics.gauge("rightarch_leader", "Whether this replica leads.", (), dict)
    return {each.name: each for each in metrics.described}


def _of_both(cluster: Cluster, registry: Registry, metrics: ProcessMetrics) -> Facts:
    facts = Facts(cluster, registry, metrics.watch_failed)
    facts.expose(metrics)
    Rulebook().expose(metrics)
    lookups.expose(registry, metrics)
    lookups.expose_requests(cluster, metrics)
    return facts


def _table(metrics: Iterable[Description]) -> str:
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.meaning} |\n"
        for each in sorted(metrics)
    ]
    return "".join(["| metric | type | labels | meaning |\n", "| --- | --- | --- | --- |\n", *rows])
