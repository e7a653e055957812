"""The keychain of the clouds: credentials that the identity of this process gets for the registries of its cloud."""

import os
from collections.abc import Collection, Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol, Self

from rightarch.errors import UnresolvedImage
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry.cloud.azure import Azure
from rightarch.registry.cloud.client import CredentialClient
from rightarch.registry.cloud.ecr import Ecr
from rightarch.registry.cloud.exchange import Environment, Lease, NoCredential
from rightarch.registry.cloud.google import Google
from rightarch.registry.cloud.leases import Leases
from rightarch.registry.keychain import ANONYMOUS, CLUSTER, Credential
from rightarch.registry.proxies import Proxies

_REMEMBERED: Final = 1024


class Provider(Protocol):
    """A cloud's registries."""

    def locate(self, domain: str) -> Hashable | None:
        """What the credential of a registry is kept by; None where it is no registry of this cloud."""

    async def obtain(self, key: Any) -> Lease[Credential]:  # noqa: ANN401 - whatever locate gave
        """A credential.

        Raises:
            NoCredential: there is none, or none now.
        """

    async def aclose(self) -> None:
        """End what is running."""


class CloudKeychain:
    """Credentials by the host of the registry. A cloud is asked when an image of its registries is, and not before.

    Args:
        client: closed with this.
        providers: the clouds that are on.
    """

    def __init__(self, client: CredentialClient, *providers: Provider) -> None:
        self._client, self._providers = client, providers
        self._leases: Leases[Credential] = Leases()
        self._located = lru_cache(_REMEMBERED)(self._locate)  # each admission asks

    @classmethod
    def of(cls, clouds: Collection[str], ca_file: Path | None = None, environment: Environment = os.environ) -> Self:
        """The keychain for some of ``ecr``, ``gar`` and ``acr``.

        Args:
            clouds: those that are on.
            ca_file: certificates (PEM) of authorities that are trusted beside the public ones.
            environment: the environment variables that name identities and endpoints.

        Raises:
            SettingsError: ``ca_file`` holds no certificates, or a proxy of the environment is no URL.
        """
        client = CredentialClient(ca_file, Proxies.of(environment))
        made: dict[str, Provider] = {
            "ecr": Ecr(client, environment),
            "gar": Google(client, environment),
            "acr": Azure(client, environment),
        }
        return cls(client, *(provider for name, provider in made.items() if name in clouds))

    @property
    def scope(self) -> str:
        """That of the cluster; nobody's, where no cloud is on."""
        return CLUSTER if self._providers else ANONYMOUS

    def serves(self, reference: Reference) -> bool:
        """The images of registries of the clouds that are on."""
        return self._located(reference.domain) is not None

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """The credential for the reference's registry, if this process has an identity that gets one.

        Raises:
            UnresolvedImage: it has one, but the cloud does not give the credential now.
        """
        found = self._located(reference.domain)
        return () if found is None else await self._of(*found, reference)

    async def aclose(self) -> None:
        """End the exchanges that are running, and close all connections."""
        await self._leases.aclose()
        for provider in self._providers:
            await provider.aclose()
        await self._client.aclose()

    def _locate(self, domain: str) -> tuple[Provider, Hashable] | None:
        """Whose a registry is, and by what its credential is kept; None where it is no cloud's."""
        keyed = ((provider, provider.locate(domain)) for provider in self._providers)
        return next(((provider, key) for provider, key in keyed if key is not None), None)

    async def _of(self, provider: Provider, key: Hashable, reference: Reference) -> Sequence[Credential]:
        try:
            return (await self._leases.get((provider, key), lambda: provider.obtain(key)),)
        except NoCredential as problem:
            if not problem.transient:
                return ()
        text = f"the cloud of {reference.domain} gives no credential for it at this time; see the log, at level debug"
        raise UnresolvedImage(Reason.REGISTRY_FAILED, text)
