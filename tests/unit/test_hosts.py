"""Hosts: containerd's files and our own configuration, read as the nodes read them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from rightarch.errors import SettingsError
from rightarch.reference import Reference
from rightarch.registry.configuration import Configuration
from rightarch.registry.endpoint import Endpoint, Way
from rightarch.registry.hosts import Hosts, parse

FOLDER = Path("/certs.d/docker.io")
HUB = Reference.parse("nginx:1")


def url(text: str) -> httpx.URL:
    """A URL."""
    return httpx.URL(text)


def test_a_file_of_all_kinds_of_hosts() -> None:
    """Hosts in the order of the file, the server last; paths are relative to the file's folder."""
    content = b"""
server = "https://registry-1.docker.io"
ca = "/etc/default.pem"

[host."https://mirror.example"]
  capabilities = ["pull"]
  ca = ["a.pem", "/etc/b.pem"]
  [host."https://mirror.example".header]
    x-one = "1"
    x-two = ["2", "3"]

[host."http://plain.example:5000/us/"]
  capabilities = ["Pull", "Resolve", "push", "referrers"]
  skip_verify = true

[host."prefix.example/v2/team"]
  override_path = true
  client = [["c.pem", "k.pem"], "both.pem", ["also-both.pem", ""]]
  dial_timeout = "3s"
"""
    assert parse(content, FOLDER) == (
        Endpoint(
            url("https://mirror.example/v2"),
            resolve=False,
            way=Way(ca=(FOLDER / "a.pem", Path("/etc/b.pem"))),
            headers=(("x-one", "1"), ("x-two", "2"), ("x-two", "3")),
        ),
        Endpoint(url("http://plain.example:5000/us/v2"), way=Way(skip_verify=True, plain=True)),
        Endpoint(
            url("https://prefix.example/v2/team"),
            way=Way(
                client=(
                    (FOLDER / "c.pem", FOLDER / "k.pem"),
                    (FOLDER / "both.pem", None),
                    (FOLDER / "also-both.pem", None),
                )
            ),
        ),
        Endpoint(url("https://registry-1.docker.io/v2"), way=Way(ca=(Path("/etc/default.pem"),))),
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("host = 1", "host must be a table, and is a number"),
        ("[host.x]\ncapabilities = ['fly']", "unknown capability 'fly'; they are pull, push, referrers, resolve"),
        ("[host.'ftp://x']", "not of http or https, or names a user: 'x'"),
        ("[host.'https://a:b@x']", "or names a user: 'x'"),
        ("[host.x]\nclient = [['a']]", "it must be a certificate and its key"),
        ("[host.x]\nca = 1", "ca must be a list, and is a number"),
        ("server = 1", "server must be text, and is a number"),
        ("server = ", "Invalid value"),
    ],
)
def test_files_that_are_wrong(content: str, told: str, tmp_path: Path) -> None:
    """The process does not start, and says which file and what."""
    folder = tmp_path / "docker.io"
    folder.mkdir()
    (folder / "hosts.toml").write_text(content)
    with pytest.raises(SettingsError, match=r"hosts\.toml") as caught:
        Hosts({}, tmp_path)
    assert told in str(caught.value)


def test_folders_are_found_as_containerd_finds_them(tmp_path: Path) -> None:
    """By host and port in two spellings, then the default; certificates alone stand for the registry itself."""
    for name, host in {"registry.example_5000_": "one", "_default": "other"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "hosts.toml").write_text(f'[host."https://{host}.example"]')
    secure = tmp_path / "secure.example"
    secure.mkdir()
    for name in ("ca.crt", "me.cert", "me.key"):
        (secure / name).touch()
    hosts = Hosts({}, tmp_path)

    def found(name: str) -> list[str]:
        return [str(each.url) for each in hosts.of(Reference.parse(name))]

    assert found("registry.example:5000/a:1") == ["https://one.example/v2", "https://registry.example:5000/v2"]
    assert found("registry.example/a:1") == ["https://other.example/v2", "https://registry.example/v2"]
    assert found("nginx") == ["https://other.example/v2", "https://registry-1.docker.io/v2"]
    (itself,) = hosts.of(Reference.parse("secure.example/a:1"))
    assert itself.url == url("https://secure.example/v2")
    assert itself.way == Way((secure / "ca.crt",), ((secure / "me.cert", secure / "me.key"),))


