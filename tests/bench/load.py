"""Load: pods created through the API server by keep-alive connections of one process, and seen by a watch."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import aiohttp
import orjson

from tests.bench.figures import percentile

_WATCH_SECONDS = 120


@dataclass(frozen=True)
class Burst:
    """What one burst took.

    Attributes:
        seconds: from the first request until a watch had seen the last pod, without scheduling gates.
        latencies: of each create, in seconds.
    """

    pods: int
    seconds: float
    latencies: list[float]

    def figures(self) -> dict[str, float]:
        """Pods per second, and the create's latency in milliseconds."""
        return {
            "pods/s": self.pods / self.seconds,
            "create p50": percentile(self.latencies, 0.50) * 1000,
            "create p99": percentile(self.latencies, 0.99) * 1000,
        }


@dataclass(frozen=True)
class Target:
    """Where pods are created: an API server, how to talk TLS to it, and a namespace."""

    server: str
    context: ssl.SSLContext
    namespace: str


def burst(target: Target, pod: dict[str, object], pods: int, connections: int) -> Burst:
    """Create pods as fast as the connections go, and wait until a watch has seen all of them."""
    return asyncio.run(_Load(target, pod).run(pods, connections))


class _Load:
    def __init__(self, target: Target, pod: dict[str, object]) -> None:
        self._target, self._pod = target, pod
        self._path = f"/api/v1/namespaces/{target.namespace}/pods"

    async def run(self, pods: int, connections: int) -> Burst:
        bodies = iter([self._body(index) for index in range(pods)])
        latencies: list[float] = []
        async with self._session(connections) as session, self._session(1) as watcher:
            await asyncio.gather(*(session.get("/version") for _ in range(connections)))  # TLS before the clock runs
            watching = await self._watch(watcher, pods)
            begun = perf_counter()
            await asyncio.gather(*(self._create(session, bodies, latencies) for _ in range(connections)))
            seen = await asyncio.wait_for(watching, _WATCH_SECONDS)
        return Burst(pods, seen - begun, latencies)

    def _session(self, connections: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=connections, ssl=self._target.context, keepalive_timeout=60)
        return aiohttp.ClientSession(self._target.server, connector=connector)

    def _body(self, index: int) -> bytes:
        return orjson.dumps({**self._pod, "metadata": {"name": f"pod-{index}", "labels": {"app": "bench"}}})

    async def _create(self, session: aiohttp.ClientSession, bodies: Iterator[bytes], latencies: list[float]) -> None:
        headers = {"content-type": "application/json"}
        for body in bodies:
            begun = perf_counter()
            async with session.post(self._path, data=body, headers=headers) as response:
                answer = await response.read()
                assert response.status == 201, answer
            latencies.append(perf_counter() - begun)

    async def _watch(self, session: aiohttp.ClientSession, pods: int) -> asyncio.Task[float]:
        """A task that ends, with the time, when a watch that is open by now has seen so many pods."""
        async with session.get(self._path, params={"limit": "1"}) as response:
            version = (await response.json())["metadata"]["resourceVersion"]
        response = await session.get(self._path, params={"watch": "1", "resourceVersion": version})
        return asyncio.create_task(_seen(response, pods))


async def _seen(response: aiohttp.ClientResponse, pods: int) -> float:
    while pods:
        line = await response.content.readuntil(b"\n")
        if b'"type":"ADDED"' in line[:40] and b'"schedulingGates"' not in line:
            pods -= 1
    response.close()
    return perf_counter()
