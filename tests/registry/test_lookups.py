"""Look-ups at a real registry, over TLS, with token authentication: what is told, and how often it is asked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rightarch.errors import ImageError, SettingsError
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Credential, InMemoryKeychain, Keychain, Registry, RegistryOptions
from tests.controlplane import binary, free_port
from tests.images import Entry, Image, RegistryServer, TokenServer, artifact, attested, index, single
from tests.registry.conftest import ALICE_PASSWORD, Clock
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.controlplane import CertificateAuthority

ANYBODY = AnonymousKeychain()
AMD64, ARM64 = single("linux/amd64", "lookups"), single("linux/arm64/v8", "lookups")
MULTI = attested("linux/amd64", "linux/arm64", salt="lookups")
ALICE = Credential("alice", ALICE_PASSWORD)

SHAPES: dict[str, tuple[Image, list[str], int]] = {
    # image, platforms, requests where the registry asks for no token any more
    "index": (index(Entry(AMD64, "linux/amd64"), Entry(ARM64, "linux/arm64/v8")), ["linux/amd64", "linux/arm64"], 1),
    "docker-list": (
        index(Entry(single("linux/arm/v7", "list", docker=True), "linux/arm/v7"), docker=True),
        ["linux/arm/v7"],
        1,
    ),
    "single": (ARM64, ["linux/arm64"], 2),
    "docker-single": (single("linux/s390x", "lookups", docker=True), ["linux/s390x"], 2),
    "inline": (single("linux/ppc64le", "lookups", inline=True), ["linux/ppc64le"], 1),
    "attested": (MULTI, ["linux/amd64", "linux/arm64"], 1),
    "no-platform": (index(Entry(AMD64), Entry(ARM64, "linux/arm64")), ["linux/amd64", "linux/arm64"], 3),
    "nested": (index(Entry(index(Entry(AMD64, "linux/amd64")))), ["linux/amd64"], 2),
    "empty": (index(salt="lookups"), [], 1),
    "windows": (index(Entry(AMD64, "windows/amd64")), ["windows/amd64"], 1),
}


def keychain(scope: str, server: RegistryServer, *credentials: Credential) -> Keychain:
    """Credentials for the tests' registry."""
    return InMemoryKeychain(scope, {server.host: credentials})


def texts(image: ImagePlatforms | ImageError | None) -> list[str]:
    """The platforms of an image that is known, as text."""
    assert isinstance(image, ImagePlatforms)
    return [str(platform) for platform in image.platforms]


async def error_of(registry: Registry, reference: Reference, keychain: Keychain = ANYBODY) -> ImageError:
    """The error that a look-up ends with."""
    with pytest.raises(ImageError) as caught:
        await registry.platforms(reference, keychain)
    return caught.value


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail after a minute."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes too
            await asyncio.sleep(0.01)


def asked(server: RegistryServer) -> list[str]:
    """Method and status of what the registry was asked."""
    return [f"{request.method} {request.status}" for request in server.requests()]


@pytest.mark.parametrize(("name", "shape"), SHAPES.items(), ids=SHAPES)
async def test_shapes(
    name: str, shape: tuple[Image, list[str], int], server: RegistryServer, registry: Registry
) -> None:
    """Each shape of image tells its platforms, by tag and by digest, for no more requests than it takes."""
    image, platforms, requests = shape
    server.push(f"shapes/{name}", "1", image)
    server.forget()
    by_tag = Reference.parse(f"{server.host}/shapes/{name}:1")
    found = await registry.platforms(by_tag, ANYBODY)
    assert (found.digest, found.indexed) == (image.digest, "manifest.v" not in image.root.media_type)
    assert texts(found) == platforms
    assert asked(server) == ["GET 401", *["GET 200"] * requests]
    by_digest = Reference.parse(f"{server.host}/shapes/{name}@{image.digest}")
    server.forget()
    assert texts(await registry.platforms(by_digest, ANYBODY)) == platforms
    assert asked(server) == ["HEAD 200"]


