"""Every identity gets a credential from services that check what they are sent; what fails, fails quietly and apart."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import aiohttp
import pytest
import pytest_asyncio

from rightarch.errors import UnresolvedImage
from rightarch.reference import Reference
from rightarch.registry.cloud import exchange
from rightarch.registry.cloud.azure import Azure
from rightarch.registry.cloud.client import CredentialClient
from rightarch.registry.cloud.ecr import Ecr
from rightarch.registry.cloud.google import Google
from rightarch.registry.cloud.keychain import CloudKeychain
from rightarch.registry.keychain import CLUSTER, Credential
from rightarch.registry.proxies import Proxies
from tests.controlplane import free_port
from tests.registry.clouds import ACR_USER, CLIENT, ENTRA, PODS, ROLE, STS, TENANT, Clouds
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.controlplane import CertificateAuthority

PRIVATE = Reference.parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1")
PUBLIC = Reference.parse("public.ecr.aws/docker/library/alpine:3")
GOOGLE = Reference.parse("europe-docker.pkg.dev/project/repository/app:1")
ELSEWHERE = Reference.parse("registry.example/app:1")
LOCAL = re.compile(r"127\.0\.0\.1:[0-9]+")

Make: TypeAlias = "Callable[..., CloudKeychain]"


@pytest.fixture
def clouds(authority: CertificateAuthority) -> Iterator[Clouds]:
    """The services."""
    with Clouds(authority) as running:
        yield running


@pytest_asyncio.fixture
async def made(clouds: Clouds, authority: CertificateAuthority) -> AsyncIterator[Make]:
    """Makes keychains of all clouds; Azure's registries are on 127.0.0.1, since they are asked themselves."""
    keychains: list[CloudKeychain] = []

    def make(identity: dict[str, str], seconds: float = 60.0) -> CloudKeychain:
        environment = clouds.environment() | identity
        client = CredentialClient(Path(authority.certificate), Proxies.of(environment), seconds)
        providers = Ecr(client, environment), Google(client, environment), Azure(client, environment, LOCAL)
        keychains.append(CloudKeychain(client, *providers))
        return keychains[-1]

    yield make
    for keychain in keychains:
        await keychain.aclose()


def issued(clouds: Clouds, tmp_path: Path, audience: str, seconds: int = 600) -> str:
    """The path of a ServiceAccount token for an audience."""
    path = tmp_path / f"{len(audience)}-{seconds}"
    path.write_text(clouds.issuer.token(audience, seconds))
    return str(path)


def role(clouds: Clouds, tmp_path: Path, seconds: int = 600) -> dict[str, str]:
    """What EKS's webhook adds to pods whose ServiceAccount has a role."""
    return {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": issued(clouds, tmp_path, STS, seconds)}


def agent(clouds: Clouds, tmp_path: Path) -> dict[str, str]:
    """What EKS adds to pods whose ServiceAccount has a Pod Identity association."""
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{clouds.metadata}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": issued(clouds, tmp_path, PODS),
    }


def federated(clouds: Clouds, tmp_path: Path, seconds: int = 600) -> dict[str, str]:
    """What Azure's webhook adds to pods that use workload identity."""
    file = issued(clouds, tmp_path, ENTRA, seconds)
    return {"AZURE_CLIENT_ID": CLIENT, "AZURE_TENANT_ID": TENANT, "AZURE_FEDERATED_TOKEN_FILE": file}


ROLES = "GET /latest/meta-data/iam/security-credentials/"


@pytest.mark.parametrize(
    ("identity", "asked"),
    [
        (role, ["POST /"]),
        (agent, ["GET /v1/credentials"]),
        (lambda *_: {}, ["PUT /latest/api/token", ROLES, f"{ROLES}nodes"]),
        (lambda clouds, _: clouds.static(), []),
        (lambda clouds, _: clouds.static(session="session"), []),
    ],
    ids=["IRSA", "Pod Identity", "IMDSv2", "static keys", "static keys of a session"],
)
async def test_each_identity_of_aws_opens_the_private_registry(
    clouds: Clouds, made: Make, tmp_path: Path, identity: Callable[..., dict[str, str]], asked: list[str]
) -> None:
    """ECR verifies the signature; all images of the region's registries then share the password for half a day."""
    keychain = made(identity(clouds, tmp_path))
    found = await keychain.credentials(PRIVATE)
    assert found == (Credential("AWS", clouds.passwords["AWS"]),)
    assert clouds.asked == [*asked, "POST /"]
    other = Reference.parse("210987654321.dkr.ecr.eu-west-1.amazonaws.com/other@sha256:" + "0" * 64)
    assert await keychain.credentials(other) == found
    assert len(clouds.asked) == len(asked) + 1
    assert keychain.scope == CLUSTER


async def test_one_identity_serves_the_public_registry_too(clouds: Clouds, made: Make, tmp_path: Path) -> None:
    """Its service is in us-east-1, wherever the cluster is; the keys are not asked for again."""
    keychain = made(role(clouds, tmp_path))
    await keychain.credentials(PRIVATE)
    private = clouds.passwords["AWS"]
    assert await keychain.credentials(PUBLIC) == (Credential("AWS", clouds.passwords["AWS"]),)
    assert clouds.passwords["AWS"] != private
    assert clouds.asked == ["POST /", "POST /", "POST /"]


async def test_google_s_metadata_service_gives_the_token(clouds: Clouds, made: Make) -> None:
    """One for all of Google's registries."""
    keychain = made({})
    found = await keychain.credentials(GOOGLE)
    expected = (Credential("oauth2accesstoken", clouds.passwords["oauth2accesstoken"]),)
    assert found == await keychain.credentials(Reference.parse("gcr.io/project/app:1")) == expected
    assert clouds.asked == ["GET /computeMetadata/v1/instance/service-accounts/default/token"]


@pytest.mark.parametrize(
    ("identity", "asked"),
    [
        (federated, f"POST /{TENANT}/oauth2/v2.0/token"),
        (lambda *_: {"AZURE_CLIENT_ID": CLIENT}, "GET /metadata/identity/oauth2/token"),
        (lambda *_: {}, "GET /metadata/identity/oauth2/token"),
    ],
    ids=["workload identity", "an identity of the machine", "the identity of the machine"],
)
async def test_each_identity_of_azure_opens_a_registry(
    clouds: Clouds, made: Make, tmp_path: Path, identity: Callable[..., dict[str, str]], asked: str
) -> None:
    """The registry itself exchanges the access token for a refresh token."""
    keychain = made(identity(clouds, tmp_path))
    reference = Reference.parse(f"{clouds.host}/app:1")
    assert await keychain.credentials(reference) == (Credential(ACR_USER, clouds.passwords[ACR_USER]),)
    assert [line.partition("?")[0] for line in clouds.asked] == [asked, "POST /oauth2/exchange"]


async def test_nothing_is_asked_for_images_of_no_cloud(clouds: Clouds, made: Make) -> None:
    """Nor at the start."""
    keychain = made({})
    assert await keychain.credentials(ELSEWHERE) == ()
    assert clouds.asked == []


async def test_a_cloud_that_is_off_is_not_asked(clouds: Clouds, authority: CertificateAuthority) -> None:
    """The switch."""
    keychain = CloudKeychain.of({"acr"}, Path(authority.certificate), clouds.environment())
    assert [await keychain.credentials(each) for each in (PRIVATE, PUBLIC, GOOGLE)] == [(), (), ()]
    assert clouds.asked == []
    await keychain.aclose()


async def test_a_hundred_images_at_once_cost_one_exchange(clouds: Clouds, made: Make, tmp_path: Path) -> None:
    """However many pods come."""
    keychain = made(role(clouds, tmp_path))
    found = await asyncio.gather(*(keychain.credentials(PRIVATE) for _ in range(100)))
    assert set(found) == {(Credential("AWS", clouds.passwords["AWS"]),)}
    assert clouds.asked == ["POST /", "POST /"]


def spoil(path: Path, what: str, clouds: Clouds) -> str:
    """Make a token one that is not trusted; return what it was."""
    content = path.read_text()
    changed = {"forged": content[:-4] + "AAAA", "for another audience": clouds.issuer.token(PODS)}
    path.write_text(changed.get(what, content))
    if what == "missing":
        path.unlink()
    return content


@pytest.mark.parametrize("what", ["expired", "forged", "for another audience", "missing"])
async def test_service_account_tokens_that_are_not_trusted_give_nothing(
    clouds: Clouds, made: Make, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The look-up goes on without a credential; the log says why, and not what."""
    caplog.set_level(logging.DEBUG, "rightarch")
    identity = role(clouds, tmp_path, -5 if what == "expired" else 600)
    content = spoil(Path(identity["AWS_WEB_IDENTITY_TOKEN_FILE"]), what, clouds)
    assert await made(identity).credentials(PRIVATE) == ()
    assert ("can't be read" if what == "missing" else "(InvalidIdentityToken)") in caplog.text
    assert content[:20] not in caplog.text


@pytest.mark.parametrize(
    "changed", [{"AWS_SECRET_ACCESS_KEY": "wrong"}, {"AWS_ACCESS_KEY_ID": "AKIA0"}, {"AWS_SESSION_TOKEN": "unknown"}]
)
async def test_ecr_refuses_wrong_keys(clouds: Clouds, made: Make, changed: dict[str, str]) -> None:
    """The server is one that checks: this is what it says to a signature that is not right."""
    keychain = made(clouds.static(session="session") | changed)
    assert await keychain.credentials(PRIVATE) == ()
    assert clouds.passwords == {}


FAULTS = {
    "403": ((403, b'{"__type":"AccessDeniedException","message":"not you"}'), False),
    "404": ((404, b""), False),
    "a redirect": ((302, b""), False),
    "no JSON": ((200, b"<html>"), False),
    "nothing": ((200, b""), False),
    "another object": ((200, b'{"authorizationData":[{}]}'), False),
    "nesting": ((200, b"[" * 60_000), False),
    "too much": ((200, b'{"a":"' + b"a" * 100_000 + b'"}'), False),
    "429": ((429, b""), True),
    "500": ((500, b"broken"), True),
}


@pytest.mark.parametrize(("fault", "transient"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("where", ["GetAuthorizationToken", "POST /oauth2/exchange", "GET /computeMetadata/"])
async def test_faults_of_services_leave_the_credential_out(
    clouds: Clouds, made: Make, where: str, fault: tuple[int, bytes], *, transient: bool
) -> None:
    """What is refused is left out; what is refused for now says so. It is not asked for again for seconds."""
    clouds.faults[where] = fault
    keychain = made(clouds.static())
    azure = Reference.parse(f"{clouds.host}/app:1")
    image = {"GetAuthorizationToken": PRIVATE, "POST /oauth2/exchange": azure}.get(where, GOOGLE)
    for _ in range(2):
        if transient:
            with pytest.raises(UnresolvedImage, match="gives no credential for it at this time"):
                await keychain.credentials(image)
        else:
            assert await keychain.credentials(image) == ()
    assert len(clouds.asked) == (2 if image is azure else 1)


async def test_a_redirect_is_not_followed(clouds: Clouds, made: Make) -> None:
    """Whoever could answer for a service must not learn a token, nor choose whom to ask."""
    clouds.faults["GET /computeMetadata/"] = (302, b"")
    assert await made({}).credentials(GOOGLE) == ()
    assert len(clouds.asked) == 1


async def test_a_service_that_hangs_costs_its_time_once(clouds: Clouds, made: Make, tmp_path: Path) -> None:
    """An exchange has a bound, and the failure is remembered."""
    clouds.delay = 2.0
    keychain = made(role(clouds, tmp_path), seconds=0.6)
    with Ticks() as ticks:
        for _ in range(3):
            with pytest.raises(UnresolvedImage):
                await keychain.credentials(PRIVATE)
    assert ticks.seconds < 3 * 0.6
    await asyncio.sleep(2.0)  # the server says good-bye


@pytest.mark.parametrize("image", [PRIVATE, PUBLIC, "acr"])
async def test_where_no_metadata_service_is_there_is_no_identity(
    made: Make, image: Reference | str, clouds: Clouds
) -> None:
    """A cluster of no cloud: nothing listens there, which is no reason to wait for a credential."""
    nobody = f"http://127.0.0.1:{free_port()}"
    nowhere = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": nobody, "AZURE_POD_IDENTITY_AUTHORITY_HOST": nobody}
    keychain = made(nowhere)
    reference = image if isinstance(image, Reference) else Reference.parse(f"{clouds.host}/app:1")
    assert await keychain.credentials(reference) == ()


async def test_google_s_metadata_service_that_has_an_address_is_waited_for(made: Make) -> None:
    """Its name has one on Google Cloud alone; in a pod's first seconds the service may not answer yet."""
    keychain = made({"GCE_METADATA_HOST": f"127.0.0.1:{free_port()}"})
    with pytest.raises(UnresolvedImage):
        await keychain.credentials(GOOGLE)


async def test_a_name_without_an_address_means_another_cloud(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of nobody, here: no test looks a name up."""

    async def resolve(*_: object, **__: object) -> list[object]:
        raise OSError("no such name")

    monkeypatch.setattr(aiohttp.AsyncResolver, "resolve", resolve)
    assert await made({"GCE_METADATA_HOST": "metadata.invalid"}).credentials(GOOGLE) == ()


async def test_a_service_whose_certificate_is_not_trusted_learns_nothing(clouds: Clouds, tmp_path: Path) -> None:
    """The token of the ServiceAccount is worth as much as a password."""
    client = CredentialClient()
    keychain = CloudKeychain(client, Ecr(client, clouds.environment() | role(clouds, tmp_path)))
    with pytest.raises(UnresolvedImage):
        await keychain.credentials(PRIVATE)
    assert clouds.asked == []
    await keychain.aclose()


async def test_services_are_asked_by_the_proxy_of_the_environment_and_metadata_never(
    clouds: Clouds, made: Make, tmp_path: Path
) -> None:
    """A proxy would ask the metadata service of another machine."""
    asked: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        environment = {"HTTPS_PROXY": url, "HTTP_PROXY": url, "AWS_ENDPOINT_URL_STS": "https://sts.test"}
        keychain = made(role(clouds, tmp_path) | environment)
        assert await keychain.credentials(GOOGLE) != ()
        with pytest.raises(UnresolvedImage):
            await keychain.credentials(PRIVATE)
    assert asked == ["CONNECT sts.test:443 HTTP/1.1\r\n"]


async def test_nothing_secret_is_logged_or_printed(
    clouds: Clouds, made: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At no level, whether it works or not."""
    caplog.set_level(logging.DEBUG)
    identity = role(clouds, tmp_path) | federated(clouds, tmp_path)
    keychain = made(identity)
    azure = Reference.parse(f"{clouds.host}/app:1")
    shown = [repr(await keychain.credentials(each)) for each in (PRIVATE, GOOGLE, azure)]
    clouds.faults["GetAuthorizationToken"] = (400, b'{"__type":"no","message":"' + identity["AWS_ROLE_ARN"].encode())
    shown.append(repr(await keychain.credentials(PUBLIC)))
    said = caplog.text + "".join(shown) + repr(keychain)
    assert "no cloud credential" in said
    for secret in (*clouds.passwords.values(), *map(exchange.read, (v for k, v in identity.items() if "FILE" in k))):
        assert secret not in said
        assert secret[8:40] not in said
