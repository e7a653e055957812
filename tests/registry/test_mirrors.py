"""Mirrors, as containerd asks them: real registries as mirror and as origin, certificates, proxies."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from rightarch.errors import ImageError
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Credential, InMemoryKeychain, Registry, RegistryOptions, client
from rightarch.registry.configuration import Configuration
from rightarch.registry.endpoint import Endpoint, Way
from rightarch.registry.hosts import DEFAULT
from rightarch.registry.proxies import Proxies
from tests.controlplane import free_port
from tests.images import RegistryServer, attested
from tests.registry.faults import FaultServer, answer, fixed
from tests.registry.proxy import Proxy
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.controlplane import CertificateAuthority

    Make = Callable[[RegistryOptions], Registry]

OLD, NEW = attested("linux/amd64", salt="old"), attested("linux/arm64", salt="new")
NAME = "registry.example/app:1"
"""An image of a registry that does not exist: nobody may ask for its address."""


MIRROR_SECONDS = client.MIRROR_SECONDS


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that is well may take its time, on a busy machine."""
    monkeypatch.setattr(client, "MIRROR_SECONDS", 60.0)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A registry that has the old image."""
    with RegistryServer(folder=tmp_path_factory.mktemp("mirror")) as running:
        running.push("app", "1", OLD)
        yield running


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A registry that has the new image under the same tag, and more."""
    with RegistryServer(folder=tmp_path_factory.mktemp("upstream")) as running:
        running.push("app", "1", NEW)
        running.push("only/here", "1", NEW)
        yield running


async def outcome(registry: Registry, name: str) -> list[str] | Reason:
    """The platforms of an image, or the Reason for which they are not known."""
    try:
        found = await registry.platforms(Reference.parse(name), AnonymousKeychain())
    except ImageError as error:
        return error.reason
    return list(map(str, found.platforms))


def endpoints(*urls: str) -> list[Endpoint]:
    """Endpoints by plain HTTP."""
    return [Endpoint(httpx.URL(f"http://{url}/v2"), way=Way(plain=True)) for url in urls]


def folder(path: Path, content: str, name: str = "registry.example") -> Path:
    """Containerd's folder with one file."""
    (path / name).mkdir()
    (path / name / "hosts.toml").write_text(content)
    return path


async def test_a_mirror_answers_first(
    mirror: RegistryServer, upstream: RegistryServer, made: Make, options: RegistryOptions, tmp_path: Path
) -> None:
    """It is told whose image is asked for; for what it does not have, the next host is asked, and the server last."""
    hosts = f'server = "http://{upstream.host}"\n[host."http://{mirror.host}"]'
    registry = made(replace(options, hosts_folder=folder(tmp_path, hosts)))
    for each in (mirror, upstream):
        each.forget()
    assert await outcome(registry, NAME) == ["linux/amd64"]
    assert await outcome(registry, "registry.example/only/here:1") == ["linux/arm64"]
    assert await outcome(registry, "registry.example/nowhere:1") is Reason.IMAGE_NOT_FOUND
    assert [str(each) for each in mirror.requests()] == [
        "GET /v2/app/manifests/1?ns=registry.example 200",
        "GET /v2/only/here/manifests/1?ns=registry.example 404",
        "GET /v2/nowhere/manifests/1?ns=registry.example 404",
    ]
    assert len(upstream.requests()) == 2