async def test_three_two_one_none(server: RegistryServer, tokens: TokenServer, registry: Registry) -> None:
    """Round trips: three when nothing is known, two with the realm, one with the token, none when it is known."""
    server.push("trips/a", "1", MULTI)
    server.push("trips/a", "2", MULTI)
    server.push("trips/b", "1", MULTI)
    counts = []
    for name in ("trips/a:1", "trips/b:1", "trips/a:2", "trips/a:1"):
        server.forget()
        tokens.requests.clear()
        await registry.platforms(Reference.parse(f"{server.host}/{name}"), ANYBODY)
        counts.append(len(server.requests()) + len(tokens.requests))
    assert counts == [3, 2, 1, 0]


async def test_nothing_is_known_at_first(server: RegistryServer, registry: Registry) -> None:
    """What was not looked up is not known, and asking memory asks nobody else."""
    server.forget()
    assert registry.known(Reference.parse(f"{server.host}/shapes/index:1"), ANYBODY) is None
    assert server.requests() == []


async def test_fifty_wait_for_one(server: RegistryServer, tokens: TokenServer, registry: Registry) -> None:
    """Many who ask for the same at once cause one look-up, and all get its answer."""
    server.push("flight/app", "1", MULTI)
    server.forget()
    tokens.requests.clear()
    reference = Reference.parse(f"{server.host}/flight/app:1")
    found = await asyncio.gather(*(registry.platforms(reference, ANYBODY) for _ in range(50)))
    assert [texts(each) for each in found] == [["linux/amd64", "linux/arm64"]] * 50
    assert asked(server) == ["GET 401", "GET 200"]
    assert len(tokens.requests) == 1
    assert registry.stats.lookups == {"Found": 1}
    assert registry.stats.in_flight == 0


async def test_a_deadline_ends_the_wait_only(server: RegistryServer, registry: Registry) -> None:
    """Who gives up leaves the look-up to the others and to the memory."""
    server.push("deadline/app", "1", MULTI)
    reference = Reference.parse(f"{server.host}/deadline/app:1")
    server.process.pause()
    try:
        patient = asyncio.create_task(registry.platforms(reference, ANYBODY))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await registry.platforms(reference, ANYBODY)
        assert registry.stats.in_flight == 1
    finally:
        server.process.resume()
    assert texts(await patient) == ["linux/amd64", "linux/arm64"]
    assert texts(registry.known(reference, ANYBODY)) == ["linux/amd64", "linux/arm64"]


