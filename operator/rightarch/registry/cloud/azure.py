"""Azure Container Registry: a refresh token of the registry for an access token of Entra ID.

Sources: "Authenticate with Azure Container Registry: AAD-OAuth" of the ACR project; "Microsoft Entra Workload ID" and
"OAuth 2.0 client credentials flow" (federated credential); "How to use managed identities on an Azure VM to acquire an
access token".
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from rightarch.registry.cloud import exchange
from rightarch.registry.cloud.client import CredentialClient
from rightarch.registry.cloud.exchange import Absence, Environment, Exchange, Lease, NoCredential, Patience
from rightarch.registry.cloud.leases import Leases
from rightarch.registry.keychain import Credential

AUTHORITY: Final = "https://login.microsoftonline.com"
METADATA: Final = "http://169.254.169.254"
HOSTS: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9]{1,63}\.geo)?\.azurecr\.(?:io|cn|us)", re.ASCII
)
AUDIENCE: Final = "https://containerregistry.azure.net"
"""What the access token is for: registries of all Azure clouds, and nothing else. Whoever got hold of it could not
manage resources with it, as with a token for the resource manager, which registries take as well."""

_USER: Final = "00000000-0000-0000-0000-000000000000"
_LIFE: Final = 3 * 3600.0  # of a registry's refresh token
_UNSURE: Final = Patience(connect=1.0, absence=Absence.NO_ANSWER)
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FEDERATED: Final = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")


def identify(environment: Environment) -> Exchange[Lease[str]]:
    """The access token of the identity that the environment gives: by workload identity, else by the machine's.

    Raises:
        NoCredential: there is no identity, or it is refused.
    """
    federated = all(environment.get(name) for name in _FEDERATED)
    fields: Mapping[str, object] = yield from (_federated(environment) if federated else _managed(environment))
    return Lease(exchange.text(fields, "access_token"), exchange.seconds(fields, "expires_in"))


def obtain(domain: str, environment: Environment, token: str) -> Exchange[Lease[Credential]]:
    """The credential for a registry, for three hours.

    Args:
        domain: the registry's host, which is known to be Azure's: it is told the access token.
        environment: the environment variables.
        token: the access token.

    Raises:
        NoCredential: it is refused.
    """
    form = {"grant_type": "access_token", "service": domain, "access_token": token}
    if tenant := environment.get("AZURE_TENANT_ID"):
        form["tenant"] = tenant
    response = yield exchange.request("POST", f"https://{domain}/oauth2/exchange", form=form)
    return Lease(Credential(_USER, exchange.text(exchange.parse(response), "refresh_token")), _LIFE)


class Azure:
    """Credentials of Azure's registries; the access token of the identity is shared by all of them.

    Args:
        client: sends the requests.
        environment: the environment variables.
        hosts: the registries, as references name them.
    """

    def __init__(self, client: CredentialClient, environment: Environment, hosts: re.Pattern[str] = HOSTS) -> None:
        self._client, self._environment, self._hosts = client, environment, hosts
        self._tokens: Leases[str] = Leases()

    def locate(self, domain: str) -> str | None:
        """What a registry's credential is kept by: its host. None where it is none of Azure's."""
        return domain if self._hosts.fullmatch(domain) else None

    async def obtain(self, key: str) -> Lease[Credential]:
        """A credential for a registry.

        Raises:
            NoCredential: there is none.
        """
        token = await self._tokens.get(None, self._identify)
        try:
            return await self._client.run(obtain(key, self._environment, token))
        except NoCredential:
            self._tokens.drop(None)  # it may have been revoked
            raise

    async def aclose(self) -> None:
        """End what is running."""
        await self._tokens.aclose()

    async def _identify(self) -> Lease[str]:
        return await self._client.run(identify(self._environment))


def _federated(environment: Environment) -> Exchange[Mapping[str, object]]:
    """Entra ID's answer to the token of a ServiceAccount."""
    client, tenant, path = (environment[name] for name in _FEDERATED)
    authority = (environment.get("AZURE_AUTHORITY_HOST") or AUTHORITY).rstrip("/")
    form = {
        "client_id": client,
        "scope": f"{AUDIENCE}/.default",
        "client_assertion_type": _ASSERTION,
        "client_assertion": exchange.read(path),
        "grant_type": "client_credentials",
    }
    url = f"{authority}/{quote(tenant, safe='')}/oauth2/v2.0/token"
    return exchange.parse((yield exchange.request("POST", url, form=form)))


def _managed(environment: Environment) -> Exchange[Mapping[str, object]]:
    """The metadata service's answer, for the machine's identity or the one of its identities that is named."""
    query = {"api-version": "2018-02-01", "resource": AUDIENCE}
    if client := environment.get("AZURE_CLIENT_ID"):
        query["client_id"] = client
    base = (environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST") or METADATA).rstrip("/")
    url = f"{base}/metadata/identity/oauth2/token?{urlencode(query)}"
    return exchange.parse((yield exchange.request("GET", url, {"metadata": "true"}, patience=_UNSURE)))
