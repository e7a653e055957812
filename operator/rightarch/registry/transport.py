"""The transport: one request, one bounded answer.

httpx's API on aiohttp's connections: httpx's own pool serves a quarter or less of the look-ups at 32 to 200 at a time
(`make bench`), and loses slots to cancelled requests. Without httpx's client, whose cookies, redirects and environment
variables are dangers where strangers choose the server.
"""

import logging
import ssl
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from rightarch.errors import ImageError, SettingsError
from rightarch.registry import failures
from rightarch.registry.address import AddressGuard, AddressRefusedError, names_loopback
from rightarch.registry.endpoint import WAY, Way
from rightarch.registry.options import RegistryOptions
from rightarch.registry.proxies import literal, names_metadata
from rightarch.registry.stats import Stats

LIMIT: Final = "limit"
"""The extension of a request that says how many bytes of answer are read at most."""
TOO_LARGE: Final = "too_large"
"""The extension of a request that says the Reason of an answer of more than that."""

_log = logging.getLogger(__name__)
_DRAINED: Final = 64 * 1024
_DNS_SECONDS: Final = 2.0
_DNS_TRIES: Final = 2
_DNS_TTL: Final = 10
_KEEPALIVE: Final = 30.0
_Kind = tuple[Way, bool, str | None]
"""Connections that may be used for each other: how, whether by plain HTTP, and through which proxy."""


