"""A port, had before anything is served on it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address

from rightarch.errors import RightarchError


class PortTaken(RightarchError):
    """A port can't be listened on."""


@contextmanager
def listening(address: IPv4Address | IPv6Address, port: int) -> Iterator[socket.socket]:
    """A socket that has the port, closed in the end; a server listens on it once it serves.

    Until then connections are refused, and not kept waiting for an answer.

    Raises:
        PortTaken: the address or the port can't be had.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        listener = _bound(str(address), port, family)
    except OSError as error:
        raise PortTaken(f"can't listen on {address} port {port}: {error.strerror}") from error
    with listener:
        listener.setblocking(False)
        yield listener


def _bound(address: str, port: int, family: socket.AddressFamily) -> socket.socket:
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for old connections
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound
