"""Options: what an administrator may set of the registry client."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rightarch.registry.endpoint import Endpoint
from rightarch.registry.proxies import Proxies


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOptions:
    """How registries are asked, and how long answers are believed. All times are in seconds.

    Attributes:
        allow_loopback: whether registries on this machine may be contacted, and by plain HTTP; for the command line,
            the demo and the tests, never in a cluster.
        ca_file: certificates (PEM) of authorities that are trusted beside the public ones.
        forbidden_endpoints: pairs of IP address and port that are never contacted, asked each time: the API servers'.
        registries: endpoints by registry, as references name it, or ``_default``; each in the order to ask them.
        hosts_folder: containerd's folder of hosts (``certs.d``), for registries that are not among those.
        proxies: through which requests go.
        token_realms: for a registry's host, further hosts of token services that may see its credentials.
        tag_ttl: how long a tag is believed to point to the same digest before it is asked for again.
        access_ttl: how long a credential is believed to still be allowed to read what it once read.
        stale_ttl: how long an answer is used after it was last confirmed, while the registry fails.
        negative_ttl: how long a failure is remembered at most; it varies, so that retries spread.
        lookup_timeout: the most that one look-up takes in all.
        max_lookups: look-ups in flight; further ones fail at once. One namespace gets half at most.
        max_lookups_per_registry: those of them at one registry, so that one that hangs leaves room for others.
        max_connections_per_registry: connections to one host at a time; further requests queue.
        max_images: images whose content is remembered; the least recently used is forgotten first.
        max_references: references whose answer is remembered, likewise.
        max_failures: references whose failure is remembered, likewise.
    """

    allow_loopback: bool = False
    ca_file: Path | None = None
    forbidden_endpoints: Container[tuple[str, int]] = frozenset()
    registries: Mapping[str, Sequence[Endpoint]] = field(default_factory=dict)
    hosts_folder: Path | None = None
    proxies: Proxies = field(default_factory=Proxies)
    token_realms: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tag_ttl: float = 600.0
    access_ttl: float = 12 * 3600.0
    stale_ttl: float = 24 * 3600.0
    negative_ttl: float = 5.0
    lookup_timeout: float = 10.0
    max_lookups: int = 512
    max_lookups_per_registry: int = 256
    max_connections_per_registry: int = 32
    max_images: int = 50_000
    max_references: int = 50_000
    max_failures: int = 5_000
