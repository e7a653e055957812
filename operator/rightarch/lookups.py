"""Look-ups: how every process asks registries, which addresses it never asks, and what it shows of that."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Container, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final

from rightarch.cluster import Cluster, Object
from rightarch.following import View, follow
from rightarch.metrics import ProcessMetrics
from rightarch.registry import Registry, RegistryOptions
from rightarch.registry.configuration import Configuration
from rightarch.registry.domain import suffixes
from rightarch.registry.proxies import Proxies
from rightarch.settings import ProcessSettings

SLICES: Final = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
KUBERNETES: Final = "kubernetes"
"""The EndpointSlice that the API servers keep themselves: their own addresses, behind the Service of that name."""

Endpoint = tuple[str, int]
"""An IP address and a port."""


class ApiServers:
    """The addresses of the API servers: the one that is talked to, and all that are behind it.

    Args:
        known: where the configured one is reached.
    """

    def __init__(self, known: frozenset[Endpoint]) -> None:
        self._known, self._listed = known, frozenset[Endpoint]()

    def __contains__(self, endpoint: object) -> bool:
        return endpoint in self._known or endpoint in self._listed

    def replace(self, slices: list[frozenset[Endpoint]]) -> None:
        """Take what is listed in place of what was."""
        self._listed = frozenset[Endpoint]().union(*slices)

    def put(self, endpoints: frozenset[Endpoint]) -> None:
        """Take what a slice has become: there is but the one."""
        self._listed = endpoints

    def remove(self, endpoints: frozenset[Endpoint]) -> None:
        """Keep what was there: the API servers write the slice anew."""


@asynccontextmanager
async def connected(settings: ProcessSettings, failed: Callable[[], None]) -> AsyncIterator[tuple[Cluster, Registry]]:
    """The API server and the registries, which are never an API server, wherever those move.

    Args:
        settings: of the process.
        failed: called whenever sight of the API servers' addresses is lost.

    Raises:
        SettingsError: the kubeconfig can't be used, or what the settings name of registries.
    """
    suffixes()  # now, and not in the middle of an admission
    cluster = await Cluster.connect(settings.kubeconfig)
    try:
        servers = ApiServers(await cluster.endpoints())
        registry = Registry(options(settings, servers, os.environ))
        watch = follow(cluster, SLICES, servers, failed, KUBERNETES, view=View(_endpoints))
        watching = asyncio.create_task(watch)
        try:
            yield cluster, registry
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            await registry.aclose()
    finally:
        await cluster.aclose()


def _endpoints(slice_: Object) -> frozenset[Endpoint]:
    """The addresses of an EndpointSlice, each with each of its ports; must not raise."""
    addresses = [address for each in slice_.get("endpoints") or () for address in each.get("addresses") or ()]
    ports = [port["port"] for port in slice_.get("ports") or () if port.get("port")]
    if slice_.get("addressType") not in {"IPv4", "IPv6"}:
        return frozenset()
    return frozenset((str(ip_address(address)), port) for address in addresses for port in ports)


def options(
    settings: ProcessSettings, forbidden: Container[Endpoint], environment: Mapping[str, str]
) -> RegistryOptions:
    """How registries are asked.

    Args:
        settings: of the process.
        forbidden: addresses and ports of the API server.
        environment: where the proxies are named.

    Raises:
        SettingsError: what the settings or the environment name can't be used.
    """
    file = settings.registries_config
    configured = Configuration() if file is None else Configuration.load(file)
    return RegistryOptions(
        allow_loopback=settings.allow_loopback_registries,
        ca_file=settings.registry_ca_file,
        forbidden_endpoints=forbidden,
        registries=configured.endpoints(),
        hosts_folder=settings.registry_hosts_dir,
        proxies=Proxies.of(environment),
        token_realms=configured.realms(),
    )


def expose(registry: Registry, metrics: ProcessMetrics) -> None:
    """Show what a registry client counts."""
    stats = registry.stats
    metrics.counter(
        "rightarch_lookups",
        "Look-ups of images ended, by Found or the Reason of the failure.",
        ("outcome",),
        lambda: {(outcome,): count for outcome, count in stats.lookups.items()},
    )
    meaning = "The same by registry: 50 that had an image, then other, since pod authors choose the hosts."
    metrics.counter("rightarch_registry_lookups", meaning, ("registry", "outcome"), lambda: _pairs(stats.registries))
    meaning = "Those that confirmed an answer in the background, for which nobody waited."
    metrics.counter("rightarch_lookup_refreshes", meaning, (), lambda: {(): stats.refreshes})
    metrics.counter(
        "rightarch_image_questions",
        "Questions about images, by what answered: Memory, or a LookUp that was waited for.",
        ("answered",),
        lambda: {("Memory",): stats.remembered, ("LookUp",): stats.waited},
    )
    metrics.gauge(
        "rightarch_remembered",
        "What is remembered of images: their content, by digest; answers and failures, by reference.",
        ("kind",),
        lambda: {(kind,): count for kind, count in registry.remembered().items()},
    )
    metrics.counter(
        "rightarch_registry_requests",
        "Requests to registries, by the class of the answer's status.",
        ("status",),
        lambda: {(status,): count for status, count in stats.requests.items()},
    )
    metrics.counter("rightarch_lookups_refused", "Look-ups not begun: too many ran.", (), lambda: {(): stats.refused})
    metrics.gauge("rightarch_lookups_in_flight", "Look-ups that run.", (), lambda: {(): stats.in_flight})
    meaning = "Requests not sent because their host failed lately."
    metrics.counter("rightarch_registry_requests_spared", meaning, (), lambda: {(): stats.spared})
    meaning = "Hosts that fail, and are asked by one request at a time."
    metrics.gauge("rightarch_registry_circuits_open", meaning, (), lambda: {(): stats.open_circuits()})
    meaning = "Answers from memory that their registry failed to confirm."
    metrics.counter("rightarch_stale_answers", meaning, (), lambda: {(): stats.stale})


def expose_requests(cluster: Cluster, metrics: ProcessMetrics) -> None:
    """Show what the API server is asked, but for the watches of workloads, which are kopf's."""
    metrics.counter(
        "rightarch_api_requests",
        "Requests to the API server, by verb and by the class of the answer's status, or error without one.",
        ("verb", "status"),
        lambda: _pairs(cluster.requests),
    )


def _pairs(counts: Mapping[tuple[str, str], int]) -> dict[tuple[str, ...], float]:
    """Counts of pairs, as a metric takes them."""
    return {pair: float(count) for pair, count in counts.items()}
