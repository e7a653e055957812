"""From an identity to an image: the real registry lets in whom the clouds' services gave a password.

No registry of a cloud is contacted: the real one on 127.0.0.1 stands for it, by a pattern of hosts that is the tests'
own. All else is as in a cluster, down to the token service that checks the password.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rightarch.errors import UnreadableImage, UnresolvedImage
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Registry, RegistryOptions
from rightarch.registry.cloud import ecr
from rightarch.registry.cloud.azure import Azure
from rightarch.registry.cloud.client import CredentialClient
from rightarch.registry.cloud.ecr import Ecr
from rightarch.registry.cloud.google import Google
from rightarch.registry.cloud.keychain import CloudKeychain
from tests.images import RegistryServer, TokenServer, attested
from tests.registry.clouds import ACR_USER, CLIENT, ENTRA, ROLE, STS, TENANT, Clouds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.controlplane import CertificateAuthority

ECR_HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"  # located, never contacted
USERS = {"ecr": "AWS", "gar": "oauth2accesstoken", "acr": ACR_USER}
PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))


@pytest.fixture(scope="module")
def gate(authority: CertificateAuthority) -> Iterator[TokenServer]:
    """The token service: the repositories are each for the user of one cloud."""
    readers = {f"{cloud}/app": frozenset({user}) for cloud, user in USERS.items()}
    with TokenServer(authority, readers=readers) as server:
        yield server


@pytest.fixture(scope="module")
def store(
    authority: CertificateAuthority, gate: TokenServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of the registry, with an image for each cloud."""
    folder = tmp_path_factory.mktemp("clouds")
    with RegistryServer(authority=authority, tokens=gate, folder=folder) as server:
        for cloud in (*USERS, "public"):
            server.push(f"{cloud}/app", "1", attested("linux/amd64", "linux/arm64", salt=cloud))
        yield server.port


@pytest.fixture
def clouds(authority: CertificateAuthority, store: int, gate: TokenServer) -> Iterator[Clouds]:
    """The services of the clouds; what they give out is what the registry's token service takes."""
    with Clouds(authority, registry=store, passwords=gate.users) as running:
        yield running


@pytest.fixture
async def keychain(clouds: Clouds, authority: CertificateAuthority, tmp_path: Path) -> AsyncIterator[CloudKeychain]:
    """A pod's, that has an identity in each cloud."""
    for name, audience in {"aws": STS, "azure": ENTRA}.items():
        (tmp_path / name).write_text(clouds.issuer.token(audience))
    environment = clouds.environment() | {
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "aws"),
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "azure"),
    }
    client = CredentialClient(Path(authority.certificate))
    direct, fronted = re.compile(f"127.0.0.1:{clouds.registry}"), re.compile(re.escape(clouds.host))
    made = CloudKeychain(
        client,
        Ecr(client, environment, lambda domain: ecr.locate(ECR_HOST) if domain.startswith("localhost:") else None),
        Google(client, environment, direct),
        Azure(client, environment, fronted),
    )
    yield made
    await made.aclose()


def reference(cloud: str, clouds: Clouds) -> Reference:
    """The image of a cloud: the host tells whose it is. Azure's also exchanges tokens, so it has one of its own."""
    hosts = {"ecr": f"localhost:{clouds.registry}", "gar": f"127.0.0.1:{clouds.registry}", "acr": clouds.host}
    return Reference.parse(f"{hosts[cloud]}/{cloud}/app:1")


@pytest.fixture
def trusting(options: RegistryOptions) -> RegistryOptions:
    """Options that let the token service be told who asks, whatever the registry is called."""
    realms = dict.fromkeys(("127.0.0.1", "localhost"), frozenset({"localhost"}))
    return RegistryOptions(allow_loopback=True, ca_file=options.ca_file, token_realms=realms)


@pytest.mark.parametrize("cloud", USERS)
async def test_a_private_image_is_read_by_the_cluster_s_identity(
    made: Callable[[RegistryOptions], Registry], trusting: RegistryOptions, keychain: CloudKeychain, clouds: Clouds,
    cloud: str,
) -> None:  # fmt: skip
    """Signed, exchanged, challenged, let in. It answers nobody who asks without that identity."""
    registry, image = made(trusting), reference(cloud, clouds)
    with pytest.raises(UnreadableImage) as denied:
        await registry.platforms(image, AnonymousKeychain())
    assert denied.value.reason is Reason.ACCESS_DENIED
    found = await registry.platforms(image, keychain)
    assert found.platforms == PLATFORMS
    known = registry.known(image, AnonymousKeychain())
    assert not isinstance(known, ImagePlatforms)


async def test_a_cloud_that_fails_for_now_does_not_deny(
    made: Callable[[RegistryOptions], Registry], trusting: RegistryOptions, keychain: CloudKeychain, clouds: Clouds
) -> None:
    """The image may well be readable in a minute: its pod is held, where the policy says so, and not let go."""
    clouds.faults["GetAuthorizationToken"] = (503, b"")
    with pytest.raises(UnresolvedImage) as failed:
        await made(trusting).platforms(reference("ecr", clouds), keychain)
    assert ECR_HOST not in str(failed.value)
    assert "gives no credential" in str(failed.value)


async def test_a_cloud_that_refuses_leaves_what_is_public_readable(
    made: Callable[[RegistryOptions], Registry], trusting: RegistryOptions, keychain: CloudKeychain, clouds: Clouds
) -> None:
    """On a cluster that is elsewhere, or has no rights in the cloud, an image for everybody is read anonymously."""
    clouds.faults["GetAuthorizationToken"] = (400, b'{"__type":"AccessDeniedException"}')
    registry, image = made(trusting), Reference.parse(f"localhost:{clouds.registry}/public/app:1")
    assert (await registry.platforms(image, keychain)).platforms == PLATFORMS
    assert isinstance(registry.known(image, AnonymousKeychain()), ImagePlatforms)
