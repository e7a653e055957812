"""Credentials are matched with images as the kubelet does it, and nothing of them is shown."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.reference import Reference
from rightarch.registry import Credential
from rightarch.registry.dockerconfig import (
    CONFIG,
    CONFIG_JSON,
    Entry,
    Malformed,
    key_of,
    matches,
    matching,
    parse_config,
    parse_legacy,
    parse_secret,
)

KEYS = {
    "registry.example.com": "registry.example.com",
    "https://registry.example.com": "registry.example.com",
    "http://registry.example.com/": "registry.example.com",
    "registry.example.com:5000": "registry.example.com:5000",
    "https://registry.example.com/v1/": "registry.example.com",
    "https://registry.example.com/v2/": "registry.example.com",
    "https://registry.example.com/v2/team": "registry.example.com/team",
    "registry.example.com/v1": "registry.example.com/v1",
    "registry.example.com/team/app": "registry.example.com/team/app",
    "registry.example.com/team/": "registry.example.com/team/",
    "https://index.docker.io/v1/": "index.docker.io",
    "https://index.docker.io/v1": "index.docker.io/v1",
    "docker.io": "docker.io",
    "*.example.com": "*.example.com",
    "[::1]:5000": "[::1]:5000",
    "https://user:pass@registry.example.com/team?a=b#c": "registry.example.com/team",
    "registry.example.com/a%20b": "registry.example.com/a b",
    "HTTPS://registry.example.com": "HTTPS://registry.example.com",
    "": "",
    "registry.example.com:port": None,
    "registry:5000:5000": None,
    "re gistry": None,
    "re[gi]stry": None,
    "[nothing]": None,
    "[::1": None,
    "registry.example.com/%zz": None,
    "registry.example.com/a\n": None,
    "us er@registry.example.com": None,
}


@pytest.mark.parametrize(("location", "key"), KEYS.items(), ids=list(KEYS))
def test_locations_become_keys(location: str, key: str | None) -> None:
    """A host with its port, and a path that is more than the version of Docker's protocol."""
    assert key_of(location) == key


MATCHES = {
    "the host": ("registry.example.com", "registry.example.com/team/app:1", True),
    "another host": ("registry.example.com", "other.example.com/team/app:1", False),
    "the end of the host": ("example.com", "registry.example.com/team/app", False),
    "another case": ("Registry.example.com", "registry.example.com/team/app", False),
    "a part that is globbed": ("*.example.com", "registry.example.com/app", True),
    "two parts by one glob": ("*.io", "a.b.io/app", False),
    "two parts by two globs": ("*.*.io", "a.b.io/app", True),
    "a glob within a part": ("reg*y.example.com", "registry.example.com/app", True),
    "a glob for nothing": ("registry*.example.com", "registry.example.com/app", True),
    "a glob of the last part": ("registry.example.*", "registry.example.com/app", True),
    "a dot is a dot": ("registry.example*com", "registry.example.com/app", False),
    "the same port": ("registry.example.com:5000", "registry.example.com:5000/app", True),
    "another port": ("registry.example.com:5000", "registry.example.com:5001/app", False),
    "a port that the image lacks": ("registry.example.com:443", "registry.example.com/app", False),
    "a port that the key lacks": ("registry.example.com", "registry.example.com:443/app", False),
    "a port that is globbed": ("registry.example.com:*", "registry.example.com:5000/app", False),
    "the path": ("registry.example.com/team", "registry.example.com/team/app", True),
    "a path is a prefix of text": ("registry.example.com/te", "registry.example.com/team/app", True),
    "another path": ("registry.example.com/other", "registry.example.com/team/app", False),
    "a path ends before the tag": ("registry.example.com/team/app:1", "registry.example.com/team/app:1", False),
    "a path that is globbed": ("registry.example.com/*", "registry.example.com/team/app", False),
    "Docker Hub by its name": ("docker.io", "nginx", True),
    "Docker Hub's library": ("docker.io/library", "nginx", True),
    "Docker Hub by its index": ("index.docker.io", "nginx", False),
    "an address and its port": ("[::1]:5000", "[::1]:5000/app", True),
    "an address alone": ("[::1]", "[::1]/app", False),
    "a host without dots": ("localhost", "localhost/app", True),
    "what is no URL": ("registry.example.com:x", "registry.example.com/app", False),
}