async def test_only_hosts_that_resolve_tell_tags(
    mirror: RegistryServer, upstream: RegistryServer, made: Make, options: RegistryOptions, tmp_path: Path
) -> None:
    """A mirror for pulling is asked by digest alone: what a tag stands for, a host that may resolve says by a HEAD."""
    hosts = f'server = "http://{upstream.host}"\n[host."http://{mirror.host}"]\ncapabilities = ["pull"]'
    registry = made(replace(options, hosts_folder=folder(tmp_path, hosts)))
    for each in (mirror, upstream):
        each.forget()
    assert await outcome(registry, NAME) == ["linux/arm64"]
    assert [each.method for each in upstream.requests()] == ["HEAD", "GET"]
    (asked,) = mirror.requests()
    assert (asked.path, asked.status) == (f"/v2/app/manifests/{NEW.digest}?ns=registry.example", 404)
    upstream.forget()
    assert await outcome(registry, f"registry.example/app@{OLD.digest}") == ["linux/amd64"]
    assert upstream.requests() == []


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
async def test_a_mirror_that_refuses_is_passed_by(
    status: int, upstream: RegistryServer, made: Make, options: RegistryOptions
) -> None:
    """On any status above 399 the next host is asked."""
    async with FaultServer(None, fixed(answer(status))) as broken:
        configured = {"registry.example": endpoints(broken.host, upstream.host)}
        assert await outcome(made(replace(options, registries=configured)), NAME) == ["linux/arm64"]
        assert len(broken.asked) == 1


async def test_a_mirror_that_is_away_or_lies(upstream: RegistryServer, made: Make, options: RegistryOptions) -> None:
    """The next host is asked; and where that lacks the image, the mirror's absence is why, for it may come back."""
    configured = {DEFAULT: endpoints(f"127.0.0.1:{free_port()}", upstream.host)}
    registry = made(replace(options, registries=configured))
    assert await outcome(registry, NAME) == ["linux/arm64"]
    assert await outcome(registry, "registry.example/nowhere:1") is Reason.REGISTRY_UNREACHABLE
    async with FaultServer(None, fixed(answer(200, b"{}"))) as liar:
        configured = {DEFAULT: endpoints(liar.host, upstream.host)}
        registry = made(replace(options, registries=configured))
        assert await outcome(registry, f"registry.example/app@{NEW.digest}") == ["linux/arm64"]


