"""Every fault hundreds of times: always the same Reason, nothing grows, nothing is told, and nobody else waits."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import itertools
import logging
import math
import time
import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rightarch.errors import ImageError
from rightarch.manifest import digest_of
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Credential, InMemoryKeychain, Registry, RegistryOptions
from tests.images import RegistryServer, attested
from tests.registry.faults import Asked, FaultServer, answer, fixed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.controlplane import CertificateAuthority
    from tests.registry.conftest import Clock

    Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]

MULTI = attested("linux/amd64", "linux/arm64", salt="leaks")
KIND = MULTI.root.media_type
PASSWORD = "correct horse battery staple"  # noqa: S105 - of the tests
SPELLINGS = (PASSWORD, base64.b64encode(f"alice:{PASSWORD}".encode()).decode())
WARM, TIMES = 10, 100
GROWTH = 48 * 1024
"""Bytes that may come and go between two looks at the memory: buffers, and what libraries remember a few of."""
ROUNDS = 3
"""How often it may be that they come and none goes; what leaks, leaks in each."""


def manifest(body: bytes, **headers: str) -> bytes:
    """An answer with a manifest or index."""
    return answer(200, body, content_type=KIND, **headers)


def nested(levels: int) -> dict[str, bytes]:
    """Indexes each in the next, by path; the outermost is tag 1."""
    body = b'{"schemaVersion": 2, "manifests": []}'
    found: dict[str, bytes] = {}
    for _ in range(levels):
        digest = digest_of(body)
        found[f"/v2/app/manifests/{digest}"] = body
        entry = f'{{"mediaType": "{KIND}", "digest": "{digest}", "size": {len(body)}}}'
        body = f'{{"schemaVersion": 2, "manifests": [{entry}]}}'.encode()
    return found | {"/v2/app/manifests/1": body}


def by_path(bodies: dict[str, bytes]) -> Handler:
    """A handler that has these documents."""

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(manifest(bodies[asked.path]))

    return handle


async def flood(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Send a gibibyte, or as much as anybody reads."""
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {KIND}\r\nContent-Length: {1 << 30}\r\n\r\n".encode())
    piece = b" " * (1 << 18)
    for _piece in range(1 << 12):  # until whoever reads hangs up
        writer.write(piece)
        await writer.drain()


