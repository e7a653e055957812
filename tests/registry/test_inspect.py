"""``rightarch image inspect``, as a process, at a real registry: what it prints, where, and with which status."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.controlplane import free_port
from tests.images import Entry, Image, RegistryServer, TokenServer, artifact, attested, index, single
from tests.registry.conftest import ALICE_PASSWORD
from tests.registry.faults import FaultServer, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.controlplane import CertificateAuthority
    from tests.registry.faults import Asked

PROGRAM = Path(sys.executable).parent / "rightarch"
MULTI = attested("linux/amd64", "linux/arm64/v8", salt="inspect")
AMD64, ARM64 = single("linux/amd64", "inspect"), single("linux/arm64/v8", "inspect")
SIZE = sum(len(blob.body) for blob in AMD64.blobs)


@pytest.fixture
def environment(authority: CertificateAuthority, tmp_path: Path) -> dict[str, str]:
    """That of a user without credentials, who trusts the tests' authority."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("RIGHTARCH_", "XDG_"))}
    home = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "docker")}
    return usual | home | {"COLUMNS": "100", "RIGHTARCH_REGISTRY_CA_FILE": str(authority.certificate)}


@pytest.fixture(scope="module")
def plain() -> Iterator[RegistryServer]:
    """A registry without TLS and tokens."""
    with RegistryServer() as server:
        yield server


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Inspect images."""
    return subprocess.run(
        [PROGRAM, "image", "inspect", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def inspected(environment: dict[str, str], *arguments: str) -> list[dict[str, Any]]:
    """The images, as JSON."""
    images: list[dict[str, Any]] = json.loads(run(environment, "-o", "json", *arguments).stdout)["images"]
    return images


def login(environment: dict[str, str], host: str, **fields: str) -> None:
    """Give the user a Docker configuration with an entry for a registry."""
    folder = Path(environment["DOCKER_CONFIG"])
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auths": {host: fields}}))


def test_an_image_for_people(server: RegistryServer, environment: dict[str, str]) -> None:
    """Name, digest, media type, size, and a line for each platform and each attestation."""
    server.push("inspect/multi", "1", MULTI)
    name = f"{server.host}/inspect/multi:1"
    done = run(environment, name)
    amd64, arm64, *attestations = (entry["digest"] for entry in json.loads(MULTI.root.body)["manifests"])
    sizes = [sum(len(blob.body) for blob in single(p, "inspect").blobs) for p in ("linux/amd64", "linux/arm64/v8")]
    expected = f"""\
Name:          {name}
Digest:        {MULTI.digest}
Media type:    application/vnd.oci.image.index.v1+json
Size:          {sum(sizes) / 1000:.1f} kB in all, shared layers counted once

