"""Endpoints: where a registry's images are really asked for: its mirrors, and the registry itself.

Source of the rules: containerd's ``hosts.toml``, which tells the nodes the same.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from rightarch.errors import UnreadableImage
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry.location import is_plain

WAY: Final = "way"
"""The extension of a request that says how its host is connected to, where that is configured."""

_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_FIELD_VALUE: Final = re.compile(r"[\x20-\x7e\t]*", re.ASCII)
"""Names and values of header fields (RFC 9110, section 5)."""
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Way:
    """How a host is connected to.

    Attributes:
        ca: files (PEM) of authorities that are trusted beside the usual ones.
        client: files (PEM) of client certificates, each with that of its key, or None where it holds the key too.
        skip_verify: whether the host's certificate is not checked.
        plain: whether it speaks plain HTTP, and not only on this machine.
    """

    ca: tuple[Path, ...] = ()
    client: tuple[tuple[Path, Path | None], ...] = ()
    skip_verify: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host that has images of a registry.

    Attributes:
        url: the root of its API, without a slash at the end: ``https://HOST/v2``.
        resolve: whether it may tell what a tag stands for; one that may not is asked by digest alone.
        pull: whether it may be asked at all.
        way: how it is connected to; None as every other host is.
        headers: further headers of requests to it; never sent elsewhere.
        credentials: whether it may see the credentials of the registry that it is a mirror of.
    """

    url: httpx.URL
    resolve: bool = True
    pull: bool = True
    way: Way | None = None
    headers: tuple[tuple[str, str], ...] = ()
    credentials: bool = False

    def __post_init__(self) -> None:
        """Raise a ValueError for a header that can't be sent; it says nothing of its value, which may be secret."""
        for name, value in self.headers:
            if not _FIELD_NAME.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
                raise ValueError(f"header {name!r} can't be sent: check its name, and its value for line breaks")

    def locate(self, reference: Reference, rest: str) -> httpx.URL:
        """The URL of a part of the reference's repository. A mirror is told whose it is (``?ns=``)."""
        url = httpx.URL(f"{self.url}/{reference.path}/{rest}")
        return url if self.is_origin(reference) else url.copy_merge_params({"ns": reference.domain})

    def is_origin(self, reference: Reference) -> bool:
        """Whether it is the reference's registry itself."""
        host, colon, port = reference.host.lower().rpartition(":")
        if not colon or port.endswith("]"):
            return self.url.netloc.decode() == reference.host.lower()
        known = self.url.port or _PORTS[self.url.scheme]  # which URLs leave out where it is the usual one
        return (self.url.raw_host.decode(), str(known)) == (host.strip("[]"), port)


def origin(reference: Reference, *, plain: bool = False) -> Endpoint:
    """The registry that a reference names, where nothing is configured for it but that it may speak plain HTTP.

    Raises:
        UnreadableImage: InvalidReference, where its host can't be that of a URL.
    """
    try:
        url = httpx.URL(f"{'http' if plain else 'https'}://{reference.host.lower()}/v2")
    except httpx.InvalidURL:
        url = httpx.URL()
    if not is_plain(url):
        text = "it names no registry that can be contacted: check its host and port"
        raise UnreadableImage(Reason.INVALID_REFERENCE, text)
    return Endpoint(url)