@pytest.mark.parametrize(("pattern", "image", "expected"), MATCHES.values(), ids=list(MATCHES))
def test_patterns_match_images(pattern: str, image: str, expected: bool) -> None:
    """The kubelet's rules, one case each."""
    assert matches(pattern, Reference.parse(image)) is expected


def entries(*keys: str) -> list[Entry]:
    """Entries whose users are named for their keys."""
    return [Entry(key, Credential(key, "secret")) for key in keys]


ORDER = {
    "longer keys first": (
        ["registry.example.com", "registry.example.com/team", "registry.example.com/team/app"],
        "registry.example.com/team/app",
        ["registry.example.com/team/app", "registry.example.com/team", "registry.example.com"],
    ),
    "names before globs": (
        ["*.example.com", "registry.example.com", "regis*.example.com"],
        "registry.example.com/app",
        ["registry.example.com", "regis*.example.com", "*.example.com"],
    ),
    "nothing that matches": (["registry.example.com"], "other.example.com/app", []),
    "Docker Hub's own key where no other matches": (["index.docker.io", "quay.io"], "nginx", ["index.docker.io"]),
    "another key before Docker Hub's own": (["index.docker.io", "docker.io"], "nginx", ["docker.io"]),
    "Docker Hub's key for no other host": (["index.docker.io"], "localhost/app", []),
    "Docker Hub by the name of its index": (["index.docker.io"], "index.docker.io/library/nginx", ["index.docker.io"]),
}


@pytest.mark.parametrize(("keys", "image", "users"), ORDER.values(), ids=list(ORDER))
def test_all_that_match_come_in_order(keys: list[str], image: str, users: list[str]) -> None:
    """By key, in reverse; Docker Hub's own where there is no other."""
    assert [each.username for each in matching(entries(*keys), Reference.parse(image))] == users


def test_secrets_of_equal_keys_keep_their_order() -> None:
    """Two Secrets for the same host are tried as the pod names them; equal credentials once."""
    first, second = Credential("first", "1"), Credential("second", "2")
    given = [Entry("r.io", first), Entry("r.io/app", second), Entry("r.io", second), Entry("r.io", first)]
    assert matching(given, Reference.parse("r.io/app")) == [second, first]


def encoded(text: str) -> str:
    """Base64, as configurations have it."""
    return b64encode(text.encode()).decode()


VALUES: dict[str, tuple[object, Credential | None]] = {
    "auth": ({"auth": encoded("alice:secret")}, Credential("alice", "secret")),
    "auth without padding": ({"auth": encoded("alice:secre").rstrip("=")}, Credential("alice", "secre")),
    "auth with line feeds": (
        {"auth": f"{encoded('alice:secret')[:8]}\n{encoded('alice:secret')[8:]}\n"},
        Credential("alice", "secret"),
    ),
    "a password with colons": ({"auth": encoded("alice:a:b:")}, Credential("alice", "a:b:")),
    "no password": ({"auth": encoded("alice:")}, Credential("alice", "")),
    "letters beyond ASCII": ({"auth": encoded("älice:sécret")}, Credential("älice", "sécret")),
    "name and password": ({"username": "alice", "password": "secret"}, Credential("alice", "secret")),
    "other letters": ({"Username": "alice", "PASSWORD": "secret"}, Credential("alice", "secret")),
    "auth before name and password": (
        {"username": "bob", "password": "wrong", "auth": encoded("alice:secret")},
        Credential("alice", "secret"),
    ),
    "an email address beside": (
        {"username": "alice", "password": "secret", "email": "alice@example.com"},
        Credential("alice", "secret"),
    ),
    "an identity token alone": ({"identitytoken": "eyJ"}, None),
    "nothing": ({}, None),
    "null": (None, None),
    "auth without a colon": ({"auth": encoded("alice")}, None),
    "auth that is no base64": ({"auth": "a!b=", "username": "alice", "password": "secret"}, None),
    "auth that is cut": ({"auth": "abcde"}, None),
    "auth that is no text": ({"auth": b64encode(b"\xff:\xff").decode()}, None),
    "a name that is no text": ({"username": 1, "password": "secret"}, None),
    "a list": (["alice"], None),
}


