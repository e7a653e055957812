"""Google Artifact Registry and Container Registry: the access token of the service account that a pod runs as.

Sources: "Authenticate to Artifact Registry for Docker" (user name ``oauth2accesstoken``); "View and query VM metadata"
and "Workload Identity Federation for GKE" for the metadata service.
"""

import re
from typing import Final

from rightarch.registry.cloud import exchange
from rightarch.registry.cloud.client import CredentialClient
from rightarch.registry.cloud.exchange import Absence, Environment, Exchange, Lease, NoCredential, Patience
from rightarch.registry.keychain import Credential

METADATA: Final = "metadata.google.internal."
"""With the last dot no search domain is tried, and no name of the cluster's own can stand for it."""

HOSTS: Final = re.compile(r"(?:[a-z0-9-]{1,63}\.)?gcr\.io|[a-z0-9-]{1,63}-docker\.pkg\.dev", re.ASCII)
_USER: Final = "oauth2accesstoken"
_FLAVOR: Final = {"metadata-flavor": "Google"}
_UNSURE: Final = Patience(connect=1.0, absence=Absence.NO_NAME)
_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/token"


def obtain(environment: Environment) -> Exchange[Lease[Credential]]:
    """The credential for all of Google's registries, for an hour or less.

    Raises:
        NoCredential: this is not on Google Cloud, or the pod has no service account there.
    """
    host = environment.get("GCE_METADATA_HOST") or METADATA
    response = yield exchange.request("GET", f"http://{host}{_PATH}", _FLAVOR, patience=_UNSURE)
    if response.headers.get("metadata-flavor") != _FLAVOR["metadata-flavor"]:
        raise NoCredential(f"{host} is not Google's metadata service")
    fields = exchange.parse(response)
    return Lease(Credential(_USER, exchange.text(fields, "access_token")), exchange.seconds(fields, "expires_in"))


class Google:
    """Credentials of Google's registries.

    Args:
        client: sends the requests.
        environment: the environment variables.
        hosts: the registries, as references name them.
    """

    def __init__(self, client: CredentialClient, environment: Environment, hosts: re.Pattern[str] = HOSTS) -> None:
        self._client, self._environment, self._hosts = client, environment, hosts

    def locate(self, domain: str) -> str | None:
        """What a registry's credential is kept by: the same for all of them. None where it is none of Google's."""
        return _USER if self._hosts.fullmatch(domain) else None

    async def obtain(self, key: str) -> Lease[Credential]:  # noqa: ARG002 - the protocol's form
        """The credential.

        Raises:
            NoCredential: there is none.
        """
        return await self._client.run(obtain(self._environment))

    async def aclose(self) -> None:
        """Nothing is running but what the caller waits for."""
