"""Look-ups: how many a second at a distance, and what a registry that hangs costs the images of others."""

import asyncio
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from unittest.mock import patch

import httpx

from rightarch.errors import ImageError
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Registry, RegistryOptions
from rightarch.registry.transport import Transport
from tests.bench.figures import Measure, console, median, percentile, table
from tests.bench.slow_registry import SlowRegistry
from tests.controlplane import CertificateAuthority, binary

SERVICE_SECONDS = 0.02
ROUNDS = 3
LOOKUPS = {1: 40, 32: 800, 100: 1600, 200: 1600}
"""Images by the number of look-ups at a time."""
CRANES = {1: 10, 32: 64, 100: 100, 200: 200}
HANGING = 300
"""Look-ups at the registry that hangs: more than may be in flight at one registry."""
SAMPLES = 200
ANYBODY = AnonymousKeychain()


def main() -> dict[str, Any]:
    """Measure, print, and return look-ups per second and requests per image, and what a hanging registry adds."""
    with TemporaryDirectory(prefix="rightarch-bench-") as folder:
        authority = CertificateAuthority(Path(folder) / "pki")
        pair = authority.issue("registry")
        speeds = {str(at_once): _speeds(authority.certificate, pair, at_once) for at_once in LOOKUPS}
        return {"look-ups": speeds, "hanging": _beside_a_hanging_one(authority.certificate, pair)}


def _speeds(ca: Path, pair: tuple[Path, Path], at_once: int) -> dict[str, dict[str, float]]:
    """All three clients, in interleaved rounds, each with a registry of its own to count its requests."""
    rounds: dict[str, list[dict[str, float]]] = {"Rightarch": [], "on httpx's transport": [], "crane": []}
    for _ in range(ROUNDS):
        for client, figures in rounds.items():
            count = CRANES[at_once] if client == "crane" else LOOKUPS[at_once]
            with SlowRegistry(*pair, SERVICE_SECONDS) as server:
                names = [f"{server.host}/bench/app:{number}" for number in range(count)]
                seconds = _CLIENTS[client](ca, names, at_once)
            figures.append({"look-ups": count / seconds, "requests per image": server.requests / count})
    measures = [Measure("look-ups", "1/s", 0), Measure("requests per image", "all", 2)]
    return table(f"{at_once} at a time, registry {SERVICE_SECONDS * 1000:.0f} ms away", measures, rounds)


def _ours(ca: Path, names: list[str], at_once: int) -> float:
    return asyncio.run(_looked_up(_options(ca), names, at_once))


def _on_httpx(ca: Path, names: list[str], at_once: int) -> float:
    """The same client, but httpx's own connections; as many of them."""
    most = _options(ca).max_connections_per_registry
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)

    def made(*_: object, **__: object) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=ca), limits=limits)

    with patch.object(Transport, "_made", made):
        return _ours(ca, names, at_once)


def _crane(ca: Path, names: list[str], at_once: int) -> float:
    """A process an image, which is how crane is used for many."""
    return asyncio.run(_craned(ca, names, at_once))


_CLIENTS = {"Rightarch": _ours, "on httpx's transport": _on_httpx, "crane": _crane}


def _options(ca: Path) -> RegistryOptions:
    return RegistryOptions(allow_loopback=True, ca_file=ca, lookup_timeout=60, max_lookups_per_registry=256)


async def _looked_up(options: RegistryOptions, names: list[str], at_once: int) -> float:
    """Seconds for all of them."""
    registry = Registry(options)
    slots = asyncio.Semaphore(at_once)

    async def look_up(name: str) -> None:
        async with slots:
            assert len((await registry.platforms(Reference.parse(name), ANYBODY)).platforms) == 2

    begun = perf_counter()
    await asyncio.gather(*map(look_up, names))
    seconds = perf_counter() - begun
    await registry.aclose()
    return seconds


async def _craned(ca: Path, names: list[str], at_once: int) -> float:
    program = binary("crane")
    environment = os.environ | {"SSL_CERT_FILE": str(ca), "DOCKER_CONFIG": str(ca.parent)}
    slots = asyncio.Semaphore(at_once)

    async def look_up(name: str) -> None:
        async with slots:
            nowhere = asyncio.subprocess.DEVNULL
            process = await asyncio.create_subprocess_exec(
                program, "manifest", name, env=environment, stdout=nowhere, stderr=nowhere
            )
            assert await process.wait() == 0

    begun = perf_counter()
    await asyncio.gather(*map(look_up, names))
    return perf_counter() - begun


def _beside_a_hanging_one(ca: Path, pair: tuple[Path, Path]) -> dict[str, dict[str, float]]:
    """Milliseconds for known and unknown images of a healthy registry, alone and beside one that hangs."""
    measures = [
        Measure("known image, p50", "ms", 3),
        Measure("known image, p99", "ms", 3),
        Measure("new image, p50", "ms"),
        Measure("new image, p99", "ms"),
    ]
    rounds: dict[str, list[dict[str, float]]] = {"alone": [], f"beside {HANGING} look-ups that hang": []}
    with _two(pair) as (healthy, hanging):
        for number in range(ROUNDS):
            for mode, figures in rounds.items():
                others = [] if mode == "alone" else [f"{hanging}/app:{each}" for each in range(HANGING)]
                figures.append(asyncio.run(_timed(ca, f"{healthy}/round-{number}-{len(others)}", others)))
    return table("a healthy registry, 20 ms away", measures, rounds)


@contextmanager
def _two(pair: tuple[Path, Path]) -> Iterator[tuple[str, str]]:
    with SlowRegistry(*pair, SERVICE_SECONDS) as healthy, SlowRegistry(*pair, None) as hanging:
        yield healthy.host, hanging.host


async def _timed(ca: Path, repository: str, others: list[str]) -> dict[str, float]:
    registry = Registry(RegistryOptions(allow_loopback=True, ca_file=ca, lookup_timeout=60))
    known = Reference.parse(f"{repository}:known")
    await registry.platforms(known, ANYBODY)
    waiting = [asyncio.create_task(_outcome(registry, name)) for name in others]
    await asyncio.sleep(0.5)
    from_memory, new = [], []
    for number in range(SAMPLES):
        from_memory.append(await _milliseconds(registry, known))
        new.append(await _milliseconds(registry, Reference.parse(f"{repository}:{number}")))
    assert not others or any(not task.done() for task in waiting), "nothing hung"
    await registry.aclose()
    await asyncio.gather(*waiting)
    return {
        "known image, p50": median(from_memory),
        "known image, p99": percentile(from_memory, 0.99),
        "new image, p50": median(new),
        "new image, p99": percentile(new, 0.99),
    }


async def _milliseconds(registry: Registry, reference: Reference) -> float:
    begun = perf_counter()
    await registry.platforms(reference, ANYBODY)
    return (perf_counter() - begun) * 1000


async def _outcome(registry: Registry, name: str) -> object:
    try:
        return await registry.platforms(Reference.parse(name), ANYBODY)
    except ImageError as error:
        return error


if __name__ == "__main__":
    console.print(main())