@pytest.mark.parametrize(("value", "credential"), VALUES.values(), ids=list(VALUES))
def test_entries_have_names_and_passwords(value: object, credential: Credential | None) -> None:
    """By ``auth`` or by fields; what the kubelet can't use is left out, and the others stay."""
    auths = {"r.io": value, "other.io": {"auth": encoded("bob:secret")}}
    expected = ([] if credential is None else [Entry("r.io", credential)]) + [
        Entry("other.io", Credential("bob", "secret"))
    ]
    assert list(parse_config(json.dumps({"auths": auths, "credsStore": "osxkeychain"}).encode())) == expected
    assert list(parse_legacy(json.dumps(auths).encode())) == expected


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"auths"', b"null", b'{"auths": []}', b"[" * 100_000])
def test_what_is_no_configuration(content: bytes) -> None:
    """It is refused without a word of what it says."""
    with pytest.raises(Malformed) as caught:
        parse_config(content)
    assert str(caught.value) in {"it is not a JSON object", "auths is not an object"}
    assert caught.value.__cause__ is None


def test_no_entries() -> None:
    """A configuration need not have any."""
    assert parse_config(b"{}") == parse_config(b'{"auths": null}') == parse_config(b'{"auths": {}}') == ()


AUTHS = {"r.io": {"auth": encoded("alice:secret")}}
ALICE = (Entry("r.io", Credential("alice", "secret")),)
SECRETS = {
    "config.json": (CONFIG_JSON, {".dockerconfigjson": encoded(json.dumps({"auths": AUTHS}))}, ALICE),
    "dockercfg": (CONFIG, {".dockercfg": encoded(json.dumps(AUTHS))}, ALICE),
    "the other's field": (CONFIG, {".dockerconfigjson": encoded(json.dumps({"auths": AUTHS}))}, ()),
    "another type": ("Opaque", {".dockerconfigjson": encoded(json.dumps({"auths": AUTHS}))}, ()),
    "no data": (CONFIG_JSON, None, ()),
    "empty": (CONFIG_JSON, {".dockerconfigjson": ""}, ()),
}


@pytest.mark.parametrize(("kind", "data", "expected"), SECRETS.values(), ids=list(SECRETS))
def test_secrets_are_read_by_their_type(kind: str, data: dict[str, str] | None, expected: tuple[Entry, ...]) -> None:
    """Each type has its field and its form; what is no pull secret has no entries."""
    assert parse_secret({"type": kind, "data": data}) == expected


@pytest.mark.parametrize("value", ["?", encoded("{"), encoded("[]"), 5])
def test_secrets_that_are_damaged(value: object) -> None:
    """They are refused as such."""
    with pytest.raises(Malformed):
        parse_secret({"type": CONFIG_JSON, "data": {".dockerconfigjson": value}})


def test_passwords_are_not_shown() -> None:
    """Nobody prints them by accident."""
    assert "secret" not in repr(ALICE)


@given(st.text(alphabet="ab.:/*[]%@?# 0é\n", max_size=20))
def test_any_text_is_a_key_or_none(text: str) -> None:
    """Nothing that a Secret says makes it fail, and what has become a key can be matched."""
    key = key_of(text)
    assert key is None or matches(key, Reference.parse("a.b/c")) in {True, False}