class Transport:
    """Sends requests to where the guard lets them go.

    Raises:
        SettingsError: ``ca_file`` holds no certificates.
    """

    def __init__(self, options: RegistryOptions, stats: Stats) -> None:
        self._options = options
        self._stats = stats
        self._plain_hosts: set[bytes] = set()
        self._resolver: aiohttp.AsyncResolver | None = None
        self._connections: dict[_Kind, AiohttpTransport] = {}
        self._context = trusting(options.ca_file, Way())  # at once: what is wrong is said at the start

    async def send(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request; its body is read in full, or up to a bound where the status is not 200.

        Raises:
            ImageError: AddressRefused, RegistryUnreachable, RegistryFailed, MalformedImage.
        """
        try:
            response = await self._send(request)
        except SettingsError as error:
            self._count(request, "error")
            raise failures.failed(request.url, f"can't be asked as is configured for it: {error}") from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            self._count(request, "error")
            raise failures.of_exception(error, request.url) or error from None
        except ImageError:
            self._count(request, "error")
            raise
        self._count(request, f"{response.status_code // 100}xx")
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for connections in self._connections.values():
            await connections.aclose()
        if self._resolver is not None:
            await self._resolver.close()

    def _count(self, request: httpx.Request, outcome: str) -> None:
        self._stats.requests[outcome] += 1
        _log.debug("%s %s: %s", request.method, request.url.copy_with(query=None), outcome)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        way: Way | None = request.extensions.get(WAY)
        local = self._options.allow_loopback and names_loopback(request.url.host)
        if request.url.scheme == "http" or (local and request.url.netloc in self._plain_hosts):
            return await self._exchange(way, request, plain=True)
        try:
            return await self._exchange(way, request, plain=False)
        except httpx.TransportError as error:
            if not (local and _no_tls(error)):
                raise
        response = await self._exchange(way, request, plain=True)
        self._plain_hosts.add(request.url.netloc)
        return response

    async def _exchange(self, way: Way | None, request: httpx.Request, *, plain: bool) -> httpx.Response:
        if plain and request.url.scheme == "https":
            request = _plainly(request)
        proxy = self._options.proxies.through(request.url)
        if proxy is not None:
            self._check(request.url)
        key = (way or Way(), plain, proxy)
        connections = self._connections.get(key)
        if connections is None:
            connections = self._connections[key] = self._made(*key)
        response = await connections.handle_async_request(request)
        try:
            body = await _read(response, request)
        finally:
            await response.aclose()
        return httpx.Response(response.status_code, headers=response.headers, content=body, request=request)

    def _check(self, url: httpx.URL) -> None:
        """Refuse what a proxy must not be asked to contact: what it resolves is not seen here.

        Raises:
            AddressRefusedError: the host is, or says that it is, one that look-ups never contact.
        """
        guard = AddressGuard(self._options.allow_loopback, forbidden=self._options.forbidden_endpoints)
        address = literal(url.host)
        port = url.port or (443 if url.scheme == "https" else 80)
        refused = guard.refusal(address, port) if address else None
        if names_metadata(url.host):
            refused = "a cloud's metadata service"
        if refused is not None:
            raise AddressRefusedError(refused)

    def _made(self, way: Way, plain: bool, proxy: str | None) -> AiohttpTransport:
        loopback_only = plain and not way.plain
        guard = AddressGuard(self._options.allow_loopback, loopback_only, self._options.forbidden_endpoints)
        usual = way == Way(plain=way.plain)
        context = self._context if usual else trusting(self._options.ca_file, way)
        through = None if proxy is None else httpx.Proxy(proxy)
        return AiohttpTransport(verify=context, proxy=through, client=lambda: self._session(context, guard))

    def _session(self, context: ssl.SSLContext, guard: AddressGuard) -> aiohttp.ClientSession:
        """Made when first used, since it belongs to the event loop that it is made in."""
        self._resolver = self._resolver or resolver()
        connector = aiohttp.TCPConnector(
            ssl=context,
            limit=0,  # the number of look-ups is bounded, and connections per host
            limit_per_host=self._options.max_connections_per_registry,
            resolver=self._resolver,
            ttl_dns_cache=_DNS_TTL,
            keepalive_timeout=_KEEPALIVE,
            socket_factory=guard.socket,
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def resolver(**more: Any) -> aiohttp.AsyncResolver:  # noqa: ANN401 - c-ares' own options
    """What finds the addresses of names; to be made in the event loop, and closed.

    Pod authors choose names, and name servers of theirs may hang: hundreds of such names must not hold up one of
    somebody else, as they would in the threads of ``getaddrinfo``, which nothing can end.
    """
    return aiohttp.AsyncResolver(timeout=_DNS_SECONDS, tries=_DNS_TRIES, **more)


def trusting(ca_file: Path | None, way: Way) -> ssl.SSLContext:
    """What certificates are checked against, and what is shown of ours.

    The public authorities (certifi's, or SSL_CERT_FILE's), those of ``ca_file``, and the host's own.

    Raises:
        SettingsError: a file can't be read as what it is to be.
    """
    context = httpx.create_ssl_context()
    for file in (*([ca_file] if ca_file else []), *way.ca):
        try:
            context.load_verify_locations(file)
        except OSError as error:
            problem = f"{file} can't be read as certificates (PEM) of authorities: {error.strerror or error}"
            raise SettingsError(problem) from error
    for certificate, key in way.client:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            problem = (
                f"{certificate} can't be read as a client certificate (PEM) with its key: {error.strerror or error}"
            )
            raise SettingsError(problem) from error
    if way.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _plainly(request: httpx.Request) -> httpx.Request:
    url = request.url.copy_with(scheme="http", port=request.url.port or 443)
    return httpx.Request(
        request.method, url, headers=request.headers, content=request.content, extensions=request.extensions
    )


def _no_tls(error: Exception) -> bool:
    """Whether the other side took a TLS greeting for nonsense, or hung up on it."""
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        return False
    reset = isinstance(cause, aiohttp.ClientConnectorError) and isinstance(cause.os_error, ConnectionResetError)
    return reset or isinstance(cause, aiohttp.ClientConnectorSSLError)


async def _read(response: httpx.Response, request: httpx.Request) -> bytes:
    """The body, within the request's limit; of an answer that is no success, what comes first."""
    if response.status_code != 200:
        return await _up_to(response, _DRAINED) or b""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise failures.failed(request.url, "sent a compressed answer, which was not asked for")
    limit = int(request.extensions[LIMIT])
    body = await _up_to(response, limit)
    if body is None:
        text = f"{failures.named(request.url)} sent more than {limit} bytes where that is the most that is read"
        raise ImageError.of(request.extensions[TOO_LARGE], text)
    return body


async def _up_to(response: httpx.Response, limit: int) -> bytes | None:
    """The body if it is within the limit; None, without reading on, if it is not."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