PLATFORM                       SIZE  LAYERS  DIGEST
linux/amd64                 {sizes[0] / 1000:.1f} kB       1  {amd64}
linux/arm64                 {sizes[1] / 1000:.1f} kB       1  {arm64}
attestation of linux/amd64        -       -  {attestations[0]}
attestation of linux/arm64        -       -  {attestations[1]}
"""
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_images_for_programs(server: RegistryServer, environment: dict[str, str]) -> None:
    """JSON and YAML hold the same, in the order in which the images were named."""
    server.push("inspect/single", "1", ARM64)
    server.push("inspect/multi", "1", MULTI)
    names = [f"{server.host}/inspect/single:1", f"{server.host}/inspect/multi:1"]
    one, two = inspected(environment, *names)
    assert one == {
        "name": names[0],
        "digest": ARM64.digest,
        "mediaType": ARM64.root.media_type,
        "artifactType": None,
        "size": sum(len(blob.body) for blob in ARM64.blobs),
        "platforms": [
            {
                "platform": "linux/arm64",
                "os": "linux",
                "architecture": "arm64",
                "variant": None,
                "osVersion": None,
                "digest": ARM64.digest,
                "mediaType": ARM64.root.media_type,
                "size": sum(len(blob.body) for blob in ARM64.blobs),
                "layers": 1,
                "error": None,
            }
        ],
        "attestations": [],
        "others": [],
        "lacks": [],
    }
    assert [each["platform"] for each in two["platforms"]] == ["linux/amd64", "linux/arm64"]
    assert [each["about"] for each in two["attestations"]] == [each["digest"] for each in two["platforms"]]
    assert yaml.safe_load(run(environment, "-o", "yaml", *names).stdout) == {"images": [one, two]}


def test_what_is_shared_counts_once(server: RegistryServer, environment: dict[str, str]) -> None:
    """Two entries of the same image, as two variants, are stored once."""
    server.push("inspect/shared", "1", index(Entry(AMD64, "linux/amd64"), Entry(AMD64, "linux/386")))
    (image,) = inspected(environment, f"{server.host}/inspect/shared:1")
    assert [each["size"] for each in image["platforms"]] == [SIZE, SIZE]
    assert image["size"] == SIZE


SHAPES: dict[str, tuple[Image, list[str | None], int]] = {
    "no platform": (index(Entry(AMD64), Entry(ARM64, "linux/arm64")), ["linux/amd64", "linux/arm64"], 0),
    "nested": (index(Entry(index(Entry(AMD64, "linux/amd64")), "linux/arm64")), ["linux/amd64"], 0),
    "unknown": (index(Entry(AMD64, "unknown/unknown"), Entry(ARM64, "linux/arm64")), ["linux/arm64"], 1),
    "an artifact beside": (index(Entry(artifact("i")), Entry(ARM64, "linux/arm64")), ["linux/arm64"], 1),
    "empty": (index(salt="inspect"), [], 0),
    "Docker's": (single("linux/arm/v7", "inspect", docker=True), ["linux/arm/v7"], 0),
    "inline": (single("linux/s390x", "inspect", inline=True), ["linux/s390x"], 0),
}


@pytest.mark.parametrize(("name", "shape"), SHAPES.items(), ids=SHAPES)
def test_shapes(
    name: str, shape: tuple[Image, list[str | None], int], server: RegistryServer, environment: dict[str, str]
) -> None:
    """Each shape of image tells the platforms that look-ups tell; the rest is listed apart."""
    repository = f"inspect/{name.lower().replace(' ', '-').replace(chr(39), '')}"
    server.push(repository, "1", shape[0])
    (image,) = inspected(environment, f"{server.host}/{repository}:1")
    assert [each["platform"] for each in image["platforms"]] == shape[1]
    assert len(image["others"]) == shape[2]


def test_an_artifact(server: RegistryServer, environment: dict[str, str]) -> None:
    """Is shown for what it is; it has no platform, and so lacks what is required."""
    server.push("inspect/chart", "1", artifact("inspect"))
    name = f"{server.host}/inspect/chart:1"
    done = run(environment, name)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Artifact type: application/vnd.cncf.helm.config.v1+json\n" in done.stdout
    assert "PLATFORM" not in done.stdout
    assert run(environment, name, "--require", "linux/amd64").returncode == 3


def test_descriptors_with_their_manifests(server: RegistryServer, environment: dict[str, str]) -> None:
    """By the keys of Docker's own command, attestations and all."""
    server.push("inspect/multi", "1", MULTI)
    server.push("inspect/docker", "1", single("linux/arm/v7", "inspect", docker=True))
    done = run(environment, "-v", f"{server.host}/inspect/multi:1", f"{server.host}/inspect/docker:1")
    *entries, last = json.loads(done.stdout)
    assert [entry["Descriptor"] for entry in entries] == json.loads(MULTI.root.body)["manifests"]
    assert [entry["OCIManifest"] for entry in entries] == [
        json.loads(next(m.body for m in MULTI.manifests if m.digest == entry["Descriptor"]["digest"]))
        for entry in entries
    ]
    assert entries[0]["Ref"] == f"{server.host}/inspect/multi@{entries[0]['Descriptor']['digest']}"
    assert last["Descriptor"]["platform"] == {"architecture": "arm", "os": "linux", "variant": "v7"}
    assert last["SchemaV2Manifest"]["schemaVersion"] == 2


