"""Amazon ECR, private and public: the password of a registry for a signed request.

Sources: GetAuthorizationToken in the API references of Amazon ECR and Amazon ECR Public; "Amazon ECR endpoints and
quotas" in the AWS general reference; "Making requests to Amazon ECR registries" in the user guide (dual-stack names).
"""

import re
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rightarch.registry.cloud import aws, exchange
from rightarch.registry.cloud.client import CredentialClient
from rightarch.registry.cloud.exchange import Environment, Exchange, Lease, NoCredential
from rightarch.registry.cloud.leases import Leases
from rightarch.registry.cloud.sigv4 import Keys, Scope, sign
from rightarch.registry.keychain import Credential

PUBLIC_HOSTS: Final = frozenset({"public.ecr.aws", "ecr-public.aws.com"})
_PUBLIC_REGION: Final = "us-east-1"  # the only one that gives tokens for the public registry
_CONTENT: Final = b"{}"
_HOST: Final = re.compile(
    r"[0-9]{12}\.dkr(?P<joint>[.-])ecr(?P<fips>-fips)?"
    r"\.(?P<region>[a-z]{2,4}(?:-[a-z]{1,20}){1,3}-[0-9]{1,2})\.(?P<suffix>[a-z0-9.-]{1,40})",
    re.ASCII,
)
_DUAL_STACK: Final = {
    "amazonaws.com": ("on.aws", "api.aws"),
    "amazonaws.com.cn": ("on.amazonwebservices.com.cn", "api.amazonwebservices.com.cn"),
}
"""For a partition's domain, those of its registries and of its services that have IPv6 as well."""


@dataclass(frozen=True, slots=True)
class Api:
    """The service that gives the password of a registry. One password opens all registries of a region."""

    url: str
    target: str
    scope: Scope


def locate(domain: str) -> Api | None:
    """The service for a registry, as references name it; None where it is none of ECR's."""
    if domain in PUBLIC_HOSTS:
        return _public(f"https://api.ecr-public.{_PUBLIC_REGION}.amazonaws.com/")
    match = _HOST.fullmatch(domain)
    if match is None:
        return None
    region, fips = match["region"], match["fips"] or ""
    classic = aws.suffix(region)
    registries, services = _DUAL_STACK.get(classic, ("", ""))
    if match["joint"] == "." and match["suffix"] == classic:
        return _private(f"https://{'ecr-fips' if fips else 'api.ecr'}.{region}.{classic}/", region)
    if match["joint"] == "-" and match["suffix"] == registries:
        return _private(f"https://ecr{fips}.{region}.{services}/", region)
    return None


def obtain(api: Api, environment: Environment, keys: Keys, now: float) -> Exchange[Lease[Credential]]:
    """The name and password for the registries of an Api, for 12 hours or what is left of the keys' session.

    Raises:
        NoCredential: it is refused.
    """
    name = "ECR_PUBLIC" if api.scope.service == "ecr-public" else "ECR"
    url = aws.endpoint(environment, name, api.url).rstrip("/") + "/"
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": api.target}
    plain = exchange.request("POST", url, content=_CONTENT)
    proof = sign(plain, headers, keys, api.scope, datetime.fromtimestamp(now, UTC))
    response = yield exchange.request("POST", url, proof, content=_CONTENT)
    return _lease(exchange.parse(response).get("authorizationData"), now)


class Ecr:
    """Credentials of ECR's registries; the keys of the identity are shared by all regions.

    Args:
        client: sends the requests.
        environment: the environment variables.
        locate: tells the service of a registry.
    """

    def __init__(
        self, client: CredentialClient, environment: Environment, locate: Callable[[str], Api | None] = locate
    ) -> None:
        self._client, self._environment = client, environment
        self._keys: Leases[Keys] = Leases()
        self.locate = locate

    async def obtain(self, key: Api) -> Lease[Credential]:
        """A credential for the registries of an Api.

        Raises:
            NoCredential: there is none.
        """
        keys = await self._keys.get(None, self._obtain_keys)
        try:
            return await self._client.run(obtain(key, self._environment, keys, time.time()))
        except NoCredential:
            self._keys.drop(None)  # they may have been revoked
            raise

    async def aclose(self) -> None:
        """End what is running."""
        await self._keys.aclose()

    async def _obtain_keys(self) -> Lease[Keys]:
        return await self._client.run(aws.obtain(self._environment, time.time()))


def _private(url: str, region: str) -> Api:
    return Api(url, "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", Scope(region, "ecr"))


def _public(url: str) -> Api:
    return Api(url, "SpencerFrontendService.GetAuthorizationToken", Scope(_PUBLIC_REGION, "ecr-public"))


def _lease(data: object, now: float) -> Lease[Credential]:
    """What the answer holds: a list with one item for the private registries, an object for the public one."""
    fields = data[0] if isinstance(data, list) and data else data
    if not isinstance(fields, dict):
        raise NoCredential("ECR's answer has no authorizationData")
    username, colon, password = _decoded(exchange.text(fields, "authorizationToken")).partition(":")
    if not colon:
        raise NoCredential("ECR's authorizationToken is no name and password")
    return Lease(Credential(username, password), _left(fields.get("expiresAt"), now))


def _decoded(token: str) -> str:
    try:
        return b64decode(token, validate=True).decode("ascii")
    except ValueError:
        raise NoCredential("ECR's authorizationToken is not base64") from None


def _left(expires: object, now: float) -> float:
    """The seconds that are left until a time, as seconds since 1970 (JSON 1.1) or as text."""
    if isinstance(expires, str):
        return exchange.until(expires, now)
    left = float(expires) - now if isinstance(expires, int | float) else 0.0
    return exchange.seconds({"expiresAt": left}, "expiresAt")
