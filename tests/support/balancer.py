"""A load balancer of connections, which does what a Service does: new connections go to replicas that are ready."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from typing import TYPE_CHECKING, Self

import httpx

from tests.controlplane import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.webhook import WebhookServer

PROBE_SECONDS = 1.0
"""Between two looks at who is ready: so long may connections go to a replica that has begun to end."""


class Balancer:
    """Passes the bytes of each connection on to one of several webhooks, in turn, for a ``with`` block."""

    def __init__(self, replicas: Sequence[WebhookServer]) -> None:
        self.port = free_port()
        self._replicas = replicas
        self._ready: list[int] = []
        self._turn = itertools.count()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._started = threading.Event()
        self._ended = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _serve(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            await self._probe(client)
            server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
            self._loop = asyncio.get_running_loop()
            self._started.set()
            while not self._ended.is_set():
                await self._probe(client)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), PROBE_SECONDS)
            server.close()
        connections = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    @property
    def ready(self) -> frozenset[int]:
        """The ports of those to which new connections go."""
        return frozenset(self._ready)

    async def _probe(self, client: httpx.AsyncClient) -> None:
        ready = []
        for replica in self._replicas:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"{replica.health}/readyz")).is_success:
                    ready.append(replica.port)
        self._ready = ready

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self._ready[next(self._turn) % len(self._ready)]
        try:
            behind = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            writer.transport.abort()
            return
        with contextlib.suppress(asyncio.CancelledError):  # the end of the block, which streams would log
            await asyncio.gather(_pass_on(reader, behind[1]), _pass_on(behind[0], writer))
        for each in (writer, behind[1]):
            each.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until it ends, and then that it ended."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
