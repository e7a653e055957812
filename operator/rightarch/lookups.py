"""Look-ups: how every process asks registries, and what it shows of that."""

from collections.abc import Mapping

from rightarch.metrics import ProcessMetrics
from rightarch.registry import Registry, RegistryOptions
from rightarch.registry.configuration import Configuration
from rightarch.registry.proxies import Proxies
from rightarch.settings import ProcessSettings


def options(
    settings: ProcessSettings, forbidden: frozenset[tuple[str, int]], environment: Mapping[str, str]
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
    """Show what a registry client counts. The labels are fixed words: pod authors choose the hosts."""
    stats = registry.stats
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
    meaning = "Requests not sent because their host failed lately."
    metrics.counter("rightarch_registry_requests_spared", meaning, (), lambda: {(): stats.spared})
    meaning = "Hosts that fail, and are asked by one request at a time."
    metrics.gauge("rightarch_registry_circuits_open", meaning, (), lambda: {(): stats.open_circuits()})
    meaning = "Answers from memory that their registry failed to confirm."
    metrics.counter("rightarch_stale_answers", meaning, (), lambda: {(): stats.stale})
