"""A name server on loopback, for a network of a test's own: knows some names, and no others."""

from __future__ import annotations

import socket
import threading
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER = 12
_TYPE_A, _NO_SUCH_NAME = 1, 3
_POINTER_TO_THE_NAME = b"\xc0\x0c"


class NameServer:
    """Answers over UDP on port 53 of 127.0.0.1, for the length of a ``with`` block (RFC 1035).

    Args:
        addresses: of names, without the dot at the end.
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", 53))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        """A reply with the question and, for an address of IPv4 that is known, the answer to it."""
        name, end = _name(query)
        question, kind = query[_HEADER : end + 4], int.from_bytes(query[end : end + 2])
        address = self._addresses.get(name)
        found = address is not None and kind == _TYPE_A
        flags = 0x8580 | (0 if address is not None else _NO_SUCH_NAME)
        header = query[:2] + flags.to_bytes(2) + b"".join(n.to_bytes(2) for n in (1, int(found), 0, 0))
        record = b"" if address is None else IPv4Address(address).packed
        answer = _POINTER_TO_THE_NAME + bytes([0, 1, 0, 1, 0, 0, 0, 60, 0, 4]) + record if found else b""
        return header + question + answer


def _name(query: bytes) -> tuple[str, int]:
    """The name of a query's question, and where its type begins."""
    labels, at = [], _HEADER
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii").lower())
        at += length + 1
    return ".".join(labels), at + 1
