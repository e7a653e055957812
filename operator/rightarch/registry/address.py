"""Addresses: which of them look-ups never contact.

The author of a pod chooses the registry, and so the host that Rightarch connects to from inside the cluster. Names
prove nothing (they may resolve to one address when checked and to another when used), so the guard makes the sockets:
it sees the very address that is connected to, given as a literal or resolved.
"""

import socket
from collections.abc import Container, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

Address = IPv4Address | IPv6Address
AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""What ``socket.getaddrinfo`` gives: family, type, protocol, canonical name, socket address."""

_NEVER: Final = {
    "an unspecified address": ("0.0.0.0/8", "::/128"),
    "a link-local address": ("169.254.0.0/16", "fe80::/10"),
    "a multicast or broadcast address": ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8"),
    "a cloud's metadata service": (
        "fd00:ec2::/32",  # Amazon: instance metadata, Pod Identity, time, DNS
        "fd20:ce::254/128",  # Google
        "168.63.129.16/32",  # Azure's wire server
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
    ),
}
_NETWORKS: Final = tuple((ip_network(text), kind) for kind, networks in _NEVER.items() for text in networks)
_LOOPBACK: Final = "this machine itself"
_NAT64: Final = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_LAYOUTS: Final[tuple[tuple[int, ...], ...]] = ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12), (12, 13, 14, 15))
"""Where the bytes of the IPv4 address are, behind prefixes of 48, 56, 64 and 96 bits (RFC 6052, section 2.2)."""
_COMPATIBLE: Final = IPv6Network("::/96")


class AddressRefusedError(OSError):
    """A connection that the guard did not open.

    An OSError, because that is what connectors expect of a socket that can't be made. Always the same text, so that
    a name of which all addresses are refused still gives this very error.

    Attributes:
        kind: what the address is, for people.
    """

    def __init__(self, kind: str) -> None:
        super().__init__("refused by the address guard")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Makes sockets, but none to an address that is refused.

    Attributes:
        allow_loopback: whether this machine's own addresses may be contacted.
        loopback_only: whether nothing else may be: plain HTTP is for this machine alone.
        forbidden: further pairs of IP address and port, asked each time: the API servers'.
    """

    allow_loopback: bool = False
    loopback_only: bool = False
    forbidden: Container[tuple[str, int]] = frozenset()

    def socket(self, info: AddrInfo) -> socket.socket:
        """A socket for an address that may be contacted; the form of aiohttp's ``socket_factory``.

        Raises:
            AddressRefusedError: before anything is sent.
        """
        family, kind, protocol, _, address = info
        refused = self.refusal(str(address[0]), int(address[1]))
        if refused is None and not self.allow_loopback and _is_own(family, address):
            refused = _LOOPBACK
        if refused is not None:
            raise AddressRefusedError(refused)
        return socket.socket(family, kind, protocol)

    def refusal(self, host: str, port: int) -> str | None:
        """What an IP address is that must not be contacted, or None where it may be."""
        address = ip_address(host.partition("%")[0])
        found = next((kind for each in forms(address) if (kind := self._kind(each, port))), None)
        if found is None and self.loopback_only and not _loops_back(address):
            return "not this machine's loopback, and plain HTTP is for that alone"
        return found

    def _kind(self, address: Address, port: int) -> str | None:
        if (str(address), port) in self.forbidden:
            return "the API server"
        if address.is_loopback:
            return None if self.allow_loopback else _LOOPBACK
        return next((kind for network, kind in _NETWORKS if address in network), None)


def forms(address: Address) -> list[Address]:
    """The address, and the IPv4 addresses that translators and tunnels would read out of it."""
    if isinstance(address, IPv4Address):
        return [address]
    embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ()), *_translated(address)]
    return [address, *(each for each in embedded if each is not None)]


def _translated(address: IPv6Address) -> Iterator[IPv4Address]:
    """What NAT64 reads out of an address; the deprecated IPv4-compatible addresses have the same layout."""
    if address in _LOCAL_NAT64:
        layouts = _LAYOUTS
    elif address in _NAT64 or address in _COMPATIBLE:
        layouts = _LAYOUTS[-1:]
    else:
        return
    for layout in layouts:
        embedded = IPv4Address(bytes(address.packed[index] for index in layout))
        if embedded.packed[0]:  # "::1" is no IPv4 address, and leading zeros are what other layouts leave
            yield embedded


def names_loopback(host: str) -> bool:
    """Whether a host, as a URL has it, stands for this machine by its name alone."""
    host = host.strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return _loops_back(ip_address(host))
    except ValueError:
        return False


def _loops_back(address: Address) -> bool:
    return any(each.is_loopback for each in forms(address))


def _is_own(family: int, address: tuple[Any, ...]) -> bool:
    """Whether packets to the address would not leave this machine.

    Asks the kernel for the route, without sending anything: to an address of its own it answers from that address.
    """
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return False
        return bool(probe.getsockname()[0] == address[0])
