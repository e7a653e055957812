"""Registries that fail, lie, hang or attack: each has its Reason, within its time, and leaks nothing."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rightarch.errors import ImageError
from rightarch.manifest import ACCEPT
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Chain, Credential, InMemoryKeychain, Registry, RegistryOptions
from rightarch.registry.circuit import LONGEST_PAUSE
from tests.images import Entry, RegistryServer, attested, index, single
from tests.registry.faults import Asked, FaultServer, answer, fixed
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.controlplane import CertificateAuthority
    from tests.registry.conftest import Clock

ANYBODY = AnonymousKeychain()
MULTI = attested("linux/amd64", "linux/arm64", salt="faults")
SINGLE = single("linux/arm64", "faults")
BODY, KIND, DIGEST = MULTI.root.body, MULTI.root.media_type, MULTI.digest
OTHER = "sha256:" + "0" * 64
SECRET = "a secret of the body"  # noqa: S105 - what no error may repeat


async def outcome(registry: Registry, server: FaultServer, name: str = "app:1") -> ImagePlatforms | ImageError:
    """What a look-up at a server ends with."""
    try:
        return await registry.platforms(Reference.parse(f"{server.host}/{name}"), ANYBODY)
    except ImageError as error:
        return error


async def error_of(registry: Registry, server: FaultServer, name: str = "app:1") -> ImageError:
    """The error that a look-up at a server ends with; it repeats neither what the server wrote nor the image's name."""
    error = await outcome(registry, server, name)
    assert isinstance(error, ImageError)
    assert SECRET not in str(error)
    assert name not in str(error), "who shows the error names the image"
    return error


def texts(found: ImagePlatforms | ImageError) -> list[str]:
    """The platforms of an image that was found, as text."""
    assert isinstance(found, ImagePlatforms), found
    return [str(platform) for platform in found.platforms]


