"""Registries as commands ask them: with the credentials of whoever runs the command."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import typer

from rightarch.registry import Registry, RegistryOptions
from rightarch.registry.dockerconfig import Malformed
from rightarch.registry.login import Login, LoginKeychain, config_file, parse
from rightarch.registry.proxies import Proxies


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How registries are asked.

    Attributes:
        ca_file: further authorities to trust.
        token_realms: for a registry's host, hosts of token services that may see the user's credentials.
        timeout: seconds to wait for one answer.
    """

    ca_file: Path | None = None
    token_realms: Mapping[str, frozenset[str]] = field(default_factory=dict)
    timeout: float = 30.0


@asynccontextmanager
async def opened(asking: Asking) -> AsyncIterator[Registry]:
    """A client, closed at the end."""
    registry = Registry(
        RegistryOptions(
            allow_loopback=True,
            ca_file=asking.ca_file,
            token_realms=asking.token_realms,
            lookup_timeout=asking.timeout,
            proxies=Proxies.of(os.environ),
        )
    )
    try:
        yield registry
    finally:
        await registry.aclose()


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
    typer.echo(f"rightarch: {text}", err=True)
