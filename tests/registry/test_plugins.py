"""Credential providers of the kubelet's kind: configured as for it, run as programs, believed as long as they say."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from rightarch.errors import SettingsError, UnresolvedImage
from rightarch.reference import Reference
from rightarch.registry import CLUSTER, Credential
from rightarch.registry import plugins as under_test
from rightarch.registry.plugins import Plugins
from rightarch.registry.providers import Provider, check_programs, load
from tests.images import single
from tests.support.ticks import Ticks

from .conftest import ALICE_PASSWORD, Clock

if TYPE_CHECKING:
    from rightarch.registry import Registry
    from tests.images import RegistryServer

API = "credentialprovider.kubelet.k8s.io/v1"
ALICE = {"username": "alice", "password": ALICE_PASSWORD}
IMAGE = Reference.parse("registry.example/team/app:1")
PROVIDER: dict[str, Any] = {
    "name": "provider",
    "matchImages": ["*.example"],
    "defaultCacheDuration": "10m",
    "apiVersion": API,
}


def config(*providers: dict[str, Any], **parts: object) -> str:
    """A configuration as the kubelet has it; JSON is YAML."""
    kind = {"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig"}
    return json.dumps(kind | {"providers": list(providers)} | parts)


def program(folder: Path, script: str, name: str = "provider") -> Path:
    """A program that appends each request to a file beside it, and goes on with a script."""
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat >> {path}.asked\necho >> {path}.asked\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def answer(auth: object, kind: object = "Image", **more: object) -> str:
    """A script that answers with these credentials."""
    response = {"apiVersion": API, "kind": "CredentialProviderResponse", "cacheKeyType": kind, "auth": auth} | more
    return f"cat <<'END'\n{json.dumps(response)}\nEND"


def asked(folder: Path, name: str = "provider") -> list[dict[str, Any]]:
    """What a program was asked."""
    record = folder / f"{name}.asked"
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def plugins(folder: Path, *, clock: Clock | None = None, **parts: object) -> Plugins:
    """The keychain of the one provider."""
    return Plugins([Provider.model_validate(PROVIDER | parts)], folder, clock=clock or Clock())


async def test_a_plugin_is_asked_as_the_kubelet_asks(tmp_path: Path) -> None:
    """With its arguments and environment, for the image's name without tag and digest."""
    script = 'echo "$1 $SETTING" > "$0.seen"\n' + answer({"registry.example": {"username": "u", "password": "p"}})
    program(tmp_path, script)
    env = [{"name": "SETTING", "value": "set"}]
    keychain = plugins(tmp_path, args=["--verbose"], env=env)
    assert await keychain.credentials(IMAGE) == [Credential("u", "p")]
    request = {"apiVersion": API, "kind": "CredentialProviderRequest", "image": "registry.example/team/app"}
    assert asked(tmp_path) == [request]
    assert (tmp_path / "provider.seen").read_text() == "--verbose set\n"
    assert keychain.scope == CLUSTER


async def test_a_plugin_is_asked_only_for_what_it_serves(tmp_path: Path) -> None:
    """By the patterns of its configuration."""
    program(tmp_path, answer({"other.test": {"username": "u", "password": "p"}}))
    assert await plugins(tmp_path).credentials(Reference.parse("other.test/team/app")) == []
    assert asked(tmp_path) == []


async def test_credentials_are_matched_as_those_of_pull_secrets(tmp_path: Path) -> None:
    """All that match, the longest key first; of several plugins together."""
    keys = ("registry.example", "*.example", "registry.example/team", "other.example")
    program(tmp_path, answer({key: {"username": key, "password": "p"} for key in keys}))
    program(tmp_path, answer({"registry.example/team/app": {"username": "second", "password": "p"}}), "second")
    providers = [Provider.model_validate(PROVIDER | {"name": name}) for name in ("provider", "second")]
    found = await Plugins(providers, tmp_path).credentials(IMAGE)
    assert [each.username for each in found] == ["second", "registry.example/team", "registry.example", "*.example"]


@pytest.mark.parametrize(
    ("kind", "more", "runs"),
    [
        ("Image", {}, [1, 1, 2, 3]),
        ("Registry", {}, [1, 1, 1, 2]),
        ("Global", {}, [1, 1, 1, 1]),
        ("Image", {"cacheDuration": "0s"}, [1, 2, 3, 4]),
        ("Global", {"cacheDuration": "0s"}, [1, 2, 3, 4]),
    ],
)
async def test_an_answer_holds_for_what_it_says(
    tmp_path: Path, kind: str, more: dict[str, object], runs: list[int]
) -> None:
    """For the image, the registry or everything; not at all if it says so."""
    program(tmp_path, answer({"*.example": ALICE}, kind, **more))
    keychain, counts = plugins(tmp_path), []
    for image in ("registry.example/team/app:1", "registry.example/team/app:2", "registry.example/b", "two.example/b"):
        assert await keychain.credentials(Reference.parse(image)) == [Credential("alice", ALICE_PASSWORD)]
        counts.append(len(asked(tmp_path)))
    assert counts == runs


