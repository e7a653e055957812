"""A server with faults that the real registry can't be made to have, on 127.0.0.1 over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from pathlib import Path

    from tests.controlplane import CertificateAuthority


TLS_GREETING = b"\x16"  # what a connection over TLS begins with


@dataclass(frozen=True)
class Asked:
    """A request: its first line in two parts, and its headers by lower-case name."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class FaultServer:
    """Gives each request to a handler that writes to the connection what it likes; then the connection is closed.

    Args:
        authority: signs its certificate; without one it speaks plain HTTP, and hangs up on TLS.
        handle: writes the answer.
        wants: the certificate of an authority one of whose certificates a client must show.

    Attributes:
        asked: the requests, in order.
    """

    authority: CertificateAuthority | None
    handle: Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]
    wants: Path | None = None
    asked: list[Asked] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        """Serve until the end of the block."""
        context = None
        if self.authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.authority.issue("faults"))
            if self.wants is not None:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(self.wants)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._server, self._tasks)
        await self._server.wait_closed()

    @property
    def host(self) -> str:
        """Host and port, as references name it."""
        return f"127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())  # a task that is cancelled before its first step does nothing

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # clients that have had enough hang up
            try:
                first = await reader.readexactly(1)
                if first == TLS_GREETING:
                    return
                head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                pairs = (line.partition(":") for line in head[1:] if line)
                asked = Asked(method, path, {name.lower(): value.strip() for name, _, value in pairs})
                self.asked.append(asked)
                await self.handle(asked, writer)
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()


async def end(server: asyncio.Server, tasks: Collection[asyncio.Task[None]]) -> None:
    """Close a server, and cancel what serves its connections: also those that came just now, which it would forget."""
    for _ in range(5):  # turns of the event loop, from a connection that is accepted to the task that serves it
        await asyncio.sleep(0)
    server.close()
    running = list(tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP answer; underscores in the names of headers are hyphens."""
    fields = {"content_length": str(len(body)), "connection": "close"} | headers
    lines = [f"HTTP/1.1 {status} Status", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def fixed(*answers: bytes) -> Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]:
    """A handler that gives these answers in turn, and the last one for ever."""
    left = list(answers)

    async def handle(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return handle
