"""Documents of a real registry, as it serves them: by the same authorization and guards as look-ups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rightarch.errors import ImageError
from rightarch.manifest import Document
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import IDENTITY, AnonymousKeychain, Credential, InMemoryKeychain, Registry, RegistryOptions
from tests.images import attested, single
from tests.registry.conftest import ALICE_PASSWORD
from tests.registry.faults import FaultServer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from tests.controlplane import CertificateAuthority
    from tests.images import RegistryServer, TokenServer
    from tests.registry.faults import Asked

ANYBODY = AnonymousKeychain()


async def test_a_document_is_what_was_pushed(server: RegistryServer, registry: Registry) -> None:
    """Its very bytes, by tag and by digest, each time from the registry."""
    image = attested("linux/amd64", "linux/arm64", salt="documents")
    server.push("documents/index", "1", image)
    server.forget()
    for name in ("documents/index:1", f"documents/index@{image.digest}"):
        document = await registry.document(Reference.parse(f"{server.host}/{name}"), ANYBODY)
        assert document == Document(image.root.body, image.root.media_type, image.digest)
    assert [str(each.status) for each in server.requests()] == ["401", "200", "200"]


async def test_a_blob_is_what_was_pushed(server: RegistryServer, registry: Registry) -> None:
    """A configuration, by its digest."""
    image = single("linux/arm64", "documents")
    server.push("documents/single", "1", image)
    reference = Reference.parse(f"{server.host}/documents/single:1")
    assert await registry.blob(reference, image.blobs[0].digest, ANYBODY) == image.blobs[0].body


@pytest.mark.parametrize("credential", [Credential("alice", ALICE_PASSWORD), Credential(IDENTITY, "identity of alice")])
async def test_a_private_document(
    credential: Credential, server: RegistryServer, tokens: TokenServer, registry: Registry
) -> None:
    """Is given to whom it is due: by name and password, or by an identity token; it is nobody else's."""
    tokens.identities["identity of alice"] = "alice"
    image = single("linux/arm64", "private documents")
    server.push("private/app", "documents", image)
    reference = Reference.parse(f"{server.host}/private/app:documents")
    alice = InMemoryKeychain("alice", {server.host: [Credential("bob", "wrong"), credential]})
    assert (await registry.document(reference, alice)).body == image.root.body
    with pytest.raises(ImageError) as caught:
        await registry.document(reference, ANYBODY)
    assert caught.value.reason is Reason.ACCESS_DENIED


async def test_a_document_that_is_not_there(server: RegistryServer, registry: Registry) -> None:
    """Says so by its Reason."""
    with pytest.raises(ImageError) as caught:
        await registry.document(Reference.parse(f"{server.host}/documents/none:1"), ANYBODY)
    assert caught.value.reason is Reason.IMAGE_NOT_FOUND


async def test_a_document_that_does_not_come(
    authority: CertificateAuthority, options: RegistryOptions, made: Callable[[RegistryOptions], Registry]
) -> None:
    """Waiting for it has an end."""

    async def hang(_: Asked, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    async with FaultServer(authority, hang) as faults:
        registry = made(replace(options, lookup_timeout=0.2))
        with pytest.raises(ImageError) as caught:
            await registry.document(Reference.parse(f"{faults.host}/a:1"), ANYBODY)
    assert caught.value.reason is Reason.TIMED_OUT
