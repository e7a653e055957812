"""AWS's identities: how a pod gets the keys that it signs requests with.

Sources: "Configuring the AWS SDKs" in the Amazon EKS user guide (service accounts, Pod Identity); "Use IMDSv2" in the
Amazon EC2 user guide; AssumeRoleWithWebIdentity in the AWS STS API reference; "Settings reference" of the AWS SDKs for
the names and the precedence of environment variables.
"""

import re
from collections.abc import Mapping
from typing import Final

import httpx

from rightarch.registry.cloud import exchange
from rightarch.registry.cloud.exchange import Absence, Environment, Exchange, Lease, NoCredential, Patience
from rightarch.registry.cloud.sigv4 import Keys

METADATA: Final = "http://169.254.169.254"
METADATA_IPV6: Final = "http://[fd00:ec2::254]"
_AGENTS: Final = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost", "127.0.0.1", "::1"})
"""The hosts that may be asked for keys by plain HTTP, as the SDKs have it."""

_PARTITIONS: Final = (
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("", "amazonaws.com"),
)
_SESSION: Final = "rightarch"
_UNSURE: Final = Patience(connect=1.0, read=2.0, absence=Absence.NO_ANSWER)
"""Where the instance's hop limit is 1 the answer never reaches a pod, so there is no use in waiting for it."""
_TTL: Final = "300"  # seconds that a token for the metadata service is valid: two requests need it
_FOREVER: Final = float("inf")


def suffix(region: str) -> str:
    """The domain of a region's services."""
    return next(domain for prefix, domain in _PARTITIONS if region.startswith(prefix))


def endpoint(environment: Environment, service: str, default: str) -> str:
    """The URL of a service: what the environment names for it, or for all services, or the default."""
    for name in (f"AWS_ENDPOINT_URL_{service}", "AWS_ENDPOINT_URL"):
        if environment.get(name):
            return environment[name]
    return default


def obtain(environment: Environment, now: float) -> Exchange[Lease[Keys]]:
    """Keys of the identity that the environment gives, in the order of the SDKs.

    Static keys; the role of a ServiceAccount (IRSA); EKS Pod Identity; the role of the instance (IMDSv2 only).

    Args:
        environment: the environment variables.
        now: the time in seconds since 1970.

    Raises:
        NoCredential: there is no identity, or it is refused. What is configured but fails does not lead to the next.
    """
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        session = environment.get("AWS_SESSION_TOKEN") or None
        return Lease(Keys(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], session), _FOREVER)
    if environment.get("AWS_ROLE_ARN") and environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return (yield from _assumed(environment, now))
    if environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return (yield from _contained(environment, now))
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise NoCredential("the environment names no AWS identity, and forbids to ask the metadata service")
    return (yield from _instance(environment, now))


def _assumed(environment: Environment, now: float) -> Exchange[Lease[Keys]]:
    """The keys of a role for the token of a ServiceAccount."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    default = f"https://sts.{region}.{suffix(region)}" if region else "https://sts.amazonaws.com"
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": environment["AWS_ROLE_ARN"],
        "RoleSessionName": environment.get("AWS_ROLE_SESSION_NAME") or _SESSION,
        "WebIdentityToken": exchange.read(environment["AWS_WEB_IDENTITY_TOKEN_FILE"]),
    }
    url = endpoint(environment, "STS", default).rstrip("/") + "/"
    response = yield exchange.request("POST", url, form=form)
    return _lease(_elements(response), "SessionToken", now)


def _contained(environment: Environment, now: float) -> Exchange[Lease[Keys]]:
    """The keys of a role from the agent of EKS Pod Identity."""
    url = environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    headers = {}
    if path := environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        headers["authorization"] = exchange.read(path)
    elif token := environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        headers["authorization"] = token
    request = exchange.request("GET", url, headers)
    if request.url.scheme != "https" and request.url.host not in _AGENTS:
        raise NoCredential("AWS_CONTAINER_CREDENTIALS_FULL_URI names a host that is not asked by plain HTTP")
    return _lease(exchange.parse((yield request)), "Token", now)


def _instance(environment: Environment, now: float) -> Exchange[Lease[Keys]]:
    """The keys of the instance's role."""
    mode = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower()
    default = METADATA_IPV6 if mode == "ipv6" else METADATA
    base = (environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or default).rstrip("/") + "/latest/"
    wanted = {"x-aws-ec2-metadata-token-ttl-seconds": _TTL}
    response = yield exchange.request("PUT", f"{base}api/token", wanted, patience=_UNSURE)
    token = exchange.text({"token": exchange.body(response).decode("ascii", "replace")}, "token")
    headers = {"x-aws-ec2-metadata-token": token}
    roles = f"{base}meta-data/iam/security-credentials/"
    names = exchange.body((yield exchange.request("GET", roles, headers))).decode("ascii", "replace")
    role = names.partition("\n")[0].strip()
    if not _ROLE.fullmatch(role):
        raise NoCredential("the instance has no role")
    return _lease(exchange.parse((yield exchange.request("GET", roles + role, headers))), "Token", now)


_ROLE: Final = re.compile(r"[A-Za-z0-9+=,.@_-]{1,128}", re.ASCII)
_ELEMENT: Final = re.compile(r"<(AccessKeyId|SecretAccessKey|SessionToken|Expiration)>([^<>&]+)</\1>", re.ASCII)


def _elements(response: httpx.Response) -> Mapping[str, object]:
    """The elements of STS's answer that matter.

    Nothing in keys, tokens (base64) and times has to be escaped in XML, so no parser of XML with its dangers is needed.
    """
    return dict(_ELEMENT.findall(exchange.body(response).decode("ascii", "replace")))


def _lease(fields: Mapping[str, object], session: str, now: float) -> Lease[Keys]:
    keys = Keys(*(exchange.text(fields, name) for name in ("AccessKeyId", "SecretAccessKey", session)))
    return Lease(keys, exchange.until(exchange.text(fields, "Expiration"), now))
