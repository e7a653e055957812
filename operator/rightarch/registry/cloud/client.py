"""The credential client: asks the metadata and token services of clouds, and nobody else.

It shares nothing with the client that asks registries: that one goes where a pod's author points it and never to a
metadata service; this one goes only where the exchanges of this package say, which follow neither a realm nor a
redirect, so it has no guard.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from rightarch.errors import SettingsError
from rightarch.registry.cloud.exchange import ABSENCE, Absence, Exchange, NoCredential, Value
from rightarch.registry.proxies import Proxies
from rightarch.registry.transport import resolver

_MAX_BYTES: Final = 64 * 1024
_TOTAL: Final = 8.0  # less than a look-up may take, so that there is time left to ask without a credential
_CONNECTIONS: Final = 16
_NO_PROXIES: Final = Proxies()
_HEADERS: Final = {"accept-encoding": "identity", "user-agent": "rightarch (+https://rightarch.dev)"}


class CredentialClient:
    """Sends what exchanges ask for.

    Args:
        ca_file: certificates (PEM) of authorities that are trusted beside the public ones.
        proxies: through which services are asked; metadata never is, for a proxy would answer for another machine.
        total: the seconds that an exchange may take in all.

    Raises:
        SettingsError: ``ca_file`` holds no certificates.
    """

    def __init__(self, ca_file: Path | None = None, proxies: Proxies = _NO_PROXIES, total: float = _TOTAL) -> None:
        self._total, self._proxies = total, proxies
        context = httpx.create_ssl_context()
        if ca_file is not None:
            try:
                context.load_verify_locations(ca_file)
            except OSError as error:
                raise SettingsError(f"{ca_file} can't be read as certificates (PEM) of authorities") from error
        self._resolver: aiohttp.AsyncResolver | None = None
        self._direct = self._transport(context, "")
        self._proxied = self._transport(context, proxies.https)

    async def run(self, exchange: Exchange[Value]) -> Value:
        """What an exchange gives.

        Raises:
            NoCredential: why it gives nothing.
        """
        request = None
        try:
            async with asyncio.timeout(self._total):
                request = next(exchange)
                while True:
                    request = exchange.send(await self._send(request))
        except StopIteration as stop:
            value: Value = stop.value
            return value
        except TimeoutError as error:
            problem = f"there was no answer within {self._total:g} s"
            raise NoCredential(problem, transient=request is not None and not _absent(request, error)) from None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._direct.aclose()
        await self._proxied.aclose()
        if self._resolver is not None:
            await self._resolver.close()

    def _transport(self, context: ssl.SSLContext, proxy: str) -> AiohttpTransport:
        through = httpx.Proxy(proxy) if proxy else None
        return AiohttpTransport(verify=context, proxy=through, client=lambda: self._session(context))

    def _session(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        """Made when first used, since it belongs to the event loop that it is made in."""
        self._resolver = self._resolver or resolver()
        connector = aiohttp.TCPConnector(ssl=context, limit=_CONNECTIONS, resolver=self._resolver)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def _send(self, request: httpx.Request) -> httpx.Response:
        request.headers.update(_HEADERS)
        by_proxy = request.url.scheme == "https" and self._proxies.through(request.url) is not None
        transport = self._proxied if by_proxy else self._direct
        host = request.url.netloc.decode("ascii", "replace")
        try:
            response = await transport.handle_async_request(request)
            try:
                content = await _read(response)
            finally:
                await response.aclose()
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            problem = f"{host} can't be asked ({type(error).__name__})"
            raise NoCredential(problem, transient=not _absent(request, error)) from None
        if content is None:
            raise NoCredential(f"{host} sent more than {_MAX_BYTES} bytes, or a compressed answer")
        return httpx.Response(response.status_code, headers=response.headers, content=content, request=request)


def _absent(request: httpx.Request, error: BaseException) -> bool:
    """Whether a failure shows that the service is not there at all."""
    if request.extensions[ABSENCE] is Absence.NO_NAME:
        return isinstance(error.__cause__, aiohttp.ClientConnectorDNSError)
    return request.extensions[ABSENCE] is Absence.NO_ANSWER


async def _read(response: httpx.Response) -> bytes | None:
    """The body; None if it is too large, or compressed, which was not asked for."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        return None
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > _MAX_BYTES:
            return None
    return bytes(content)
