"""Reviews sent straight to an endpoint, over TLS, by keep-alive connections of one process."""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop

from tests.bench.figures import percentile


@dataclass(frozen=True)
class Sent:
    """What a number of requests took: in all, and each of them, in seconds."""

    seconds: float
    latencies: list[float]

    def figures(self) -> dict[str, float]:
        """Requests per second, and latencies in milliseconds."""
        return {
            "requests/s": len(self.latencies) / self.seconds,
            "p50": percentile(self.latencies, 0.50) * 1000,
            "p99": percentile(self.latencies, 0.99) * 1000,
        }


def send(url: str, context: ssl.SSLContext, body: bytes, requests: int, connections: int) -> Sent:
    """Send the same review again and again, each connection one at a time."""
    return send_each(url, context, [body], requests, connections)


def send_each(url: str, context: ssl.SSLContext, bodies: Sequence[bytes], requests: int, connections: int) -> Sent:
    """Send reviews in turn, again and again, each connection one at a time."""
    return uvloop.run(_send(url, context, bodies, requests, connections))


async def _send(url: str, context: ssl.SSLContext, bodies: Sequence[bytes], requests: int, connections: int) -> Sent:
    parts = urlsplit(url)
    head = f"POST {parts.path}?timeout=5s HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    each_once = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    loop = asyncio.get_running_loop()
    left = islice(cycle(each_once), requests)
    made = [_Connection(left, loop.create_future()) for _ in range(connections)]
    for each in made:
        await loop.create_connection(partial(_same, each), parts.hostname or "", parts.port or 443, ssl=context)
    begun = perf_counter()
    for each in made:
        each.begin()
    await asyncio.gather(*(each.done for each in made))
    return Sent(perf_counter() - begun, [latency for each in made for latency in each.latencies])


def _same(connection: "_Connection") -> "_Connection":
    return connection


class _Connection(asyncio.Protocol):
    """One connection: as little as can be, so that what is measured is the server."""

    def __init__(self, left: Iterator[bytes], done: "asyncio.Future[None]") -> None:
        self.latencies: list[float] = []
        self.done = done
        self._left = left
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none of asyncio's classes

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the endpoint closed the connection"))

    def begin(self) -> None:
        """Send the next request, if there is one left."""
        request = next(self._left, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._begun = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer; after the last one, go on."""
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank:
            return
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self.latencies.append(perf_counter() - self._begun)
            self._received = b""
            self.begin()