async def test_nobody_has_to_wait_for_it(server: RegistryServer, registry: Registry) -> None:
    """A look-up that everybody has given up still fills the memory."""
    server.push("deadline/app", "1", MULTI)
    reference = Reference.parse(f"{server.host}/deadline/app:1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await registry.platforms(reference, ANYBODY)
    await until(lambda: registry.known(reference, ANYBODY) is not None)
    assert texts(registry.known(reference, ANYBODY)) == ["linux/amd64", "linux/arm64"]


async def test_a_tag_that_moves(server: RegistryServer, registry: Registry, clock: Clock) -> None:
    """After ten minutes a tag is confirmed in the background, on use: admission gets the old answer, then the new."""
    server.push("moving/app", "1", AMD64)
    reference = Reference.parse(f"{server.host}/moving/app:1")
    await registry.platforms(reference, ANYBODY)
    server.push("moving/app", "1", ARM64)
    clock.now += 599
    server.forget()
    assert texts(registry.known(reference, ANYBODY)) == ["linux/amd64"]
    assert registry.stats.refreshes == 0
    clock.now += 1
    assert texts(registry.known(reference, ANYBODY)) == ["linux/amd64"]
    assert texts(await registry.platforms(reference, ANYBODY)) == ["linux/amd64"]
    await until(lambda: registry.stats.in_flight == 0)
    assert texts(registry.known(reference, ANYBODY)) == ["linux/arm64"]
    assert registry.stats.refreshes == 1
    assert [each for each in asked(server) if "401" not in each] == ["HEAD 200", "GET 200", "GET 200"]


async def test_a_tag_that_stays_costs_a_head(server: RegistryServer, registry: Registry, clock: Clock) -> None:
    """Confirming a tag costs one HEAD, which registries with a rate limit do not count."""
    server.push("staying/app", "1", MULTI)
    reference = Reference.parse(f"{server.host}/staying/app:1")
    await registry.platforms(reference, ANYBODY)
    clock.now += 600
    await registry.platforms(Reference.parse(f"{server.host}/staying/app@{MULTI.digest}"), ANYBODY)  # a new token
    server.forget()
    registry.known(reference, ANYBODY)
    await until(lambda: registry.stats.in_flight == 0)
    assert asked(server) == ["HEAD 200"]
    registry.known(reference, ANYBODY)
    assert registry.stats.refreshes == 1


async def test_a_digest_is_known_for_ever(server: RegistryServer, registry: Registry, clock: Clock) -> None:
    """What a digest stands for never changes."""
    reference = Reference.parse(server.push("pinned/app", "1", MULTI))
    await registry.platforms(reference, ANYBODY)
    clock.now += 10 * 365 * 86_400
    server.forget()
    assert texts(await registry.platforms(reference, ANYBODY)) == ["linux/amd64", "linux/arm64"]
    assert server.requests() == []


async def test_the_digest_decides(server: RegistryServer, registry: Registry) -> None:
    """Where a reference has a tag as well, the tag does not count."""
    server.push("pinned/both", "1", AMD64)
    pinned = server.push("pinned/both", "2", ARM64)
    reference = Reference.parse(pinned.replace("@", ":1@"))
    assert texts(await registry.platforms(reference, ANYBODY)) == ["linux/arm64"]


async def test_not_found(server: RegistryServer, registry: Registry, clock: Clock) -> None:
    """A tag or repository that is not there is ImageNotFound, remembered for seconds, and found once it is pushed."""
    reference = Reference.parse(f"{server.host}/absent/app:1")
    error = await error_of(registry, reference)
    assert (error.reason, error.transient) == (Reason.IMAGE_NOT_FOUND, False)
    expected = f"registry {server.host} does not have the image, or lacks a part of it: check name and tag"
    assert str(error) == expected
    server.push("absent/app", "1", AMD64)
    server.forget()
    assert (await error_of(registry, reference)).reason is Reason.IMAGE_NOT_FOUND
    known = registry.known(reference, ANYBODY)
    assert isinstance(known, ImageError)
    assert known.reason is Reason.IMAGE_NOT_FOUND
    assert server.requests() == []
    clock.now += 6.3
    assert registry.known(reference, ANYBODY) is None
    assert texts(await registry.platforms(reference, ANYBODY)) == ["linux/amd64"]


async def test_an_artifact(server: RegistryServer, registry: Registry) -> None:
    """A chart in a registry is no image, and the error says so."""
    server.push("charts/app", "1", artifact())
    error = await error_of(registry, Reference.parse(f"{server.host}/charts/app:1"))
    assert error.reason is Reason.NOT_AN_IMAGE
    assert str(error) == "its configuration is not that of a container image"


async def test_denied(server: RegistryServer, registry: Registry) -> None:
    """A private image is AccessDenied to who has no credential, or a wrong one, or another's."""
    server.push("private/app", "1", AMD64)
    reference = Reference.parse(f"{server.host}/private/app:1")
    wrong, other = Credential("alice", "guessed"), Credential("bob", "password-of-bob")
    for asker in (ANYBODY, keychain("a", server, wrong), keychain("b", server, other)):
        error = await error_of(registry, reference, asker)
        assert (error.reason, error.transient) == (Reason.ACCESS_DENIED, False)
        assert "guessed" not in str(error)


async def test_all_credentials_are_tried(server: RegistryServer, tokens: TokenServer, registry: Registry) -> None:
    """Of several credentials that match, the first that may read the image tells."""
    server.push("private/app", "1", AMD64)
    asker = keychain("team", server, Credential("alice", "old"), Credential("bob", "password-of-bob"), ALICE)
    tokens.requests.clear()
    assert texts(await registry.platforms(Reference.parse(f"{server.host}/private/app:1"), asker)) == ["linux/amd64"]
    assert tokens.requests == ["bob", "alice"]


async def test_what_one_scope_may_read_answers_no_other(server: RegistryServer, registry: Registry) -> None:
    """What a credential revealed, by tag or by digest, is neither known to others nor found by them."""
    pinned = Reference.parse(server.push("private/other", "1", MULTI))
    tagged = Reference.parse(f"{server.host}/private/other:1")
    team, others = keychain("team-a", server, ALICE), keychain("team-b", server)
    for reference in (pinned, tagged):
        await registry.platforms(reference, team)
        for asker in (others, ANYBODY):
            assert registry.known(reference, asker) is None
            assert (await error_of(registry, reference, asker)).reason is Reason.ACCESS_DENIED
        assert texts(registry.known(reference, team)) == ["linux/amd64", "linux/arm64"]


async def test_another_scope_needs_one_head(server: RegistryServer, registry: Registry) -> None:
    """Content is shared by digest: a second scope proves by a HEAD that it may read, and nothing is read twice."""
    pinned = Reference.parse(server.push("private/other", "1", ARM64))
    await registry.platforms(pinned, keychain("team-a", server, ALICE))
    server.forget()
    assert texts(await registry.platforms(pinned, keychain("team-b", server, ALICE))) == ["linux/arm64"]
    assert asked(server) == ["HEAD 200"]


async def test_what_anybody_may_read_answers_all(server: RegistryServer, registry: Registry) -> None:
    """An image found without a credential is known in every scope; that it was not found says nothing."""
    server.push("public/app", "1", MULTI)
    reference = Reference.parse(f"{server.host}/public/app:1")
    await registry.platforms(reference, keychain("team-a", server))
    server.forget()
    assert texts(registry.known(reference, keychain("team-b", server, ALICE))) == ["linux/amd64", "linux/arm64"]
    assert texts(registry.known(reference, ANYBODY)) == ["linux/amd64", "linux/arm64"]
    assert server.requests() == []
    absent = Reference.parse(f"{server.host}/private/absent:1")
    await error_of(registry, absent)
    assert registry.known(absent, keychain("team-b", server, ALICE)) is None


async def test_access_that_ends(server: RegistryServer, tokens: TokenServer, registry: Registry, clock: Clock) -> None:
    """A scope that loses its access is told so once its answer is confirmed, twelve hours later for a digest."""
    pinned = Reference.parse(server.push("private/app", "1", MULTI))
    team = keychain("team", server, ALICE)
    await registry.platforms(pinned, team)
    tokens.readers["private/app"] = frozenset()
    try:
        clock.now += 12 * 3600
        assert isinstance(registry.known(pinned, team), ImagePlatforms)
        await until(lambda: registry.stats.in_flight == 0)
        known = registry.known(pinned, team)
        assert isinstance(known, ImageError)
        assert known.reason is Reason.ACCESS_DENIED
    finally:
        tokens.readers["private/app"] = frozenset({"alice"})


async def test_a_realm_that_is_not_trusted(
    server: RegistryServer, tokens: TokenServer, options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """Unless the configuration names the token service's host, no credential goes there."""
    server.push("private/app", "1", AMD64)
    registry = made(replace(options, token_realms={}))
    tokens.requests.clear()
    error = await error_of(registry, Reference.parse(f"{server.host}/private/app:1"), keychain("team", server, ALICE))
    assert (error.reason, error.transient) == (Reason.UNTRUSTED_REALM, False)
    assert tokens.requests == [""]


async def test_loopback_is_refused_unless_allowed(
    server: RegistryServer, options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """By default a registry on this machine is not contacted, by name or by address."""
    registry = made(replace(options, allow_loopback=False))
    for host in (server.host, f"localhost:{server.port}", f"[::ffff:7f00:1]:{server.port}"):
        error = await error_of(registry, Reference.parse(f"{host}/shapes/index:1"))
        assert (error.reason, error.transient) == (Reason.ADDRESS_REFUSED, False)
        assert "this machine itself" in str(error)
    assert server.requests() == []


async def test_an_unknown_authority(server: RegistryServer, made: Callable[[RegistryOptions], Registry]) -> None:
    """A certificate that nobody vouches for is told from a registry that is down, and plain HTTP is not tried."""
    error = await error_of(made(RegistryOptions(allow_loopback=True)), Reference.parse(f"{server.host}/shapes/index:1"))
    assert error.reason is Reason.REGISTRY_UNREACHABLE
    assert "certificate" in str(error)


@pytest.mark.parametrize("content", [b"no certificate", None], ids=["wrong", "missing"])
def test_a_ca_file_that_is_none(content: bytes | None, tmp_path: Path) -> None:
    """A file of authorities that can't be read ends the start with its name, rather than each look-up later."""
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"ca\.crt can't be read as certificates"):
        Registry(RegistryOptions(ca_file=file))


async def test_a_stopped_registry(made: Callable[[RegistryOptions], Registry], options: RegistryOptions) -> None:
    """Where nobody listens, the registry is out of reach, for now."""
    port = free_port()
    error = await error_of(made(options), Reference.parse(f"127.0.0.1:{port}/a/b:1"))
    assert (error.reason, error.transient) == (Reason.REGISTRY_UNREACHABLE, True)
    assert str(error) == f"127.0.0.1:{port} can't be connected to: check that the registry runs and is in reach"


async def test_a_name_without_address(registry: Registry) -> None:
    """A host that does not exist is out of reach, and the error speaks of names."""
    too_long_to_ask_for = "a" * 64 + ".invalid"  # a label has 63 characters at most, so no name server is bothered
    error = await error_of(registry, Reference.parse(f"{too_long_to_ask_for}/app:1"))
    assert error.reason is Reason.REGISTRY_UNREACHABLE
    assert "has no address" in str(error)


async def test_a_host_that_can_not_be(registry: Registry) -> None:
    """A reference may parse and name no host that there can be."""
    error = await error_of(registry, Reference.parse("registry.invalid:99999/app:1"))
    assert (error.reason, error.transient) == (Reason.INVALID_REFERENCE, False)


async def test_a_registry_that_hangs(
    server: RegistryServer, options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """A registry that does not answer ends the look-up in time, as TimedOut."""
    registry = made(replace(options, lookup_timeout=0.3))
    server.process.pause()
    try:
        started = time.monotonic()
        with Ticks() as ticks:
            error = await error_of(registry, Reference.parse(f"{server.host}/shapes/index:1"))
        assert time.monotonic() - started >= 0.3
        assert ticks.seconds < 5
    finally:
        server.process.resume()
    assert (error.reason, error.transient) == (Reason.TIMED_OUT, True)
    assert "within 0.3 s" in str(error)


async def test_stale_answers_while_a_registry_is_down(
    options: RegistryOptions, made: Callable[[RegistryOptions], Registry], clock: Clock, tmp_path: Path
) -> None:
    """While the registry fails the last answer holds for a day; the registry is tried again, but not at each use."""
    registry = made(options)
    with RegistryServer(folder=tmp_path) as server:
        server.push("stale/app", "1", MULTI)
        reference = Reference.parse(f"{server.host}/stale/app:1")
        await registry.platforms(reference, ANYBODY)
    clock.now += 3600
    for refreshes in (1, 1, 2):
        assert texts(registry.known(reference, ANYBODY)) == ["linux/amd64", "linux/arm64"]
        await until(lambda: registry.stats.in_flight == 0)
        assert registry.stats.refreshes == refreshes
        clock.now += 3.4
    assert registry.stats.lookups == {"Found": 1, "RegistryUnreachable": 2}
    clock.now += 23 * 3600
    assert registry.known(reference, ANYBODY) is None
    assert (await error_of(registry, reference)).reason is Reason.REGISTRY_UNREACHABLE


async def test_plain_http_on_loopback(registry: Registry) -> None:
    """A registry on this machine that speaks plain HTTP is understood, and remembered as such."""
    with RegistryServer() as server:
        server.push("plain/app", "1", MULTI)
        server.push("plain/app", "2", MULTI)
        server.forget()
        for host in (server.host, f"localhost:{server.port}"):
            for tag in ("1", "2"):
                found = await registry.platforms(Reference.parse(f"{host}/plain/app:{tag}"), ANYBODY)
                assert texts(found) == ["linux/amd64", "linux/arm64"]
        assert asked(server) == ["GET 200"] * 4


async def test_too_many_look_ups(
    server: RegistryServer, options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """Beyond the limit a look-up fails at once and is not remembered as failed; what is known does not queue."""
    server.push("limit/app", "1", MULTI)
    server.push("limit/app", "2", MULTI)
    known, first, second = (Reference.parse(f"{server.host}/limit/app:{tag}") for tag in ("1", "2", "3"))
    registry = made(replace(options, max_lookups=1))
    await registry.platforms(known, ANYBODY)
    server.process.pause()
    try:
        waiting = asyncio.create_task(registry.platforms(first, ANYBODY))
        await until(lambda: registry.stats.in_flight == 1)
        error = await error_of(registry, second)
        assert (error.reason, error.transient) == (Reason.LOOKUP_LIMIT, True)
        assert registry.known(second, ANYBODY) is None
        assert texts(await registry.platforms(known, ANYBODY)) == ["linux/amd64", "linux/arm64"]
        assert registry.stats.refused == 1
    finally:
        server.process.resume()
    await waiting
    assert (await error_of(registry, second)).reason is Reason.IMAGE_NOT_FOUND


async def test_a_hanging_registry_leaves_room_for_others(
    server: RegistryServer, options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """Look-ups that hang at one registry neither fill all places nor delay another registry's images."""
    registry = made(replace(options, max_lookups=8, max_lookups_per_registry=4))
    with RegistryServer() as healthy:
        healthy.push("healthy/app", "1", MULTI)
        server.process.pause()
        try:
            hanging = [Reference.parse(f"{server.host}/hang/app:{number}") for number in range(6)]
            waits = [asyncio.create_task(registry.platforms(each, ANYBODY)) for each in hanging]
            await until(lambda: registry.stats.refused == 2)
            found = await registry.platforms(Reference.parse(f"{healthy.host}/healthy/app:1"), ANYBODY)
            assert texts(found) == ["linux/amd64", "linux/arm64"]
            assert registry.stats.in_flight == 4
        finally:
            server.process.resume()
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
    reasons = sorted(str(each.reason) for each in outcomes if isinstance(each, ImageError))
    assert reasons == ["ImageNotFound"] * 4 + ["LookupLimit"] * 2


async def test_closing_ends_what_is_running(server: RegistryServer, options: RegistryOptions) -> None:
    """Who waits when the client is closed gets an error that says so, and nothing is left running."""
    registry = Registry(options)
    server.process.pause()
    try:
        waiting = asyncio.create_task(registry.platforms(Reference.parse(f"{server.host}/a/b:1"), ANYBODY))
        await until(lambda: registry.stats.in_flight == 1)
        await registry.aclose()
        with pytest.raises(ImageError) as caught:
            await waiting
        assert caught.value.reason is Reason.UNRESOLVED
    finally:
        server.process.resume()
    assert registry.stats.in_flight == 0


async def test_memory_is_bounded(
    server: RegistryServer, options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """Of more references than are remembered, the least recently used is forgotten."""
    registry = made(replace(options, max_references=2))
    for tag in ("1", "2", "3"):
        server.push("bounded/app", tag, MULTI)
    one, two, three = (Reference.parse(f"{server.host}/bounded/app:{tag}") for tag in ("1", "2", "3"))
    await registry.platforms(one, ANYBODY)
    await registry.platforms(two, ANYBODY)
    registry.known(one, ANYBODY)
    await registry.platforms(three, ANYBODY)
    assert registry.known(two, ANYBODY) is None
    assert texts(registry.known(one, ANYBODY)) == texts(registry.known(three, ANYBODY))


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in {"empty", "nested"}])
async def test_crane_agrees(
    name: str, server: RegistryServer, registry: Registry, authority: CertificateAuthority, tmp_path: Path
) -> None:
    """An independent client sees the same digest, and finds an image for exactly the platforms that are told."""
    image, _, _ = SHAPES[name]
    server.push(f"shapes/{name}", "1", image)
    reference = f"{server.host}/shapes/{name}:1"
    found = await registry.platforms(Reference.parse(reference), ANYBODY)
    environment = os.environ | {"SSL_CERT_FILE": str(authority.certificate), "DOCKER_CONFIG": str(tmp_path)}

    def crane(*arguments: str) -> str | None:
        command = [str(binary("crane")), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        return done.stdout.strip() if done.returncode == 0 else None

    assert crane("digest", reference) == found.digest
    candidates = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x", "linux/ppc64le", "windows/amd64")
    if found.indexed and name != "no-platform":  # crane takes an entry without platform for linux/amd64
        agreed = [each for each in candidates if crane("digest", "--platform", each, reference)]
        assert sorted(agreed) == texts(found)
    elif not found.indexed:
        configuration = crane("config", reference) or ""
        assert f'"architecture": "{found.platforms[0].architecture}"' in configuration
