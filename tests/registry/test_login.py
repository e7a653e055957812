"""The user's own credentials: read as Docker and podman keep them, from files and helpers, for a real registry."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from rightarch.reference import Reference
from rightarch.registry import BEARER, IDENTITY, Credential, Registry, login
from rightarch.registry.dockerconfig import Malformed
from rightarch.registry.login import Login, LoginKeychain, config_file, parse
from tests.images import single
from tests.registry.conftest import ALICE_PASSWORD
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.images import RegistryServer, TokenServer

ALICE = Credential("alice", "pass:word")
AUTH = b64encode(b"alice:pass:word").decode()
HELPER = """#!/bin/sh
read -r server
echo "$1 $server" >> "$(dirname "$0")/asked"
{answer}
"""


def helper(folder: Path, name: str, answer: str) -> None:
    """A credential helper: a program that reads a server and prints what it is told to."""
    folder.mkdir(exist_ok=True)
    program = folder / f"docker-credential-{name}"
    program.write_text(HELPER.format(answer=answer))
    program.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


async def asked_for(config: object, image: str) -> tuple[list[Credential], list[str]]:
    """The credentials for an image by a configuration, and what the user is told."""
    told: list[str] = []
    keychain = LoginKeychain(parse(json.dumps(config).encode()), told.append)
    return list(await keychain.credentials(Reference.parse(image))), told


CONFIGS = {
    "a name and password": ({"auths": {"a.io": {"auth": AUTH}}}, "a.io/x", [ALICE]),
    "of another registry": ({"auths": {"b.io": {"auth": AUTH}}}, "a.io/x", []),
    "Docker Hub": ({"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}}, "nginx", [ALICE]),
    "podman's namespaces": (
        {"auths": {"quay.io/team": {"auth": AUTH}, "quay.io": {"username": "u", "password": "p"}}},
        "quay.io/team/app",
        [ALICE, Credential("u", "p")],
    ),
    "an identity token": ({"auths": {"a.io": {"identitytoken": "i"}}}, "a.io/x", [Credential(IDENTITY, "i")]),
    "an identity token beside a name": (
        {"auths": {"a.io": {"auth": AUTH, "identitytoken": "i"}}},
        "a.io/x",
        [Credential(IDENTITY, "i"), ALICE],
    ),
    "a registry's token": (
        {"auths": {"a.io": {"auth": AUTH, "identitytoken": "i", "registrytoken": "r"}}},
        "a.io/x",
        [Credential(BEARER, "r"), Credential(IDENTITY, "i"), ALICE],
    ),
    "tokens that are none": ({"auths": {"a.io": {"identitytoken": "i j", "registrytoken": "r\r\nx: y"}}}, "a.io/x", []),
    "what a store leaves behind": ({"auths": {"a.io": {}}}, "a.io/x", []),
    "fields of other kinds": ({"auths": {"a.io": 1}, "credHelpers": [], "credsStore": 7}, "a.io/x", []),
    "nothing": ({}, "a.io/x", []),
}


@pytest.mark.parametrize(("config", "image", "expected"), CONFIGS.values(), ids=CONFIGS)
async def test_what_a_file_holds(config: object, image: str, expected: list[Credential]) -> None:
    """Its entries, by Docker's and podman's keys."""
    assert await asked_for(config, image) == (expected, [])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"auths": []}'])
def test_what_is_no_configuration(content: bytes) -> None:
    """Is refused, without a word of what it holds."""
    with pytest.raises(Malformed):
        parse(content)


HELPED = {
    "a helper of one registry": ({"credHelpers": {"a.io": "x"}}, "a.io/app", "get a.io\n"),
    "a port is part of the name": ({"credHelpers": {"a.io:5000": "x"}}, "a.io:5000/app", "get a.io:5000\n"),
    "the store of all others": ({"credsStore": "x", "credHelpers": {"b.io": "y"}}, "a.io/app", "get a.io\n"),
    "Docker Hub by its long name": (
        {"credHelpers": {"https://index.docker.io/v1/": "x"}},
        "nginx",
        "get https://index.docker.io/v1/\n",
    ),
    "Docker Hub by its short name": (
        {"credHelpers": {"docker.io": "x"}},
        "nginx",
        "get https://index.docker.io/v1/\n",
    ),
}


@pytest.mark.parametrize(("config", "image", "asked"), HELPED.values(), ids=HELPED)
async def test_what_a_helper_gives(config: object, image: str, asked: str, programs: Path) -> None:
    """It is asked for the registry by the name that Docker stores it by."""
    helper(programs, "x", """echo '{"ServerURL": "s", "Username": "alice", "Secret": "pass:word"}'""")
    assert await asked_for(config, image) == ([ALICE], [])
    assert (programs / "asked").read_text() == asked


async def test_a_helper_gives_an_identity_token(programs: Path) -> None:
    """By the user name that Docker's helpers have for it."""
    helper(programs, "x", """echo '{"Username": "<token>", "Secret": "i"}'""")
    found, _ = await asked_for({"credsStore": "x"}, "a.io/app")
    assert [each.is_identity for each in found] == [True]


