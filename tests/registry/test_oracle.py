"""Independent clients, crane and skopeo, see in generated images of all shapes what Rightarch sees in them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from rightarch.errors import ImageError
from rightarch.inspection import Inspector, Role
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Registry
from tests.controlplane import binary
from tests.support.random_images import SPELLINGS, Made, made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rightarch.inspection import Inspection
    from tests.controlplane import CertificateAuthority
    from tests.images import RegistryServer

ANYBODY = AnonymousKeychain()
SEEDS = range(30)
ABSENT = ("linux/mips64le", "plan9/amd64")
IMAGE_CONFIGS = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
}


class Crane:
    """The crane program, with the tests' authority and no credentials."""

    def __init__(self, authority: CertificateAuthority, folder: Path) -> None:
        self._environment = os.environ | {"SSL_CERT_FILE": str(authority.certificate), "DOCKER_CONFIG": str(folder)}

    def __call__(self, *arguments: str) -> bytes | None:
        """What it prints; None where it fails."""
        command = [str(binary("crane")), *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, check=False, timeout=120)
        return done.stdout if done.returncode == 0 else None

    def digest(self, name: str, platform: str | None = None) -> str | None:
        """The digest of an image, or of what crane takes for the image for a platform."""
        said = self("digest", *(["--platform", platform] if platform else []), name)
        return said.decode().strip() if said is not None else None

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - whatever is in the registry
        """A document that it prints."""
        return json.loads(self(*arguments) or b"null")


@pytest.fixture
def crane(authority: CertificateAuthority, tmp_path: Path) -> Crane:
    """The first oracle."""
    return Crane(authority, tmp_path)


def leaves(crane: Crane, name: str) -> Iterator[tuple[str, str]]:
    """The platforms, as they are spelled, of the images in what a name stands for; all documents come by crane."""
    repository = name.partition("@")[0]
    document = crane.json("manifest", name)
    if "manifests" not in document:
        if document["config"]["mediaType"] in IMAGE_CONFIGS:
            yield spelled(crane.json("config", name)), name.partition("@")[2]
        return
    for entry in document["manifests"]:
        child = f"{repository}@{entry['digest']}"
        if "vnd.docker.reference.type" in entry.get("annotations", {}):
            continue
        if entry["mediaType"].endswith(("index.v1+json", "list.v2+json")) or "platform" not in entry:
            yield from leaves(crane, child)
        else:
            yield spelled(entry["platform"]), entry["digest"]


def spelled(content: dict[str, str]) -> str:
    """A platform, of an entry or a configuration, as it is spelled there."""
    return "/".join(filter(None, (content.get("os"), content.get("architecture"), content.get("variant"))))


def told(found: Inspection) -> list[tuple[str, str]]:
    """Platforms and digests of the images in an inspection."""
    return sorted((str(item.platform), item.part.digest) for item in found.of(Role.IMAGE))


@pytest.mark.parametrize("seed", SEEDS)
async def test_crane_agrees(seed: int, server: RegistryServer, registry: Registry, crane: Crane) -> None:
    """On the digest, the document's bytes, each platform with its manifest, and which platforms there are not."""
    image = made(Random(f"oracle {seed}"), f"oracle-{seed}")
    name = server.push(f"oracle/{seed}", "1", image.image)
    tagged = f"{server.host}/oracle/{seed}:1"
    found = await Inspector(registry, ANYBODY).inspect(Reference.parse(tagged))
    assert await asyncio.to_thread(crane.digest, tagged) == found.contents.document.digest
    assert await asyncio.to_thread(crane, "manifest", tagged) == found.contents.document.body
    seen = await asyncio.to_thread(lambda: [each for each in leaves(crane, name) if "unknown" not in each[0]])
    assert told(found) == sorted((SPELLINGS[platform], digest) for platform, digest in seen)
    await the_same_platforms(registry, tagged, image)
    if found.contents.indexed:
        await asyncio.to_thread(crane_chooses, crane, found, tagged)


async def the_same_platforms(registry: Registry, name: str, image: Made) -> None:
    """Look-ups, which decide for pods, tell what the image was made for, and what inspections tell."""
    reference = Reference.parse(name)
    if image.platforms is None:
        with pytest.raises(ImageError) as caught:
            await registry.platforms(reference, ANYBODY)
        assert caught.value.reason is Reason.NOT_AN_IMAGE
        return
    platforms = tuple(str(each) for each in (await registry.platforms(reference, ANYBODY)).platforms)
    assert tuple(sorted(platforms)) == image.platforms
    inspected = await Inspector(registry, ANYBODY).inspect(reference)
    assert sorted({platform for platform, _ in told(inspected)}) == sorted(platforms)


def crane_chooses(crane: Crane, found: Inspection, name: str) -> None:
    """Asked for a platform as the index spells it, crane gives the first manifest for it; one without is none.

    For crane a platform without variant is any variant of it.
    """
    if any(part.platform is None or part.is_index for part in found.contents.parts):
        return  # crane takes an entry without platform for linux/amd64, and does not look into nested indexes
    entries = [(item.part.raw["platform"], item.part.digest) for item in found.of(Role.IMAGE)]
    for wanted, _ in entries:
        first = next(digest for platform, digest in entries if wanted.items() <= platform.items())
        assert crane.digest(name, spelled(wanted)) == first
    assert [crane.digest(name, platform) for platform in ABSENT] == [None, None]


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize("seed", SEEDS[:12])
async def test_skopeo_agrees(
    seed: int, server: RegistryServer, registry: Registry, authority: CertificateAuthority, tmp_path: Path
) -> None:
    """On the document's bytes, and for each platform of an index on what its configuration says."""
    image = made(Random(f"oracle {seed}"), f"oracle-{seed}")
    server.push(f"oracle/{seed}", "1", image.image)
    name = f"{server.host}/oracle/{seed}:1"
    (tmp_path / "ca.crt").write_bytes(authority.certificate.read_bytes())

    def skopeo(*options: str, name: str = name) -> bytes:
        command = ["skopeo", "inspect", f"--cert-dir={tmp_path}", "--no-creds", *options, f"docker://{name}"]
        return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout

    found = await Inspector(registry, ANYBODY).inspect(Reference.parse(name))
    assert await asyncio.to_thread(skopeo, "--raw") == found.contents.document.body
    for platform, digest in told(found):
        by_digest = f"{server.host}/oracle/{seed}@{digest}"
        said = json.loads(await asyncio.to_thread(skopeo, "--config", "--raw", name=by_digest))
        assert SPELLINGS[spelled(said)] == platform
