"""Proxies: through which of them a request goes. Pure.

Source: the variables as Go's ``golang.org/x/net/http/httpproxy`` reads them, since the nodes' containerd is written
in Go. A request through a proxy is not guarded by its address: the proxy resolves the name. What a name says by itself
is refused as ever: literal addresses in all their spellings, and the names of clouds' metadata services.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

import httpx

from rightarch.errors import SettingsError
from rightarch.registry.address import names_loopback

_METADATA: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)


@dataclass(frozen=True, slots=True)
class Proxies:
    """What the environment says.

    Attributes:
        http: the proxy's URL for plain HTTP; empty for none.
        https: the one for TLS.
        exceptions: hosts that are asked directly: names with all below them, addresses, CIDRs, ``*`` for all; each
            may have a port.
    """

    http: str = ""
    https: str = ""
    exceptions: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Proxies":
        """Those of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in upper or lower case.

        Raises:
            SettingsError: a proxy is no URL that can be used.
        """
        http, https, none = (
            environment.get(name) or environment.get(name.lower()) or ""
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        )
        exceptions = tuple(part.strip().lower() for part in none.split(",") if part.strip())
        return cls(_checked("HTTP_PROXY", http), _checked("HTTPS_PROXY", https), exceptions)

    def through(self, url: httpx.URL) -> str | None:
        """The URL of the proxy for a request; None for none. Loopback is never asked through one."""
        proxy = self.https if url.scheme == "https" else self.http
        if not proxy or names_loopback(url.host):
            return None
        port = url.port or (443 if url.scheme == "https" else 80)
        return None if any(_matches(each, url.host.lower(), port) for each in self.exceptions) else proxy


def literal(host: str) -> str | None:
    """The address that a host is in itself, also where only an old C library reads one in it; else None."""
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def names_metadata(host: str) -> bool:
    """Whether a name is known to be that of a cloud's metadata service."""
    return host.lower().rstrip(".") in _METADATA


def _matches(exception: str, host: str, port: int) -> bool:
    if exception == "*":
        return True
    if exception.count(":") == 1 or "]:" in exception:
        exception, _, named = exception.rpartition(":")
        if named != str(port):
            return False
    exception = exception.strip("[]")
    try:
        return ip_address(host) in ip_network(exception, strict=False)
    except ValueError:
        below = exception.removeprefix("*").lstrip(".")
        return host.endswith(f".{below}") or (exception == below and host == below)


def _checked(name: str, proxy: str) -> str:
    if not proxy:
        return ""
    text = proxy if "://" in proxy else f"http://{proxy}"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise SettingsError(f"{name} is no URL of an HTTP proxy; write http://HOST:PORT")
    return text
