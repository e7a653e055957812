"""Registries that stop, refuse and come back: who is asked how often, what is answered meanwhile, and who pays."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rightarch.errors import ImageError
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Credential, InMemoryKeychain, Registry, RegistryOptions
from rightarch.registry.circuit import FAILURES, LONGEST_PAUSE
from tests.controlplane import free_port
from tests.images import RegistryServer, TokenServer, attested
from tests.registry.faults import Asked, FaultServer, answer, fixed
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.controlplane import CertificateAuthority
    from tests.registry.conftest import Clock

    Make = Callable[[RegistryOptions], Registry]

ANYBODY = AnonymousKeychain()
MULTI = attested("linux/amd64", "linux/arm64", salt="circuits")
GOOD = answer(200, MULTI.root.body, content_type=MULTI.root.media_type)
BOTH = ["linux/amd64", "linux/arm64"]
TRIES = 5
"""Of which the best counts: one may meet a busy machine."""


async def outcome(registry: Registry, name: str) -> list[str] | Reason:
    """The platforms of an image, or the Reason for which they are not known."""
    try:
        found = await registry.platforms(Reference.parse(name), ANYBODY)
    except ImageError as error:
        return error.reason
    return list(map(str, found.platforms))


async def settled(registry: Registry) -> None:
    """Let the look-ups in flight end."""
    async with asyncio.timeout(60):
        while registry.stats.in_flight:  # noqa: ASYNC110 - nothing tells of the end but this number
            await asyncio.sleep(0.001)


async def test_fifty_tags_cost_one_token(server: RegistryServer, tokens: TokenServer, registry: Registry) -> None:
    """Fifty tags of one repository, all unknown and asked for at once: the token service is asked once."""
    for number in range(50):
        server.push("fifty/app", str(number), MULTI)
    server.forget()
    tokens.requests.clear()
    found = await asyncio.gather(*(outcome(registry, f"{server.host}/fifty/app:{number}") for number in range(50)))
    assert found == [BOTH] * 50
    assert tokens.requests == [""]
    assert registry.stats.lookups == {"Found": 50}


async def test_tokens_of_others_are_not_shared(server: RegistryServer, tokens: TokenServer, registry: Registry) -> None:
    """Two who ask for the same with credentials of their own get a token each."""
    server.push("own/app", "1", MULTI)
    tokens.requests.clear()
    users = {"alice": "password-of-alice", "bob": "password-of-bob"}
    keychains = [InMemoryKeychain(user, {server.host: [Credential(user, word)]}) for user, word in users.items()]
    reference = Reference.parse(f"{server.host}/own/app:1")
    await asyncio.gather(*(registry.platforms(reference, each) for each in keychains))
    assert sorted(tokens.requests) == ["alice", "bob"]


async def test_a_registry_that_fails_is_asked_by_one_at_a_time(
    authority: CertificateAuthority, registry: Registry, clock: Clock
) -> None:
    """After three failures look-ups fail at once, with the Reason of the last, until a probe is answered."""
    answers = [answer(500)] * (FAILURES + 1)
    async with FaultServer(authority, fixed(*answers, GOOD)) as server:
        for number in range(20):
            assert await outcome(registry, f"{server.host}/app:{number}") is Reason.REGISTRY_FAILED
        assert len(server.asked) == FAILURES
        clock.now += 1.0
        for number in range(20, 30):
            assert await outcome(registry, f"{server.host}/app:{number}") is Reason.REGISTRY_FAILED
        assert len(server.asked) == FAILURES + 1
        assert (registry.stats.open_circuits(), registry.stats.spared) == (1, 26)
        clock.now += 2.0
        assert await outcome(registry, f"{server.host}/app:30") == BOTH
        assert await outcome(registry, f"{server.host}/app:31") == BOTH
        assert registry.stats.open_circuits() == 0


@pytest.mark.parametrize(("status", "reason"), [(429, Reason.RATE_LIMITED), (503, Reason.REGISTRY_FAILED)])
async def test_retry_after_holds_for_all_images(
    status: int, reason: Reason, authority: CertificateAuthority, registry: Registry, clock: Clock
) -> None:
    """A registry that says when to come back gets no request before, whatever is asked for, and one then."""
    async with FaultServer(authority, fixed(answer(status, retry_after="60"), GOOD)) as server:
        for number in range(10):
            assert await outcome(registry, f"{server.host}/app:{number}") is reason
            clock.now += 5.9
        assert len(server.asked) == 1
        clock.now += 1.1
        assert await outcome(registry, f"{server.host}/app:0") == BOTH


async def test_a_rate_limit_of_strangers_leaves_the_others(authority: CertificateAuthority, registry: Registry) -> None:
    """Who has a credential is answered although those without have used their requests up."""

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if "authorization" in asked.headers:
            writer.write(GOOD)
        elif asked.path.endswith("/open"):
            writer.write(answer(401, www_authenticate="Basic realm=x"))
        else:
            writer.write(answer(429, retry_after="3600"))

    async with FaultServer(authority, handle) as server:
        assert await outcome(registry, f"{server.host}/app:1") is Reason.RATE_LIMITED
        team = InMemoryKeychain("team", {server.host: [Credential("alice", "word")]})
        found = await registry.platforms(Reference.parse(f"{server.host}/app:open"), team)
        assert list(map(str, found.platforms)) == BOTH
        assert await outcome(registry, f"{server.host}/app:2") is Reason.RATE_LIMITED


async def test_a_registry_stopped_and_restarted(options: RegistryOptions, tmp_path: Path) -> None:
    """On the real clock: known images are answered all along, and unknown ones within five seconds of its return."""
    registry, port = Registry(options), free_port()
    with RegistryServer(folder=tmp_path, port=port) as server:
        for tag in ("known", "unknown"):
            server.push("phoenix/app", tag, MULTI)
        assert await outcome(registry, f"{server.host}/phoenix/app:known") == BOTH
    for _ in range(FAILURES):
        assert await outcome(registry, f"{server.host}/phoenix/app:{time.monotonic()}") is Reason.REGISTRY_UNREACHABLE
    assert await outcome(registry, f"{server.host}/phoenix/app:unknown") is Reason.REGISTRY_UNREACHABLE
    assert await outcome(registry, f"{server.host}/phoenix/app:known") == BOTH
    with RegistryServer(folder=tmp_path, port=port):
        with Ticks() as ticks:
            while await outcome(registry, f"{server.host}/phoenix/app:unknown") != BOTH:  # noqa: ASYNC110 - as pods do
                await asyncio.sleep(0.02)
        assert ticks.seconds < LONGEST_PAUSE + 0.5
    assert await outcome(registry, f"{server.host}/phoenix/app:unknown") == BOTH
    await registry.aclose()


async def test_stale_answers_are_marked(made: Make, options: RegistryOptions, clock: Clock, tmp_path: Path) -> None:
    """An answer is stale once its registry failed to confirm it, and no longer when it has confirmed it."""
    registry, port = made(options), free_port()
    reference = Reference.parse(f"127.0.0.1:{port}/stale/app:1")
    with RegistryServer(folder=tmp_path, port=port) as server:
        server.push("stale/app", "1", MULTI)
        await registry.platforms(reference, ANYBODY)
    clock.now += 700
    assert isinstance(registry.known(reference, ANYBODY), ImagePlatforms)
    assert not registry.stale(reference, ANYBODY)  # due, and nobody has failed yet
    await settled(registry)
    team = InMemoryKeychain("team", {})
    assert isinstance(registry.known(reference, team), ImagePlatforms)
    assert registry.stale(reference, ANYBODY)
    assert registry.stale(reference, team)
    assert registry.stats.stale == 1
    await settled(registry)
    with RegistryServer(folder=tmp_path, port=port):
        clock.now += 20
        registry.known(reference, ANYBODY)
        await settled(registry)
    assert not registry.stale(reference, ANYBODY)
    assert registry.stats.stale == 2


async def hang(_: Asked, __: asyncio.StreamWriter) -> None:
    """Say nothing."""
    await asyncio.sleep(600)


async def test_known_images_beside_eight_that_hang(
    server: RegistryServer, authority: CertificateAuthority, made: Make, options: RegistryOptions
) -> None:
    """Eight images of a registry that hangs add nothing to a known image, nor to an unknown one of another registry."""
    registry, calm = made(options), made(options)
    tags = [str(number) for number in range(TRIES)]
    for tag in ("known", *tags):
        server.push("beside/app", tag, MULTI)
    known = Reference.parse(f"{server.host}/beside/app:known")
    for each in (registry, calm):
        assert isinstance(await each.platforms(known, ANYBODY), ImagePlatforms)
    async with FaultServer(authority, hang) as hanging:
        waits = [asyncio.create_task(outcome(registry, f"{hanging.host}/app:{each}")) for each in range(8)]
        while len(hanging.asked) < 8:  # noqa: ASYNC110 - a list tells nobody
            await asyncio.sleep(0.005)
        assert min(_at_once(registry, known) for _ in range(TRIES)) < 0.005
        names = [f"{server.host}/beside/app:{tag}" for tag in tags]
        took = [(await timed(calm, name), await timed(registry, name)) for name in names]  # in turns
        assert registry.stats.in_flight == 8, "they were to hang meanwhile"
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    usual, beside = (min(each) for each in zip(*took, strict=True))
    assert beside < 5 * usual + 0.1


async def test_a_registry_that_hangs_is_spared_once_its_look_ups_have_timed_out(
    authority: CertificateAuthority, made: Make, options: RegistryOptions
) -> None:
    """Whoever comes next is told the same, and does not wait for it."""
    registry = made(replace(options, lookup_timeout=1.0))
    async with FaultServer(authority, hang) as hanging:
        names = [f"{hanging.host}/app:{each}" for each in range(8)]
        assert await asyncio.gather(*(outcome(registry, name) for name in names)) == [Reason.TIMED_OUT] * 8
        asked = len(hanging.asked)
        assert await outcome(registry, f"{hanging.host}/app:9") is Reason.TIMED_OUT
        assert len(hanging.asked) == asked <= 8


def _at_once(registry: Registry, known: Reference) -> float:
    """How long the processor works on the answer for an image that is known: other tests may have it for a while."""
    began = time.thread_time()
    assert isinstance(registry.known(known, ANYBODY), ImagePlatforms)
    return time.thread_time() - began


async def timed(registry: Registry, name: str) -> float:
    """How long a look-up takes, which finds its image."""
    began = time.perf_counter()
    assert await outcome(registry, name) == BOTH
    return time.perf_counter() - began
