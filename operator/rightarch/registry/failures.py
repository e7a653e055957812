"""Failures: what went wrong between Rightarch and a registry, as errors fit for people.

Each text names the host, says what happened and what to do; which image it is about is said by who shows it. None
repeats what a server wrote in its answer: pod authors read these texts, and they choose which server is asked.
"""

import asyncio
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import httpx
import orjson

from rightarch.errors import ImageError
from rightarch.reasons import Reason
from rightarch.registry.address import AddressRefusedError

MAX_RETRY_AFTER: Final = 3600.0
"""The longest wait that a registry is granted, in seconds."""

_NO_NAME: Final = frozenset({"NAME_INVALID", "TAG_INVALID", "DIGEST_INVALID"})
"""Codes by which a registry says that asking again is in vain; its grammar may be narrower than the specification's."""


def of_status(response: httpx.Response) -> ImageError | None:
    """The error that a registry's status means for an image; None for 200."""
    status, host = response.status_code, named(response.request.url)
    if status == 200:
        return None
    if status in {401, 403}:
        return ImageError.of(
            Reason.ACCESS_DENIED,
            f"registry {host} gives no access to the image: it does not exist there, or needs other credentials",
        )
    if status == 404:
        return ImageError.of(
            Reason.IMAGE_NOT_FOUND,
            f"registry {host} does not have the image, or lacks a part of it: check name and tag",
        )
    if status == 400 and _codes(response) & _NO_NAME:
        return ImageError.of(
            Reason.INVALID_REFERENCE,
            f"registry {host} does not take this for the name of an image: check name, tag and digest",
        )
    return _refused(response, f"registry {host}")


def of_token_status(response: httpx.Response) -> ImageError | None:
    """The error that a token service's status means for an image; None for 200."""
    status, host = response.status_code, named(response.request.url)
    if status == 200:
        return None
    if status in {400, 401, 403, 404}:
        return ImageError.of(
            Reason.ACCESS_DENIED,
            f"token service {host} gives no access to the image: it does not exist, or needs other credentials",
        )
    return _refused(response, f"token service {host}")


def of_server(response: httpx.Response, kind: str) -> ImageError | None:
    """The error of a server that refuses all requests for now, or fails; None for an answer about what was asked.

    501 is such an answer: the method is not implemented.
    """
    if response.status_code != 429 and (response.status_code < 500 or response.status_code == 501):
        return None
    return _refused(response, f"{kind} {named(response.request.url)}")


def of_exception(error: BaseException, url: httpx.URL) -> ImageError | None:
    """The error for a request that got no answer; None for an exception that is none of the network's."""
    host = named(url)
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, AddressRefusedError):
            text = f"{host} is {cause.kind}: look-ups never contact it; use another registry"
            return ImageError.of(Reason.ADDRESS_REFUSED, text)
    for kind, reason, problem in _NETWORK:
        if any(isinstance(cause, kind) for cause in causes):
            return ImageError.of(reason, f"{host} {problem}")
    return None


def timed_out(host: str, seconds: float) -> ImageError:
    """The error for a look-up at a registry that took too long."""
    return ImageError.of(Reason.TIMED_OUT, f"registry {host} did not tell about the image within {seconds:g} s")


def slow(url: httpx.URL, seconds: float) -> ImageError:
    """The error for a request that was not answered in time."""
    return ImageError.of(Reason.TIMED_OUT, f"{named(url)} did not answer within {seconds:.2g} s")


def failed(url: httpx.URL, problem: str) -> ImageError:
    """A fault of the server at a URL."""
    return ImageError.of(Reason.REGISTRY_FAILED, f"{named(url)} {problem}")


def again(error: ImageError, retry_after: float | None = None) -> ImageError:
    """A copy to raise: a raised exception keeps its traceback, and so whatever the waiters held.

    Args:
        error: what is copied.
        retry_after: seconds until it is worth asking again; as it was where none are given.
    """
    return ImageError.of(error.reason, str(error), retry_after=retry_after or error.retry_after)


def named(url: httpx.URL) -> str:
    """Host and port of a URL, as people write them."""
    return url.netloc.decode("ascii", "replace")


def _refused(response: httpx.Response, who: str) -> ImageError:
    retry_after = _retry_after(response.headers.get("retry-after", ""))
    if response.status_code == 429:
        wait = f" for {retry_after:.0f} s" if retry_after else ""
        text = f"{who} refuses further requests{wait}: its rate limit is used up; credentials may raise it"
        return ImageError.of(Reason.RATE_LIMITED, text, retry_after=retry_after)
    text = f"{who} answered with status {response.status_code}; see its logs"
    return ImageError.of(Reason.REGISTRY_FAILED, text, retry_after=retry_after)


def _retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header, which has a number or a date (RFC 9110, 10.2.3)."""
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(seconds, MAX_RETRY_AFTER) if seconds > 0 else None


def _codes(response: httpx.Response) -> set[str]:
    """The error codes of an answer, where it has the form of the OCI distribution specification."""
    try:
        content = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return set()
    errors = content.get("errors") if isinstance(content, dict) else None
    codes = [each.get("code") for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    return {code for code in codes if isinstance(code, str)}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what caused it: the transport's names for failures are coarser than those of aiohttp."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


_UNREACHABLE: Final = Reason.REGISTRY_UNREACHABLE
_NETWORK: Final[tuple[tuple[type[BaseException], Reason, str], ...]] = (
    (
        aiohttp.ClientConnectorCertificateError,
        _UNREACHABLE,
        "shows a TLS certificate that is not trusted: add its authority to the trusted ones",
    ),
    (aiohttp.ClientConnectorSSLError, _UNREACHABLE, "does not speak TLS: registries are asked over https"),
    (aiohttp.ClientConnectorDNSError, _UNREACHABLE, "has no address: check the registry's name and the cluster's DNS"),
    (aiohttp.ClientConnectorError, _UNREACHABLE, "can't be connected to: check that the registry runs and is in reach"),
    (aiohttp.ServerTimeoutError, Reason.TIMED_OUT, "did not answer in time"),
    (asyncio.TimeoutError, Reason.TIMED_OUT, "did not answer in time"),
    (aiohttp.InvalidURL, Reason.INVALID_REFERENCE, "is no host that can be contacted"),
    (aiohttp.ClientError, Reason.REGISTRY_FAILED, "broke off its answer, or sent none that is HTTP"),
    (httpx.TransportError, Reason.REGISTRY_FAILED, "broke off its answer, or sent none that is HTTP"),
    (OSError, _UNREACHABLE, "can't be connected to: check that the registry runs and is in reach"),
    (ValueError, Reason.INVALID_REFERENCE, "is no host that can be contacted"),
)
"""From the narrow to the wide: the first that fits tells."""