def test_mirrors_are_told_whose_images_are_asked_for() -> None:
    """The parameter ``ns`` names the registry as references do; the registry itself is told nothing."""
    mirror, itself = Endpoint(url("https://mirror.example/v2")), Endpoint(url("https://registry-1.docker.io/v2"))
    assert mirror.locate(HUB, "manifests/1") == url("https://mirror.example/v2/library/nginx/manifests/1?ns=docker.io")
    assert itself.locate(HUB, "manifests/1") == url("https://registry-1.docker.io/v2/library/nginx/manifests/1")


@pytest.mark.parametrize(
    "host",
    [
        "registry.example",
        "Registry.Example:5000",
        "registry.example:443",
        "registry.example:80",
        "10.0.0.1:443",
        "[2001:DB8::1]",
        "[2001:db8::1]:443",
        "[2001:db8::1]:5000",
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_a_registry_is_itself_however_it_is_written(host: str, *, plain: bool) -> None:
    """Else it would be taken for a mirror, which sees no credential. URLs leave out the usual port."""
    itself = Endpoint(httpx.URL(), way=Way(plain=plain))
    (found,) = Hosts({host: (itself,)}, None).of(Reference.parse(f"{host}/a:1"))
    assert found.is_origin(Reference.parse(f"{host}/a:1"))
    assert not found.is_origin(Reference.parse("registry.example:5001/a:1"))
    assert not found.is_origin(Reference.parse("[2001:db8::1]:5001/a:1"))


def test_our_own_configuration(tmp_path: Path) -> None:
    """YAML or JSON; what is not said is as for any registry."""
    ca = tmp_path / "ca.pem"
    ca.touch()
    file = tmp_path / "registries.yaml"
    file.write_text(f"""
registries:
  - host: docker.io
    tokenRealms: ["auth.example:8443"]
    mirrors:
      - url: mirror.example:5000/hub
        capabilities: [pull]
        sendCredentials: true
        headers: {{x-one: "1"}}
  - host: plain.example:5000
    plainHTTP: true
  - host: "*"
    caFile: {ca}
    skipVerify: true
""")
    read = Configuration.load(file)
    assert read.realms() == {"registry-1.docker.io": frozenset({"auth.example"})}
    hosts = Hosts(read.endpoints(), None)
    first, second = hosts.of(HUB)
    assert first == Endpoint(
        url("https://mirror.example:5000/hub/v2"), resolve=False, headers=(("x-one", "1"),), credentials=True
    )
    assert second == Endpoint(url("https://registry-1.docker.io/v2"))
    (plain,) = hosts.of(Reference.parse("plain.example:5000/a:1"))
    assert plain == Endpoint(url("http://plain.example:5000/v2"), way=Way(plain=True))
    (other,) = hosts.of(Reference.parse("other.example/a:1"))
    assert other == Endpoint(url("https://other.example/v2"), way=Way((ca,), skip_verify=True))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("registries: [{host: a.example, mirror: []}]", "registries.0.mirror: there is no such setting"),
        ("registries: [{host: 'https://a.example'}]", "registries.0.host: this is no host, as images name it"),
        ("registries: [{host: a, caFile: /no/such/file}]", "registries.0.caFile: Path does not point to a file"),
        ("registries: [{host: a, mirrors: [{url: x, capabilities: [push]}]}]", "registries.0.mirrors.0.capabilities.0"),
        ("registries: [{host: a, mirrors: [{url: 'ftp://x'}]}]", "a host's URL is none"),
        ("registries: [{host: a}, {host: b}, {host: a}]", "registries.yaml: registries: a: each is configured once"),
        ("registries: [{host: index.docker.io}]", "registries.0: index.docker.io is docker.io"),
        ("registries: [{host: '*', tokenRealms: [a.example]}]", "the passwords of all registries"),
        ("registries: [{host: a, tokenRealms: ['[1:2]']}]", "'[1:2]' is no host"),
        ("registries: {", "registries.yaml"),
        ("- 1", "registries.yaml: this must be a table of settings"),
    ],
)
def test_a_configuration_that_is_wrong(content: str, told: str, tmp_path: Path) -> None:
    """Each mistake is told with its place in the file."""
    file = tmp_path / "registries.yaml"
    file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        Configuration.load(file)
    assert told in str(caught.value)