@pytest.mark.parametrize(
    ("more", "seconds"), [({}, 600), ({"cacheDuration": "1m30s"}, 90), ({"cacheDuration": None}, 600)]
)
async def test_an_answer_holds_for_its_time(tmp_path: Path, more: dict[str, object], seconds: float) -> None:
    """The one it names, else that of the configuration."""
    clock = Clock()
    program(tmp_path, answer({"*.example": ALICE}, **more))
    keychain = plugins(tmp_path, clock=clock)
    for passed, runs in [(0.0, 1), (seconds - 1, 1), (2.0, 2)]:
        clock.now += passed
        await keychain.credentials(IMAGE)
        assert len(asked(tmp_path)) == runs


async def test_who_asks_at_the_same_time_is_answered_once(tmp_path: Path) -> None:
    """One process an image; giving up a wait ends it for nobody else."""
    program(tmp_path, f"sleep 0.3\n{answer({'*.example': ALICE}, cacheDuration='0s')}")
    keychain = plugins(tmp_path)
    waits = [asyncio.create_task(_credentials(keychain)) for _ in range(20)]
    await asyncio.sleep(0.1)
    waits[0].cancel()
    assert await asyncio.gather(*waits[1:]) == [["alice"]] * 19
    assert len(asked(tmp_path)) == 1


async def test_no_credentials_is_an_answer(tmp_path: Path) -> None:
    """Remembered like any other; entries that can't be used are passed over."""
    for auth in (None, {}, {"registry.example": {"username": "", "password": ""}}, {"::": ALICE}):
        (tmp_path / "provider.asked").unlink(missing_ok=True)
        program(tmp_path, answer(auth))
        keychain = plugins(tmp_path)
        assert await keychain.credentials(IMAGE) == await keychain.credentials(IMAGE) == []
        assert len(asked(tmp_path)) == 1


SECRET = "do-not-tell"  # noqa: S105 - of the tests
FAILURES = {
    "a failure": f"echo {SECRET} >&2; exit 3",
    "no JSON": f"echo {SECRET}",
    "nothing": "true",
    "another version": answer({"a.example": {"username": "u", "password": SECRET}}).replace("k8s.io/v1", "k8s.io/v2"),
    "another kind": answer({}).replace("ProviderResponse", "ProviderRequest"),
    "no cache key type": answer({}).replace('"Image"', f'"{SECRET}"'),
    "a wrong duration": answer({}, cacheDuration=SECRET),
    "wrong credentials": answer({"a.example": SECRET}),
    "too much": "head -c 1000000 /dev/zero",
    "no program": "",
}