def test_raw(server: RegistryServer, environment: dict[str, str]) -> None:
    """The very bytes, of which the digest is the hash."""
    server.push("inspect/multi", "1", MULTI)
    command = [str(PROGRAM), "image", "inspect", "--raw", f"{server.host}/inspect/multi:1"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    assert done.stdout == MULTI.root.body
    assert f"sha256:{hashlib.sha256(done.stdout).hexdigest()}" == MULTI.digest


REQUIRED = {
    "linux/amd64,linux/arm64": (0, []),
    "linux/aarch64": (0, []),
    "linux/arm64,linux/s390x,linux/arm": (3, ["linux/s390x", "linux/arm/v7"]),
    "linux/amd64/v3": (3, ["linux/amd64/v3"]),
}


@pytest.mark.parametrize(("required", "expected"), REQUIRED.items(), ids=REQUIRED)
def test_required_platforms(
    required: str, expected: tuple[int, list[str]], server: RegistryServer, environment: dict[str, str]
) -> None:
    """Status 3 where one lacks, and which; each spelling of a platform will do."""
    server.push("inspect/multi", "1", MULTI)
    name = f"{server.host}/inspect/multi:1"
    done = run(environment, name, "--require", required, "-o", "json")
    assert (done.returncode, json.loads(done.stdout)["images"][0]["lacks"]) == expected
    lacks = [line for line in run(environment, name, "--require", required).stdout.splitlines() if "Lacks:" in line]
    assert lacks == ([f"Lacks:         {', '.join(expected[1])}"] if expected[1] else [])


def test_images_that_are_missing(server: RegistryServer, environment: dict[str, str]) -> None:
    """Status 3; the others are shown all the same."""
    server.push("inspect/multi", "1", MULTI)
    missing, there = f"{server.host}/inspect/none:1", f"{server.host}/inspect/multi:1"
    done = run(environment, "-o", "json", missing, there)
    first, second = json.loads(done.stdout)["images"]
    assert (done.returncode, first["error"]["reason"], second["digest"]) == (3, "ImageNotFound", MULTI.digest)
    assert done.stderr == f"rightarch: {missing}: {first['error']['message']}\n"
    assert missing not in first["error"]["message"], "its name stands beside it"
    assert run(environment, "--raw", missing).returncode == 3


@pytest.mark.parametrize("output", ["", "--raw"])
@pytest.mark.parametrize(
    ("redirection", "said"),
    [
        (">/dev/full", "rightarch: the output can't be written: No space left on device\n"),
        (">&-", "rightarch: the output can't be written: standard output is closed\n"),
        ("| head -c 1 >/dev/null", ""),
    ],
)
def test_output_that_goes_nowhere(
    output: str, redirection: str, said: str, server: RegistryServer, environment: dict[str, str]
) -> None:
    """Is told in a line; a reader that has had enough is told nothing."""
    server.push("inspect/multi", "1", MULTI)
    line = f"{PROGRAM} image inspect {server.host}/inspect/multi:1 {output} {redirection}"
    done = subprocess.run(["/bin/sh", "-c", line], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1 if said else 0, said)


def test_a_platform_whose_manifest_is_missing(server: RegistryServer, environment: dict[str, str]) -> None:
    """Is no platform of the image, whatever the index says: status 3."""
    digest = server.push("inspect/sparse", "1", MULTI).partition("@")[2]
    assert digest == MULTI.digest
    server.delete("inspect/sparse", MULTI.manifests[1].digest)
    name = f"{server.host}/inspect/sparse:1"
    done = run(environment, name)
    assert done.returncode == 3
    assert re.search(r"^linux/arm64 +ImageNotFound +- ", done.stdout, re.MULTILINE)
    assert "does not have" in done.stderr
    (image,) = inspected(environment, name, "--require=linux/arm64")
    assert image["lacks"] == ["linux/arm64"]


def test_errors_come_before_findings(server: RegistryServer, environment: dict[str, str]) -> None:
    """Status 1: with one registry out of reach, nobody can say that nothing else is amiss."""
    nowhere = f"127.0.0.1:{free_port()}/app:1"
    done = run(environment, f"{server.host}/inspect/none:1", nowhere)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.startswith("rightarch: ") for line in done.stderr.splitlines()] == [True, True]
    assert "check that the registry runs" in done.stderr


