"""Signatures of requests to AWS, version 4. Pure.

Source: "Create a signed AWS API request" in the IAM user guide.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, quote

import httpx

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Keys:
    """What an AWS identity signs with; the secrets are never printed.

    Attributes:
        access: the id of the access key.
        secret: the secret access key.
        session: the session token that temporary keys come with.
    """

    access: str = field(repr=False)
    secret: str = field(repr=False)
    session: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is good for: a region, such as ``eu-west-1``, and a service as AWS abbreviates it."""

    region: str
    service: str


def sign(request: httpx.Request, headers: Mapping[str, str], keys: Keys, scope: Scope, now: datetime) -> dict[str, str]:
    """The headers that prove who sends a request.

    Args:
        request: its method, URL and content are signed, of its headers only the host. Its path is plain: none that
            would have to be normalised or encoded.
        headers: further headers to sign, by lower-case name.
        keys: whose request it is.
        scope: whom it is for.
        now: the time, in UTC; AWS allows for five minutes of difference.

    Returns:
        All headers that were signed, and the authorization.
    """
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "host": request.headers["host"], "x-amz-date": moment}
    if keys.session is not None:
        signed["x-amz-security-token"] = keys.session
    credential = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = "\n".join((_ALGORITHM, moment, credential, _hash(_canonical(request, signed).encode())))
    signature = hmac.digest(_key(keys.secret, credential), text.encode(), "sha256").hex()
    authorization = (
        f"{_ALGORITHM} Credential={keys.access}/{credential}, SignedHeaders={_names(signed)}, Signature={signature}"
    )
    return {**signed, "authorization": authorization}


def _canonical(request: httpx.Request, headers: Mapping[str, str]) -> str:
    """The request in the one form that both sides sign."""
    query = sorted(parse_qsl(request.url.query.decode(), keep_blank_values=True))
    parameters = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)]
    return "\n".join(
        (request.method, request.url.path, parameters, *lines, "", _names(headers), _hash(request.content))
    )


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(headers))


def _key(secret: str, scope: str) -> bytes:
    """The key for a day, region and service, so that one that leaks is of little use."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