STATUSES = {
    "400": (answer(400, SECRET.encode()), Reason.REGISTRY_FAILED, "status 400"),
    "401 without a challenge": (answer(401, SECRET.encode()), Reason.ACCESS_DENIED, "gives no access"),
    "403": (answer(403, SECRET.encode()), Reason.ACCESS_DENIED, "gives no access"),
    "404": (answer(404, SECRET.encode()), Reason.IMAGE_NOT_FOUND, "does not have"),
    "429": (answer(429, SECRET.encode()), Reason.RATE_LIMITED, "rate limit"),
    "500": (answer(500, SECRET.encode()), Reason.REGISTRY_FAILED, "status 500"),
    "503": (answer(503, SECRET.encode()), Reason.REGISTRY_FAILED, "status 503"),
    "204": (answer(204), Reason.REGISTRY_FAILED, "status 204"),
    "304": (answer(304), Reason.REGISTRY_FAILED, "status 304"),
    "302 to nowhere": (answer(302), Reason.REGISTRY_FAILED, "status 302"),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n", Reason.REGISTRY_FAILED, "broke off"),
    "nothing": (b"", Reason.REGISTRY_FAILED, "broke off"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-", Reason.REGISTRY_FAILED, "broke off"),
    "half a body": (answer(200, BODY[:100], content_length="999"), Reason.REGISTRY_FAILED, "broke off"),
    "HTML": (answer(200, f"<html>{SECRET}".encode(), content_type="text/html"), Reason.MALFORMED_IMAGE, "not JSON"),
    "nothing in it": (answer(200, b"", content_type=KIND), Reason.MALFORMED_IMAGE, "not JSON"),
    "gzip": (
        answer(200, gzip.compress(BODY), content_type=KIND, content_encoding="gzip"),
        Reason.REGISTRY_FAILED,
        "compressed",
    ),
    "another digest": (
        answer(200, BODY, content_type=KIND, docker_content_digest=OTHER),
        Reason.REGISTRY_FAILED,
        "does not have its digest",
    ),
    "no URL": (answer(307, location="https://[x/"), Reason.REGISTRY_FAILED, "no URL"),
    "in circles": (answer(307, location="/v2/"), Reason.REGISTRY_FAILED, "more than 5 times"),
    "to an unspecified address": (
        answer(307, location="https://0.0.0.0:9/x"),
        Reason.ADDRESS_REFUSED,
        "0.0.0.0:9 is an unspecified address",
    ),
    "a realm that is not https": (
        answer(401, www_authenticate='Bearer realm="http://0.0.0.0:9/token"'),
        Reason.UNTRUSTED_REALM,
        "not reached by https",
    ),
    "a realm at a refused address": (
        answer(401, www_authenticate='Bearer realm="https://0.0.0.0:9/token"'),
        Reason.ADDRESS_REFUSED,
        "0.0.0.0:9",
    ),
}


@pytest.mark.parametrize(("sent", "reason", "words"), STATUSES.values(), ids=STATUSES)
async def test_answers_that_fail(
    sent: bytes, reason: Reason, words: str, authority: CertificateAuthority, registry: Registry
) -> None:
    """Each answer that is no manifest has its own Reason and a text that says what happened."""
    async with FaultServer(authority, fixed(sent)) as server:
        error = await error_of(registry, server)
    assert (error.reason, words in str(error)) == (reason, True), str(error)


async def test_plain_http_stays_on_this_machine(authority: CertificateAuthority, registry: Registry) -> None:
    """A redirect to plain HTTP anywhere but loopback is refused, even to another address of this machine."""
    own = own_address()
    if own.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    async with FaultServer(authority, fixed(answer(307, location=f"http://{own}:9/x"))) as server:
        error = await error_of(registry, server)
    assert error.reason is Reason.ADDRESS_REFUSED
    assert f"{own}:9 is not this machine's loopback, and plain HTTP is for that alone" in str(error)


def own_address() -> str:
    """The address from which this machine would send; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.mark.parametrize(("sent", "seconds"), [("7", 7.0), ("99999999999999999999", 3600.0), ("-1", None), ("x", None)])
async def test_retry_after(
    sent: str, seconds: float | None, authority: CertificateAuthority, registry: Registry, clock: Clock
) -> None:
    """The wait that a registry asks for is told, and kept; an hour is the most."""
    async with FaultServer(authority, fixed(answer(429, retry_after=sent))) as server:
        error = await error_of(registry, server)
        assert (error.reason, error.retry_after) == (Reason.RATE_LIMITED, seconds)
        clock.now += (seconds or 3.75) - 0.1
        await error_of(registry, server)
        assert len(server.asked) == 1
        clock.now += 2.7
        await error_of(registry, server)
        assert len(server.asked) == 2


async def test_retry_after_a_date(authority: CertificateAuthority, registry: Registry) -> None:
    """The wait may be given as a date; one that is past asks for none."""
    far, past = "Fri, 31 Dec 2999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT"
    async with FaultServer(authority, fixed(answer(503, retry_after=far))) as server:
        assert (await error_of(registry, server)).retry_after == 3600.0
    async with FaultServer(authority, fixed(answer(503, retry_after=past))) as server:
        assert (await error_of(registry, server)).retry_after is None


async def test_every_request_accepts_all_four_types(
    authority: CertificateAuthority, registry: Registry, clock: Clock
) -> None:
    """GET and HEAD alike accept indexes and manifests of both kinds, and nothing that is compressed."""
    good = answer(200, BODY, content_type=KIND, docker_content_digest=DIGEST)
    head = answer(200, content_type=KIND, docker_content_digest=DIGEST, content_length=str(len(BODY)))
    async with FaultServer(authority, fixed(good, head)) as server:
        await outcome(registry, server)
        clock.now += 600
        await outcome(registry, server)
        await until_idle(registry)
    assert [each.method for each in server.asked] == ["GET", "HEAD"]
    assert {each.headers["accept"] for each in server.asked} == {ACCEPT}
    assert ACCEPT.count("application/vnd.") == 4
    assert {each.headers["accept-encoding"] for each in server.asked} == {"identity"}


async def until_idle(registry: Registry) -> None:
    """Return when no look-up is running."""
    async with asyncio.timeout(60):
        while registry.stats.in_flight:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("head", [answer(200), answer(405), answer(501), answer(200, docker_content_digest="sha256:x")])
async def test_a_head_that_tells_nothing(
    head: bytes, authority: CertificateAuthority, registry: Registry, clock: Clock
) -> None:
    """Where HEAD does not give a digest, the content is read again by GET, and its digest is that of its bytes."""
    async with FaultServer(authority, fixed(answer(200, BODY, content_type=KIND), head, answer(200, BODY))) as server:
        assert texts(await outcome(registry, server)) == ["linux/amd64", "linux/arm64"]
        clock.now += 600
        await outcome(registry, server)
        await until_idle(registry)
        assert [each.method for each in server.asked] == ["GET", "HEAD", "GET"]
        found = await outcome(registry, server)
    assert isinstance(found, ImagePlatforms)
    assert found.digest == DIGEST


async def test_content_type_with_parameters(authority: CertificateAuthority, registry: Registry) -> None:
    """A Content-Type is compared without its parameters."""
    body = b'{"schemaVersion": 2, "manifests": []}'
    async with FaultServer(
        authority, fixed(answer(200, body, content_type=f"{KIND.upper()}; charset=utf-8"))
    ) as server:
        assert texts(await outcome(registry, server)) == []


async def test_content_of_another_digest(authority: CertificateAuthority, registry: Registry) -> None:
    """Content that was asked for by digest must have it, whatever the registry says of it."""
    other = index(Entry(SINGLE, "linux/amd64"))
    sent = answer(200, other.root.body, content_type=KIND, docker_content_digest=other.digest)
    async with FaultServer(authority, fixed(sent)) as server:
        error = await error_of(registry, server, f"app@{DIGEST}")
    assert (error.reason, error.transient) == (Reason.REGISTRY_FAILED, True)
    assert DIGEST in str(error)


async def test_a_sha512_reference(authority: CertificateAuthority, registry: Registry) -> None:
    """A reference may name its content by SHA-512 though the registry states SHA-256; both are verified."""
    digest = "sha512:" + hashlib.sha512(BODY).hexdigest()
    sent = answer(200, BODY, content_type=KIND, docker_content_digest=DIGEST)
    async with FaultServer(authority, fixed(sent)) as server:
        found = await outcome(registry, server, f"app@{digest}")
    assert isinstance(found, ImagePlatforms)
    assert found.digest == digest


async def test_a_configuration_of_another_digest(authority: CertificateAuthority, registry: Registry) -> None:
    """A configuration that was replaced is noticed: an image must not be sent to nodes that it can't run on."""
    lie = single("linux/amd64", "faults").blobs[0].body
    first = answer(200, SINGLE.root.body, content_type=SINGLE.root.media_type)
    async with FaultServer(authority, fixed(first, answer(200, lie))) as server:
        assert (await error_of(registry, server)).reason is Reason.REGISTRY_FAILED


async def test_a_configuration_that_is_missing(authority: CertificateAuthority, registry: Registry) -> None:
    """An image of which a part is missing can't be pulled either."""
    first = answer(200, SINGLE.root.body, content_type=SINGLE.root.media_type)
    async with FaultServer(authority, fixed(first, answer(404))) as server:
        assert (await error_of(registry, server)).reason is Reason.IMAGE_NOT_FOUND


async def test_blobs_elsewhere_get_no_credential(
    authority: CertificateAuthority, made: Callable[[RegistryOptions], Registry], options: RegistryOptions
) -> None:
    """A blob that redirects to another host is fetched there without authorization, cookies or trace of the user."""
    async with FaultServer(authority, fixed(answer(200, SINGLE.blobs[0].body))) as storage:
        manifest = answer(200, SINGLE.root.body, content_type=SINGLE.root.media_type, set_cookie="id=1")
        redirect = answer(307, location=f"https://{storage.host}/bucket/x?signature=a%2Fb")
        challenge = answer(401, www_authenticate="Basic realm=x")
        async with FaultServer(authority, fixed(challenge, manifest, redirect)) as server:
            asker = InMemoryKeychain("team", {server.host: [Credential("alice", "password")]})
            reference = Reference.parse(f"{server.host}/app:1")
            found = await made(options).platforms(reference, asker)
            assert texts(found) == ["linux/arm64"]
            assert [("authorization" in each.headers) for each in server.asked] == [False, True, True]
            assert "cookie" not in server.asked[2].headers
            (fetched,) = storage.asked
            assert not {"authorization", "cookie", "referer"} & set(fetched.headers)


@pytest.mark.parametrize("stated", [True, False], ids=["stated", "chunked"])
async def test_a_gigabyte_is_not_read(stated: bool, authority: CertificateAuthority, registry: Registry) -> None:
    """A document larger than 4 MiB is refused before it is read, however it announces itself."""
    sent = 0

    async def flood(_: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        size = 1 << 30
        lengths = f"Content-Length: {size}" if stated else "Transfer-Encoding: chunked"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {KIND}\r\n{lengths}\r\n\r\n".encode())
        piece = b" " * (1 << 16)
        while sent < size:
            writer.write(piece if stated else b"10000\r\n" + piece + b"\r\n")
            await writer.drain()
            sent += len(piece)

    async with FaultServer(authority, flood) as server:
        error = await error_of(registry, server)
        await asyncio.sleep(0.05)
    assert (error.reason, error.transient) == (Reason.MALFORMED_IMAGE, False)
    assert "4194304 bytes" in str(error)
    assert sent < 64 << 20  # what fits into the buffers between the two


async def test_four_megabytes_are_read(authority: CertificateAuthority, registry: Registry) -> None:
    """A document of just the bound is no fault."""
    body = BODY + b" " * (4 * 1024 * 1024 - len(BODY))
    async with FaultServer(authority, fixed(answer(200, body, content_type=KIND))) as server:
        assert texts(await outcome(registry, server)) == ["linux/amd64", "linux/arm64"]
    async with FaultServer(authority, fixed(answer(200, body + b" ", content_type=KIND))) as server:
        assert (await error_of(registry, server)).reason is Reason.MALFORMED_IMAGE


async def test_a_token_that_is_too_large(authority: CertificateAuthority, registry: Registry) -> None:
    """A token service's answer is bounded too."""
    async with FaultServer(authority, fixed(answer(200, b'{"token": "' + b"x" * 65536 + b'"}'))) as tokens:
        realm = answer(401, www_authenticate=f'Bearer realm="https://{tokens.host}/token"')
        async with FaultServer(authority, fixed(realm)) as server:
            error = await error_of(registry, server)
    assert error.reason is Reason.REGISTRY_FAILED
    assert tokens.host in str(error)


async def test_one_byte_at_a_time(
    authority: CertificateAuthority, options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """A server that never stops to send, slowly, is given up when the time for a look-up is over."""

    async def drip(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"", content_type=KIND, content_length="1000000"))
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with FaultServer(authority, drip) as server:
        started = time.monotonic()
        with Ticks() as ticks:
            error = await error_of(made(replace(options, lookup_timeout=0.4)), server)
        assert time.monotonic() - started >= 0.4
        assert ticks.seconds < 4
    assert (error.reason, error.transient) == (Reason.TIMED_OUT, True)


async def test_a_name_that_changes_its_address(
    authority: CertificateAuthority, options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """The address that is connected to is the one that is checked: a name for this machine is refused like it."""
    async with FaultServer(authority, fixed(answer(200, BODY))) as server:
        for host in (f"localhost:{server.port}", server.host, f"[::ffff:7f00:1]:{server.port}"):
            registry = made(replace(options, allow_loopback=False))
            with pytest.raises(ImageError) as caught:
                await registry.platforms(Reference.parse(f"{host}/app:1"), ANYBODY)
            assert caught.value.reason is Reason.ADDRESS_REFUSED
        forbidden = replace(options, forbidden_endpoints=frozenset({("127.0.0.1", server.port)}))
        error = await error_of(made(forbidden), server)
        assert error.reason is Reason.ADDRESS_REFUSED
        assert "the API server" in str(error)
        assert server.asked == []


async def test_a_server_that_hangs_up_on_tls(registry: Registry) -> None:
    """A server on this machine that speaks plain HTTP and hangs up on a TLS greeting is asked by plain HTTP."""
    async with FaultServer(None, fixed(answer(200, BODY, content_type=KIND))) as server:
        assert texts(await outcome(registry, server)) == ["linux/amd64", "linux/arm64"]


async def test_a_namespace_with_hundreds_of_hanging_hosts_harms_itself(
    options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """It gets no more places than it leaves: another namespace's images, on a registry that is well, take no longer."""
    registry, calm = made(options), made(options)
    with RegistryServer() as healthy, socket.create_server(("127.0.0.1", 0), backlog=1024) as silent:
        ours, theirs = Chain((), asker="ours"), Chain((), asker="theirs")
        names = [healthy.push(f"fair/app{number}", "1", single("linux/arm64", f"fair{number}")) for number in range(20)]
        hosts = [f"n{number}.localhost:{silent.getsockname()[1]}" for number in range(600)]
        waits = [asyncio.create_task(registry.platforms(Reference.parse(f"{host}/app:1"), theirs)) for host in hosts]
        await begun()
        assert registry.stats.in_flight == options.max_lookups // 2
        assert registry.stats.refused == 600 - options.max_lookups // 2
        references = [Reference.parse(name) for name in names]
        took = [(await timed(calm, each, ours), await timed(registry, each, ours)) for each in references]  # in turns
        assert registry.stats.in_flight == options.max_lookups // 2, "they were to hang meanwhile"
        usual, beside = (sorted(each)[len(names) // 4] for each in zip(*took, strict=True))
        assert beside < 2 * usual + 0.02
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def begun() -> None:
    """Wait until all that was begun only waits itself: until nothing is worked on, however busy the machine is."""
    spent = -1.0
    async with asyncio.timeout(60):
        while time.process_time() - spent > 0.002:
            spent = time.process_time()
            await asyncio.sleep(0.2)


async def timed(registry: Registry, reference: Reference, keys: Chain) -> float:
    """The seconds that a look-up takes, which finds its image."""
    begun = time.perf_counter()
    assert texts(await registry.platforms(reference, keys)) == ["linux/arm64"]
    return time.perf_counter() - begun


async def test_failures_leave_nothing_behind(
    authority: CertificateAuthority,
    options: RegistryOptions,
    made: Callable[[RegistryOptions], Registry],
    clock: Clock,
) -> None:
    """After many look-ups that are cut off, the registry's images are found as before: no place is lost."""
    registry = made(replace(options, lookup_timeout=1.0, max_connections_per_registry=4, max_lookups_per_registry=64))
    healthy = asyncio.Event()

    async def hang(_: Asked, writer: asyncio.StreamWriter) -> None:
        if not healthy.is_set():
            await asyncio.sleep(600)
        writer.write(answer(200, BODY, content_type=KIND))

    async with FaultServer(authority, hang) as server:
        errors = await asyncio.gather(*(error_of(registry, server, f"app:{number}") for number in range(40)))
        assert {error.reason for error in errors} == {Reason.TIMED_OUT}
        assert registry.stats.in_flight == 0
        healthy.set()
        found: list[ImagePlatforms | ImageError] = []
        for _ in range(10):  # a busy machine may need more than the second that a look-up has here
            clock.now += LONGEST_PAUSE
            await outcome(registry, server, "probe:1")
            found = await asyncio.gather(*(outcome(registry, server, f"other:{number}") for number in range(4)))
            if all(isinstance(each, ImagePlatforms) for each in found):
                break
    assert [texts(each) for each in found] == [["linux/amd64", "linux/arm64"]] * 4