def test_wrong_references_are_pointed_at(environment: dict[str, str]) -> None:
    """All of them at once, with status 2, before anything is asked."""
    done = run(environment, "ghcr.io/Team/app", "nginx", "a\x1bb")
    assert (done.returncode, done.stdout) == (2, "")
    assert "\n  ghcr.io/Team/app\n          ^ a repository is written in lower case\n" in done.stderr
    assert "\n  a?b\n   ^ " in done.stderr
    assert "2 of 3 references" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--raw", "a", "b"], "--raw is for one image"),
        (["--raw", "a", "-v"], "--raw is for one image"),
        (["a", "--require", "arm64"], "'arm64' is not a platform"),
        (["a", "--token-realm", "x"], "is not REGISTRY=HOST"),
        (["a", "-o", "html"], "html"),
        (["a", "--registry-ca-file", "/nowhere"], "/nowhere"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, environment: dict[str, str]) -> None:
    """Status 2, and what would be right."""
    done = run(environment, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_private_image(server: RegistryServer, environment: dict[str, str]) -> None:
    """Is read by the user's own login; without it, status 1."""
    server.push("private/app", "inspect", ARM64)
    name = f"{server.host}/private/app:inspect"
    assert run(environment, name).returncode == 1
    login(environment, server.host, auth=b64encode(f"alice:{ALICE_PASSWORD}".encode()).decode())
    refused = run(environment, name)
    assert (refused.returncode, "tokenRealms" in refused.stderr) == (1, True)
    done = run(environment, name, "--token-realm", f"{server.host}=localhost")
    assert (done.returncode, done.stderr) == (0, "")
    assert "linux/arm64" in done.stdout


def test_a_registry_s_token(server: RegistryServer, tokens: TokenServer, environment: dict[str, str]) -> None:
    """Docker's ``registrytoken`` is shown to the registry as it is, wherever its token service is; nobody asks that."""
    server.push("private/app", "token", ARM64)
    name = f"{server.host}/private/app:token"
    login(environment, server.host, registrytoken=tokens.token("alice", ["repository:private/app:pull"]))
    done = run(environment, name)
    assert (done.returncode, done.stderr) == (0, "")
    assert "linux/arm64" in done.stdout
    assert tokens.requests == []


def test_registries_are_asked_as_the_webhook_asks_them(
    plain: RegistryServer, server: RegistryServer, environment: dict[str, str], tmp_path: Path
) -> None:
    """By the same files: a mirror of a registry that does not exist, by our configuration and by containerd's."""
    plain.push("mirrored/app", "1", ARM64)
    name = "registry.example/mirrored/app:1"
    config = tmp_path / "registries.yaml"
    config.write_text(f"registries: [{{host: registry.example, mirrors: [{{url: 'http://{plain.host}'}}]}}]")
    hosts = tmp_path / "certs.d" / "registry.example"
    hosts.mkdir(parents=True)
    (hosts / "hosts.toml").write_text(f'[host."http://{plain.host}"]')
    for options in ({"config": f"--registries-config={config}"}, {"hosts": f"--registry-hosts-dir={hosts.parent}"}):
        done = run(environment, name, *options.values())
        assert (done.returncode, done.stderr) == (0, ""), options
        assert name in done.stdout
    server.push("private/app", "realms", ARM64)
    login(environment, server.host, auth=b64encode(f"alice:{ALICE_PASSWORD}".encode()).decode())
    config.write_text(f"registries: [{{host: '{server.host}', tokenRealms: [localhost]}}]")
    done = run(environment, f"{server.host}/private/app:realms", f"--registries-config={config}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("config", "hosts", "said"),
    [
        ("registries: [{host: a, mirror: 1}]", None, "registries.yaml: registries.0.mirror: "),
        ("registries: {", None, "registries.yaml: "),
        ("\x00", None, "registries.yaml: "),
        ("[" * 100_000, None, "registries.yaml: "),
        (None, "x = [", "hosts.toml: "),
        (None, '[host."ftp://a"]', "hosts.toml: "),
        (None, "[host.'https://a']\ncapabilities = 'pull'", "hosts.toml: "),
        (None, "[host.'https://a']\nca = 5", "hosts.toml: ca must be a list, and is a number"),
        (
            None,
            "[host.'https://a']\nskip_verify = 'false'",
            "hosts.toml: skip_verify must be true or false, and is text",
        ),
        (None, "x = " + "[" * 100_000, "hosts.toml: "),
        (None, "[host.'https://a']\nclient = [[1]]", "hosts.toml: "),
        (None, "[host.'https://a'.header]\nx-a = 5", "hosts.toml: "),
        (None, "[host.'https://a'.header]\nx-a = \"one\\ntwo\"", "hosts.toml: "),
    ],
)
def test_files_that_are_wrong(
    config: str | None, hosts: str | None, said: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """Status 2 and a line that says where; nothing is asked."""
    options = []
    if config is not None:
        (tmp_path / "registries.yaml").write_text(config)
        options.append(f"--registries-config={tmp_path / 'registries.yaml'}")
    if hosts is not None:
        (tmp_path / "certs.d" / "a.example").mkdir(parents=True)
        (tmp_path / "certs.d" / "a.example" / "hosts.toml").write_text(hosts)
        options.append(f"--registry-hosts-dir={tmp_path / 'certs.d'}")
    done = run(environment, "127.0.0.1:1/app", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_that_is_broken(server: RegistryServer, environment: dict[str, str]) -> None:
    """Is told of; public images are shown all the same."""
    server.push("inspect/multi", "1", MULTI)
    folder = Path(environment["DOCKER_CONFIG"])
    folder.mkdir()
    (folder / "config.json").write_text("{")
    done = run(environment, f"{server.host}/inspect/multi:1")
    assert (done.returncode, "linux/arm64" in done.stdout) == (0, True)
    assert f"{folder}/config.json can't be read as a configuration of credentials" in done.stderr


def test_plain_http_on_this_machine(plain: RegistryServer, environment: dict[str, str]) -> None:
    """Needs no option."""
    plain.push("inspect/multi", "1", MULTI)
    assert run(environment, f"{plain.host}/inspect/multi:1", "--require=linux/arm64").returncode == 0


def test_no_document_is_asked_for_twice(plain: RegistryServer, environment: dict[str, str]) -> None:
    """One request each for the index and the manifests of its platforms; none for attestations."""
    plain.push("inspect/multi", "1", MULTI)
    plain.forget()
    name = f"{plain.host}/inspect/multi:1"
    assert [each["name"] for each in inspected(environment, name, name)] == [name, name]
    assert sorted(each.path.rpartition("/")[2] for each in plain.requests()) == sorted(
        ["1", *(entry["digest"] for entry in json.loads(MULTI.root.body)["manifests"][:2])]
    )


def test_what_a_registry_says_does_not_reach_the_terminal(
    authority: CertificateAuthority, environment: dict[str, str]
) -> None:
    """Control characters in media types and platforms are shown as question marks."""
    body = json.dumps(
        {
            "manifests": [
                {"mediaType": "a\x1b[31m", "digest": f"sha256:{'0' * 64}", "size": 1},
                {
                    "mediaType": MULTI.manifests[0].media_type,
                    "digest": f"sha256:{'1' * 64}",
                    "size": 1,
                    "platform": {"os": "linux", "architecture": "x\x1b]0;y\x07"},
                },
            ]
        }
    ).encode()

    async def handle(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, body, content_type="application/vnd.oci.image.index.v1+json"))

    async def ask() -> subprocess.CompletedProcess[str]:
        async with FaultServer(authority, handle) as faults:
            return await asyncio.to_thread(run, environment, f"{faults.host}/a:1")

    done = asyncio.run(ask())
    assert done.returncode == 0
    assert "other: a?[31m" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_slow_registry_is_told_of_on_a_terminal(authority: CertificateAuthority, environment: dict[str, str]) -> None:
    """What is waited for is shown after a second, within the terminal's width, and gone afterwards."""
    told = threading.Event()

    async def handle(_: Asked, writer: asyncio.StreamWriter) -> None:
        while not told.is_set():  # noqa: ASYNC110 - it is set by another thread
            await asyncio.sleep(0.02)
        writer.write(answer(404))

    def see(shown: bytes) -> None:
        if b"waiting for" in shown:
            told.set()

    async def ask() -> tuple[int, str, str]:
        async with FaultServer(authority, handle) as faults:
            return await asyncio.to_thread(on_a_terminal, environment, f"{faults.host}/a:1", see)

    status, shown, name = asyncio.run(ask())
    assert status == 3
    line = next(part for part in shown.split("\r\x1b[2K") if "waiting for" in part)
    assert line == f"0 of 1 images; waiting for {name}"[:99]
    assert f"\r\x1b[2Krightarch: {name}: registry" in shown


def on_a_terminal(
    environment: dict[str, str], name: str, see: Callable[[bytes], None] = lambda _: None
) -> tuple[int, str, str]:
    """Status and all that a terminal was sent, and the name; all that it was sent so far is shown meanwhile."""
    ours, theirs = pty.openpty()
    command = [str(PROGRAM), "image", "inspect", name]
    with subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                shown += os.read(ours, 4096)
            except OSError:  # how a terminal says that nobody writes to it any more
                break
            see(shown)
    os.close(ours)
    return process.returncode, shown.decode(), name


def test_a_table_fits_the_terminal(server: RegistryServer, environment: dict[str, str]) -> None:
    """Digests are cut where it is narrow; what a program reads is never cut."""
    server.push("inspect/multi", "1", MULTI)
    status, shown, _ = on_a_terminal(environment | {"COLUMNS": "70"}, f"{server.host}/inspect/multi:1")
    table = shown.replace("\r", "").partition("PLATFORM")[2].splitlines()[1:]
    assert status == 0
    assert len(table) == 4
    assert all(len(line) == 70 and line.endswith("…") for line in table)