async def test_a_helper_comes_before_the_file(programs: Path) -> None:
    """What the file holds is tried afterwards."""
    helper(programs, "x", """echo '{"Username": "bob", "Secret": "b"}'""")
    config = {"credsStore": "x", "auths": {"a.io": {"auth": AUTH}}}
    assert (await asked_for(config, "a.io/app"))[0] == [Credential("bob", "b"), ALICE]


async def test_a_helper_is_asked_once(programs: Path) -> None:
    """By all images of a registry together, and once for each registry."""
    helper(programs, "x", """sleep 0.1; echo '{"Username": "alice", "Secret": "pass:word"}'""")
    keychain = LoginKeychain(Login(store="x"), print)
    images = map(Reference.parse, ["a.io/b", "a.io/c", "a.io/d", "b.io/e"])
    found = await asyncio.gather(*map(keychain.credentials, images))
    assert found == [[ALICE]] * 4
    assert sorted((programs / "asked").read_text().splitlines()) == ["get a.io", "get b.io"]


FAILING = {
    "it knows no such registry": ("echo credentials not found in native keychain; exit 1", []),
    "it fails": (
        "echo The keychain is locked; exit 1",
        ["docker-credential-x failed for a.io: The keychain is locked"],
    ),
    "it fails silently": ("exit 3", ["docker-credential-x failed for a.io: it said nothing"]),
    "it answers nonsense": ("echo hello", ["docker-credential-x gave no name and secret for a.io"]),
    "it answers nothing": ("echo '{}'", ["docker-credential-x gave no name and secret for a.io"]),
    "it does not end": ("sleep 60", ["docker-credential-x did not answer within 0.3 s: a.io is asked without it"]),
}


@pytest.mark.parametrize(("answer", "expected"), FAILING.values(), ids=FAILING)
async def test_a_helper_that_gives_nothing(
    answer: str, expected: list[str], programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user is told why, and the registry is asked without it."""
    hangs = answer.startswith("sleep")
    monkeypatch.setattr(login, "HELPER_SECONDS", 0.3 if hangs else 60.0)
    helper(programs, "x", f"exec {answer}" if hangs else answer)
    with Ticks() as ticks:
        assert await asked_for({"credsStore": "x"}, "a.io/app") == ([], expected)
    assert ticks.seconds < 10


@pytest.mark.parametrize(
    ("name", "problem"), [("none", "is not on the PATH"), ("../x", "can't be run: its name has a slash")]
)
async def test_a_helper_that_can_not_be_run(name: str, problem: str, programs: Path) -> None:
    """The user is told which, and that it is the configuration that names it."""
    helper(programs, "x", "exit 0")
    program = f"docker-credential-{name}, which the configuration of credentials names, {problem}"
    assert await asked_for({"credsStore": name}, "a.io/app") == ([], [program])


def test_where_the_file_is(tmp_path: Path) -> None:
    """Docker's, where DOCKER_CONFIG says or at home; else podman's; else none."""
    assert config_file({}, tmp_path) is None
    places = [
        (tmp_path / ".config/containers/auth.json", {}),
        (tmp_path / "run/containers/auth.json", {"XDG_RUNTIME_DIR": str(tmp_path / "run")}),
        (tmp_path / "elsewhere.json", {"REGISTRY_AUTH_FILE": str(tmp_path / "elsewhere.json")}),
        (tmp_path / ".docker/config.json", {}),
        (tmp_path / "docker/config.json", {"DOCKER_CONFIG": str(tmp_path / "docker")}),
    ]
    environment: dict[str, str] = {}
    for path, variables in places:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        environment |= variables
        assert config_file(environment, tmp_path) == path


@pytest.mark.parametrize("identity", [False, True])
async def test_a_private_image(
    identity: bool, programs: Path, server: RegistryServer, tokens: TokenServer, registry: Registry
) -> None:
    """Is read from the real registry by what a helper gives."""
    server.push("private/app", "login", single("linux/arm64", "login"))
    tokens.identities["identity"] = "alice"
    secret = (
        {"Username": IDENTITY, "Secret": "identity"} if identity else {"Username": "alice", "Secret": ALICE_PASSWORD}
    )
    helper(programs, "x", f"echo '{json.dumps(secret)}'")
    told: list[str] = []
    found = await registry.platforms(
        Reference.parse(f"{server.host}/private/app:login"), LoginKeychain(Login(store="x"), told.append)
    )
    assert [str(each) for each in found.platforms] == ["linux/arm64"]
    assert told == []
    assert set(tokens.requests) == {"alice"}
