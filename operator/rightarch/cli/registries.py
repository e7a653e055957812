"""Registries as commands ask them: with the credentials of whoever runs the command."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import typer

from rightarch.cli.plain import plain
from rightarch.registry import Registry, RegistryOptions
from rightarch.registry.dockerconfig import Malformed
from rightarch.registry.login import Login, LoginKeychain, config_file, parse
from rightarch.registry.proxies import Proxies


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How registries are asked.

    Attributes:
        ca_file: further authorities to trust.
        configuration: a file that configures registries, as the processes have it.
        hosts_folder: containerd's folder of hosts (``certs.d``).
        token_realms: for a registry's host, hosts of token services that may see the user's credentials.
        timeout: seconds to wait for one answer.
    """

    ca_file: Path | None = None
    configuration: Path | None = None
    hosts_folder: Path | None = None
    token_realms: Mapping[str, frozenset[str]] = field(default_factory=dict)
    timeout: float = 30.0


@asynccontextmanager
async def opened(asking: Asking) -> AsyncIterator[Registry]:
    """A client, closed at the end.

    Raises:
        SettingsError: a file, or a proxy of the environment, can't be used.
    """
    registry = Registry(_options(asking))
    try:
        yield registry
    finally:
        await registry.aclose()


def _options(asking: Asking) -> RegistryOptions:
    """As the webhook asks, where the same is configured; and on this machine too."""
    options = RegistryOptions(
        allow_loopback=True,
        ca_file=asking.ca_file,
        hosts_folder=asking.hosts_folder,
        token_realms=asking.token_realms,
        lookup_timeout=asking.timeout,
        proxies=Proxies.of(os.environ),
    )
    if asking.configuration is None:
        return options
    from rightarch.registry.configuration import Configuration  # noqa: PLC0415 - pydantic, which few inspections need

    configured = Configuration.load(asking.configuration)
    realms = dict(asking.token_realms)
    for host, services in configured.realms().items():
        realms[host] = realms.get(host, frozenset()) | services
    return replace(options, registries=configured.endpoints(), token_realms=realms)


def keychain() -> LoginKeychain:
    """The user's credentials. A file that can't be read is told of; what is public can be asked for without it."""
    path = config_file(os.environ, Path.home())
    if path is None:
        return LoginKeychain(Login(), tell)
    try:
        return LoginKeychain(parse(path.read_bytes()), tell)
    except (OSError, Malformed) as error:
        tell(f"{path} can't be read as a configuration of credentials: {error}; registries are asked without any")
        return LoginKeychain(Login(), tell)


def tell(text: str) -> None:
    """Say something beside the output."""
    typer.echo(f"rightarch: {plain(text)}", err=True)
