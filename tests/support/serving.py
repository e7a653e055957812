"""A server as the processes have it, on loopback over TLS, and how tests talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from rightarch.serving import Server, listening
from tests.controlplane import CertificateAuthority, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SMALL = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
"""The smallest review, of a path /x."""
SECONDS = 60
"""After which what should come is given up."""


class World:
    """A server on loopback, and how to talk to it."""

    def __init__(self, port: int, authority: CertificateAuthority, serving: Server, refused: list[int]) -> None:
        self.port, self.authority, self.server, self.refused = port, authority, serving, refused
        self._opened: list[asyncio.StreamWriter] = []

    async def open(self, *, tls: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        context = ssl.create_default_context(cafile=self.authority.certificate) if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        self._opened.append(writer)
        return reader, writer

    async def leave(self) -> None:
        """End all connections at once."""
        for writer in self._opened:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._opened), return_exceptions=True)

    async def sent(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which something was sent."""
        reader, writer = await self.open()
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
        return reader, writer

    async def status(self, data: bytes = SMALL) -> int:
        """What a request is answered with, on a connection of its own."""
        reader, _ = await self.sent(data)
        return await status(reader)


async def status(reader: asyncio.StreamReader) -> int:
    """The status of the next answer; 0 where the connection ends without one."""
    try:
        line = await asyncio.wait_for(reader.readline(), SECONDS)
    except OSError:
        return 0
    return int(line.split()[1]) if line else 0


async def ended(reader: asyncio.StreamReader, seconds: float = SECONDS) -> bool:
    """Whether the other side closes before long."""
    try:
        await asyncio.wait_for(reader.read(), seconds)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@contextlib.asynccontextmanager
async def served(folder: Path, application: Any) -> AsyncIterator[World]:  # noqa: ANN401 - ASGI
    """A server of an application; its certificate is of an authority of its own."""
    authority = CertificateAuthority(folder / "pki")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", ["127.0.0.1"]))
    refused: list[int] = []
    serving = Server(application, context, refused.append)
    port = free_port()
    with listening(ip_address("127.0.0.1"), port) as listener:
        task = asyncio.create_task(serving.serve([listener]))
        await asyncio.sleep(0)  # it listens from its first step on
        world = World(port, authority, serving, refused)
        yield world
        await world.leave()
        serving.should_exit = serving.force_exit = True
        await asyncio.wait_for(task, SECONDS)
