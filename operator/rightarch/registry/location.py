"""Locations: URLs that servers name, in redirects and as token services."""

import re
from typing import Final

import httpx

_AUTHORITY: Final = re.compile(rb"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


def locate(text: str, base: httpx.URL | None = None) -> httpx.URL | None:
    """The URL that a server names, absolute or relative to its own; None for what is no URL of the web.

    Only plain hosts pass, without userinfo: two parsers read each URL (httpx's here, the connector's later), and a
    host that they could understand differently would be checked as one and contacted as the other.
    """
    try:
        named = httpx.URL(text) if base is None else base.join(text)
        url = named.copy_with(userinfo=b"", fragment=None)
    except (httpx.InvalidURL, ValueError):
        return None
    return url if url.scheme in {"http", "https"} and is_plain(url) else None


def is_plain(url: httpx.URL) -> bool:
    """Whether host and port of a URL can be understood in one way only."""
    authority = _AUTHORITY.fullmatch(url.netloc)
    return authority is not None and int(authority["port"] or 0) <= 65535 and _is_decodable(url)


def bare(host: str) -> str:
    """A host without its port, as URLs have it in ASCII: an IPv6 address without brackets, a name as IDNA spells it.

    Raises:
        ValueError: it is no host.
    """
    try:
        url = httpx.URL(f"https://{host.lower()}")
    except httpx.InvalidURL:
        url = httpx.URL()
    if not is_plain(url) or str(url) != f"https://{url.netloc.decode()}":
        raise ValueError(f"{host!r} is no host")
    return url.raw_host.decode("ascii")


def _is_decodable(url: httpx.URL) -> bool:
    """Whether its host can be read: httpx decodes the names of IDNA when they are asked for, and fails at some."""
    try:
        return bool(url.host)
    except UnicodeError:  # what the errors of IDNA are
        return False