@pytest.mark.parametrize("script", FAILURES.values(), ids=list(FAILURES))
async def test_a_plugin_that_fails_is_to_be_asked_again(
    tmp_path: Path, script: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It says nothing about who may read the image; its name is logged once, and nothing of what it said."""
    if script:
        program(tmp_path, script)
    keychain = plugins(tmp_path)
    for _ in range(2):
        with pytest.raises(UnresolvedImage) as caught:
            await keychain.credentials(IMAGE)
        assert SECRET not in str(caught.value)
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "a credential provider failed"
    ]
    assert SECRET not in str([vars(record) for record in caplog.records])


@pytest.mark.skipif(sys.platform != "linux", reason="counts what Linux shows of a process")
def test_plugins_run_in_the_loop_of_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is not the tests' own: answers, failures and programs that are ended leave no process and no pipe."""
    scripts = {**FAILURES, "an answer": answer({"*.example": ALICE}), "a child": "sleep 60 & exit 1"}

    async def ask() -> dict[str, bool]:
        found = {}
        for name, script in scripts.items():
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            if script:
                program(folder, script)
            monkeypatch.setattr(under_test, "PLUGIN_SECONDS", 0.5 if "sleep" in (script or "") else 60.0)
            try:
                found[name] = bool(await plugins(folder).credentials(IMAGE))
            except UnresolvedImage:
                found[name] = False
        return found

    async def twice() -> tuple[dict[str, bool], int]:
        await ask()
        before = descriptors()
        return await ask(), descriptors() - before

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found, left = runner.run(twice())
    assert [name for name, answered in found.items() if answered] == ["an answer"]
    assert left <= 0


async def test_one_that_fails_takes_nothing_from_another(tmp_path: Path) -> None:
    """What the other gives is tried."""
    program(tmp_path, "exit 1")
    program(tmp_path, answer({"registry.example": {"username": "second", "password": "p"}}), "second")
    providers = [Provider.model_validate(PROVIDER | {"name": name}) for name in ("provider", "second")]
    assert await Plugins(providers, tmp_path).credentials(IMAGE) == [Credential("second", "p")]


@pytest.mark.parametrize("script", ["sleep 60", "sleep 60 & exit 0", "trap '' TERM; sleep 60"])
async def test_a_plugin_that_hangs_is_ended_with_its_children(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within its time; also where only a child of it holds on to what it was to say."""
    program(tmp_path, f'echo $$ > "$0.pid"\n{script}')
    written = tmp_path / "provider.pid"
    for seconds in (0.5, 20.0):  # a busy machine may need longer to begin with the script
        monkeypatch.setattr(under_test, "PLUGIN_SECONDS", seconds)
        with Ticks() as ticks, pytest.raises(UnresolvedImage):
            await plugins(tmp_path).credentials(IMAGE)
        assert ticks.seconds < seconds + 4.5
        if written.exists():
            break
    group = int(written.read_text())
    with pytest.raises(ProcessLookupError):
        await _gone(group)


async def test_a_private_image_is_read_by_a_plugins_credentials(
    tmp_path: Path, server: RegistryServer, registry: Registry
) -> None:
    """The whole way: configuration, program, token service, registry; the answer holds for the cluster."""
    server.push("private/app", "plugin", single("linux/arm64", "plugin"))
    program(tmp_path, answer({server.host: ALICE}))
    path = tmp_path / "config.yaml"
    path.write_text(config(PROVIDER | {"matchImages": [server.host]}))
    keychain = Plugins(load(path), tmp_path)
    reference = Reference.parse(f"{server.host}/private/app:plugin")
    image = await registry.platforms(reference, keychain)
    assert [str(each) for each in image.platforms] == ["linux/arm64"]


def test_configurations_are_read_from_files_and_folders(tmp_path: Path) -> None:
    """All files of a folder with the right suffix, in their order."""
    (tmp_path / "20.yaml").write_text(config(PROVIDER | {"name": "second"}))
    (tmp_path / "10.json").write_text(config(PROVIDER, apiVersion="kubelet.config.k8s.io/v1beta1"))
    (tmp_path / "README").write_text("not one")
    assert [each.name for each in load(tmp_path)] == ["provider", "second"]
    assert [each.name for each in load(tmp_path / "20.yaml")] == ["second"]


WRONG = {
    "no YAML": ("{", "while parsing"),
    "nothing": ("", "Input should be a valid dictionary"),
    "another kind": (config(PROVIDER, kind="Secret"), "kind: Input should be 'CredentialProviderConfig'"),
    "another version": (config(PROVIDER, apiVersion="v1"), "apiVersion: Input should be 'kubelet.config.k8s.io/v1'"),
    "no providers": (config(), "providers: Tuple should have at least 1 item"),
    "a path as a name": (config(PROVIDER | {"name": "../sh"}), "providers.0.name: Value error, '.."),
    "the folder as a name": (config(PROVIDER | {"name": ".."}), "providers.0.name: Value error, '.."),
    "no patterns": (config(PROVIDER | {"matchImages": []}), "providers.0.matchImages: Tuple should have at least 1"),
    "a wrong pattern": (config(PROVIDER | {"matchImages": ["a b"]}), "'a b' is no host with a port and path"),
    "no duration": (config(PROVIDER | {"defaultCacheDuration": 5}), "a duration is written 12h, 30m or 0s"),
    "an older protocol": (config(PROVIDER | {"apiVersion": API + "beta1"}), f"Input should be '{API}'"),
    "tokens of pods": (
        config(PROVIDER | {"tokenAttributes": {"requireServiceAccount": True}}),
        "providers.0.tokenAttributes: Extra inputs are not permitted",
    ),
    "the same twice": (config(PROVIDER, PROVIDER), "names the credential provider provider twice"),
}


@pytest.mark.parametrize(("text", "problem"), WRONG.values(), ids=list(WRONG))
def test_wrong_configurations_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    """With the file, and where and what is wrong."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    """A file, files in a folder, a program."""
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "config.yaml")
    with pytest.raises(SettingsError, match="has no file with the suffix"):
        load(tmp_path)
    with pytest.raises(SettingsError, match="there is no program provider in"):
        check_programs([Provider.model_validate(PROVIDER)], tmp_path)


def descriptors() -> int:
    """How many files and pipes this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def _credentials(keychain: Plugins) -> list[str]:
    return [each.username for each in await keychain.credentials(IMAGE)]


async def _gone(group: int) -> None:
    """Raise ProcessLookupError once no process of a group is left."""
    for _ in range(600):
        os.killpg(group, 0)
        await asyncio.sleep(0.1)