async def elsewhere(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Name a token service on another host: another name of this machine."""
    if asked.path.startswith("/token"):
        assert "authorization" not in asked.headers
        writer.write(answer(403))
        return
    realm = asked.headers["host"].replace("127.0.0.1", "localhost")
    writer.write(answer(401, www_authenticate=f'Bearer realm="https://{realm}/token"'))


FAULTS: dict[str, tuple[Handler, Reason]] = {
    "429 with Retry-After": (fixed(answer(429, retry_after="30")), Reason.RATE_LIMITED),
    "500": (fixed(answer(500)), Reason.REGISTRY_FAILED),
    "half a body": (fixed(manifest(MULTI.root.body, content_length="99999")), Reason.REGISTRY_FAILED),
    "gzip": (fixed(manifest(gzip.compress(MULTI.root.body), content_encoding="gzip")), Reason.REGISTRY_FAILED),
    "wrong digest": (fixed(manifest(b"{}", docker_content_digest=MULTI.digest)), Reason.REGISTRY_FAILED),
    "wrong Content-Type": (fixed(answer(200, b"<html>", content_type="text/html")), Reason.MALFORMED_IMAGE),
    "redirect to a refused address": (fixed(answer(307, location="https://0.0.0.0/x")), Reason.ADDRESS_REFUSED),
    "a realm elsewhere": (elsewhere, Reason.UNTRUSTED_REALM),
    "Basic refused": (fixed(answer(401, www_authenticate="Basic realm=x")), Reason.ACCESS_DENIED),
    "100 000 entries": (fixed(manifest(b'{"manifests": [' + b"{}," * 99_999 + b"{}]}")), Reason.MALFORMED_IMAGE),
    "JSON of 100 000 levels": (fixed(manifest(b'{"a":' * 100_000)), Reason.MALFORMED_IMAGE),
    "nesting of 200 levels": (by_path(nested(200)), Reason.MALFORMED_IMAGE),
    "1 GiB": (flood, Reason.MALFORMED_IMAGE),
}
SLOW = {"100 000 entries", "JSON of 100 000 levels", "nesting of 200 levels", "1 GiB"}


@dataclass
class Trial:
    """One look-up, over and over, each at a time when nothing is remembered of the last."""

    registry: Registry
    clock: Clock
    reference: Reference
    keychain: InMemoryKeychain

    async def __call__(self, times: int) -> set[Reason]:
        """The Reasons that the look-ups end with."""
        return {await self._once() for _ in range(times)}

    async def _once(self) -> Reason:
        self.clock.now += 4000.0
        try:
            await self.registry.platforms(self.reference, self.keychain)
        except ImageError as error:
            told, reason = str(error), error.reason
        else:
            pytest.fail("it was found")
        assert not any(spelling in told for spelling in SPELLINGS)
        return reason


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue  # the folder itself, which was open while it was read
    return found


def traced() -> int:
    """The bytes that Python holds, garbage apart."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("fault", FAULTS)
async def test_hundreds_of_failures_leave_nothing(
    fault: str,
    registry: Registry,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The Reason is right each time; memory, sockets and tasks are as before; no log has the password."""
    handle, reason = FAULTS[fault]
    times = TIMES // 10 if fault in SLOW else TIMES
    async with FaultServer(None, handle) as server:  # without TLS, to which most of the time would go
        keychain = InMemoryKeychain("team", {server.host: [Credential("alice", PASSWORD)]})
        trial = Trial(registry, clock, Reference.parse(f"{server.host}/app:1"), keychain)
        with caplog.at_level(logging.DEBUG):
            assert await trial(2) == {reason}
        assert not any(spelling in caplog.text for spelling in SPELLINGS)
        caplog.clear()
        await trial(WARM if fault not in SLOW else 4)
        await asyncio.sleep(0.05)
        server.asked.clear()
        open_before, tasks_before = sockets(), len(asyncio.all_tasks())
        tracemalloc.start()
        try:
            await trial(times // 4)
            grown = [GROWTH]
            while grown[-1] >= GROWTH and len(grown) <= ROUNDS:
                server.asked.clear()
                before = traced()
                assert await trial(times) == {reason}
                server.asked.clear()
                await until(lambda: sockets() <= open_before + 2 and len(asyncio.all_tasks()) <= tasks_before + 2)
                grown.append(traced() - before)
        finally:
            tracemalloc.stop()
        assert grown[-1] < GROWTH, f"{grown[1:]} bytes, each in {times} look-ups"
    assert registry.stats.in_flight == 0


async def hang(_: Asked, __: asyncio.StreamWriter) -> None:
    """Say nothing."""
    await asyncio.sleep(60)


async def drip(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Send a byte a second of a document that is never complete."""
    writer.write(manifest(b"", content_length="1000000"))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(1.0)


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds: what was closed may need a moment to be gone."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.05)


async def seconds(registry: Registry, name: str) -> float:
    """How long it takes to find an image; for ever if it is not found in the time of a look-up."""
    began = time.perf_counter()
    try:
        await registry.platforms(Reference.parse(name), AnonymousKeychain())
    except ImageError as error:
        if error.reason is not Reason.TIMED_OUT:
            raise
        return math.inf
    return time.perf_counter() - began


@pytest.fixture
def registry(made: Callable[[RegistryOptions], Registry]) -> Registry:
    """A client that trusts no token service on another host."""
    return made(RegistryOptions(allow_loopback=True))


@pytest.fixture
def impatient(made: Callable[[RegistryOptions], Registry], options: RegistryOptions) -> Registry:
    """A client that waits for two and a half seconds."""
    return made(replace(options, lookup_timeout=2.5))


@pytest.mark.parametrize("handle", [hang, drip])
async def test_hundreds_of_time_outs_leave_nothing(
    handle: Handler, server: RegistryServer, authority: CertificateAuthority, impatient: Registry, clock: Clock
) -> None:
    """All connections are closed when the time is over, and meanwhile a healthy registry answers as it always does."""
    registry = impatient
    for turn, number in itertools.product(range(3), range(3)):
        server.push("leaks/app", f"{turn}-{number}", MULTI)
    async with FaultServer(authority, handle) as faulty:

        async def one(number: int) -> Reason | None:
            try:
                await registry.platforms(Reference.parse(f"{faulty.host}/app:{number}"), AnonymousKeychain())
            except ImageError as error:
                return error.reason
            return None

        open_before = sockets()
        for turn in range(3):
            clock.now += 60.0  # the circuit of the last turn lets one through, and fails
            waits = [asyncio.create_task(one(number)) for number in range(turn * 100, turn * 100 + 100)]
            await asyncio.sleep(0.1)
            took = [await seconds(registry, f"{server.host}/leaks/app:{turn}-{number}") for number in range(3)]
            assert min(took) < 2.0  # it did not wait for one of the others
            assert set(await asyncio.gather(*waits)) == {Reason.TIMED_OUT}
        await until(lambda: registry.stats.in_flight == 0 and sockets() <= open_before + 2)
        assert len(faulty.asked) <= 102  # a hundred at first, of which those beyond 32 at a time wait for a place
