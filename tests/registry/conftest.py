"""A real registry over TLS with token authentication, shared by the tests of this folder; clients of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from rightarch.registry import Registry, RegistryOptions
from tests.controlplane import CertificateAuthority
from tests.images import RegistryServer, TokenServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ALICE_PASSWORD = "password-of-alice"  # noqa: S105 - of the tests
PATIENCE = 60.0
"""The most that a look-up takes, where no test is about it."""
PRIVATE = frozenset({"private/app", "private/other"})


@dataclass
class Clock:
    """A clock that tests turn."""

    now: float = 1000.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Who signs the certificates of the registry and the token service."""
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def tokens(authority: CertificateAuthority) -> Iterator[TokenServer]:
    """The token service: private repositories are for alice."""
    readers = {name: frozenset({"alice"}) for name in PRIVATE}
    with TokenServer(authority, users={"alice": ALICE_PASSWORD, "bob": "password-of-bob"}, readers=readers) as server:
        yield server


@pytest.fixture(scope="session")
def running(
    authority: CertificateAuthority, tokens: TokenServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryServer]:
    """The registry that all tests share."""
    with RegistryServer(authority=authority, tokens=tokens, folder=tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def server(running: RegistryServer, tokens: TokenServer) -> RegistryServer:
    """The registry, with nothing counted yet, here or at the token service."""
    running.forget()
    tokens.requests.clear()
    return running


@pytest.fixture
def options(authority: CertificateAuthority) -> RegistryOptions:
    """Options under which the tests' registry may be asked, and its token service told who asks."""
    realms = {"127.0.0.1": frozenset({"localhost"})}
    return RegistryOptions(
        allow_loopback=True, ca_file=Path(authority.certificate), token_realms=realms, lookup_timeout=PATIENCE
    )


@pytest.fixture
def clock() -> Clock:
    """The clock of the test's clients."""
    return Clock()


@pytest_asyncio.fixture
async def made(clock: Clock) -> AsyncIterator[Callable[[RegistryOptions], Registry]]:
    """Makes clients that are closed after the test."""
    registries: list[Registry] = []

    def make(options: RegistryOptions) -> Registry:
        registries.append(Registry(options, clock=clock))
        return registries[-1]

    yield make
    for registry in registries:
        await registry.aclose()


@pytest.fixture
def registry(made: Callable[[RegistryOptions], Registry], options: RegistryOptions) -> Registry:
    """A client that knows nothing yet."""
    return made(options)