async def test_a_mirror_that_hangs_costs_seconds_once(
    upstream: RegistryServer, made: Make, options: RegistryOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for only so long that the next host can still be asked; then its circuit is open."""
    monkeypatch.setattr(client, "MIRROR_SECONDS", MIRROR_SECONDS)

    async def hang(*_: object) -> None:
        await asyncio.sleep(600)

    async with FaultServer(None, hang) as hanging:
        configured = {DEFAULT: endpoints(hanging.host, upstream.host)}
        registry = made(replace(options, registries=configured))
        names = [f"registry.example/app:{tag}" for tag in ("1", "2", "3")]
        assert (await asyncio.gather(*(outcome(registry, name) for name in names)))[0] == ["linux/arm64"]
        asked = len(hanging.asked)
        with Ticks() as ticks:
            assert await outcome(registry, "registry.example/only/here:1") == ["linux/arm64"]
        assert ticks.seconds < MIRROR_SECONDS / 2
        assert len(hanging.asked) == asked <= 3


async def test_credentials_are_for_the_registry_that_they_name(made: Make, options: RegistryOptions) -> None:
    """A mirror sees those of its registry only where the configuration says so, and a redirect's target never."""
    asks = answer(401, www_authenticate="Basic realm=x")
    good = answer(200, NEW.root.body, content_type=NEW.root.media_type)
    keychain = InMemoryKeychain("team", {"registry.example": [Credential("alice", "word")]})
    for told in (False, True):
        async with FaultServer(None, fixed(asks, good)) as one, FaultServer(None, fixed(good)) as last:
            first = replace(endpoints(one.host)[0], credentials=told, headers=(("x-team", "blue"),))
            configured = {"registry.example": [first, *endpoints(last.host)]}
            registry = made(replace(options, registries=configured))
            await registry.platforms(Reference.parse(NAME), keychain)
            assert [each.headers.get("authorization", "") != "" for each in one.asked] == [False, True][: 1 + told]
            assert {each.headers["x-team"] for each in one.asked} == {"blue"}
            assert not any({"x-team", "authorization"} & set(each.headers) for each in last.asked)
    async with FaultServer(None, fixed(good)) as storage:
        redirect = answer(307, location=f"http://{storage.host}/x")
        async with FaultServer(None, fixed(asks, redirect)) as one:
            first = replace(endpoints(one.host)[0], credentials=True, headers=(("x-team", "blue"),))
            registry = made(replace(options, registries={DEFAULT: [first]}))
            await registry.platforms(Reference.parse(NAME), keychain)
            assert not {"x-team", "authorization"} & set(storage.asked[0].headers)


async def test_certificates_are_a_hosts_own(authority: CertificateAuthority, made: Make, tmp_path: Path) -> None:
    """A host's authority is trusted for that host; its certificate need not be checked where that is said."""
    with RegistryServer(authority=authority, folder=tmp_path / "content") as secure:
        secure.push("app", "1", NEW)
        name = f"{secure.host}/app:1"
        file = tmp_path / "registries.yaml"
        for said, found in {
            "skipVerify: false": Reason.REGISTRY_UNREACHABLE,
            "skipVerify: true": ["linux/arm64"],
            f"caFile: {authority.certificate}": ["linux/arm64"],
        }.items():
            file.write_text(f"registries: [{{host: '{secure.host}', {said}}}]")
            configured = Configuration.load(file).endpoints()
            registry = made(RegistryOptions(allow_loopback=True, registries=configured))
            assert await outcome(registry, name) == found


async def test_a_client_certificate_is_shown(authority: CertificateAuthority, made: Make) -> None:
    """To a host that asks for one; without it there is no connection."""
    certificate, key = authority.issue("client")
    good = answer(200, NEW.root.body, content_type=NEW.root.media_type)
    async with FaultServer(authority, fixed(good), wants=authority.certificate) as server:
        for client, found in {(): False, ((certificate, key),): True}.items():
            way = Way((authority.certificate,), client)
            configured = {DEFAULT: [Endpoint(httpx.URL(f"https://{server.host}/v2"), way=way)]}
            registry = made(RegistryOptions(allow_loopback=True, registries=configured))
            assert (await outcome(registry, NAME) == ["linux/arm64"]) is found


async def test_through_a_proxy(upstream: RegistryServer, made: Make, options: RegistryOptions) -> None:
    """TLS by CONNECT, plain HTTP in absolute form, exceptions directly; refused addresses are not asked for there."""
    configured = {"plain.example": endpoints("plain.example")}
    async with Proxy(upstream.port) as proxy:
        proxies = Proxies(proxy.url, proxy.url, ("127.0.0.0/8",))
        registry = made(replace(options, registries=configured, proxies=proxies))
        assert await outcome(registry, "plain.example/app:1") == ["linux/arm64"]
        assert await outcome(registry, f"{upstream.host}/app:1") == ["linux/arm64"]
        assert proxy.asked == ["GET http://plain.example/v2/app/manifests/1"]
        proxy.asked.clear()
        for host in ("169.254.169.254", "[fd00:ec2::254]:443", "2852039166:80", "0xa9fea9fe:80", "metadata.goog"):
            assert await outcome(registry, f"{host}/app:1") is Reason.ADDRESS_REFUSED, host
        assert proxy.asked == []


async def test_tls_through_a_proxy(server: RegistryServer, made: Make, options: RegistryOptions) -> None:
    """The proxy sees a name and a port; the certificate is still that of the registry, or there is no answer."""
    server.push("proxied/app", "1", NEW)
    async with Proxy(server.port) as proxy:
        registry = made(replace(options, proxies=Proxies(https=proxy.url)))
        assert await outcome(registry, "registry.example/proxied/app:1") is Reason.REGISTRY_UNREACHABLE
        assert proxy.asked == ["CONNECT registry.example:443"]
        way = Way(skip_verify=True)
        configured = {"registry.example": [Endpoint(httpx.URL("https://registry.example/v2"), way=way)]}
        realms = {"registry.example": frozenset({"localhost"})}
        more = replace(options, proxies=Proxies(https=proxy.url), registries=configured, token_realms=realms)
        assert await outcome(made(more), "registry.example/proxied/app:1") == ["linux/arm64"]
