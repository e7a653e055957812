"""Kubeconfigs that can't be used: one line, by the process itself, with status 2."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rightarch.cluster import Cluster
from rightarch.errors import SettingsError
from rightarch.kubeconfig import Unusable, check, choose, namespace
from tests.unit.test_cli import run


def config(**parts: Any) -> dict[str, Any]:  # noqa: ANN401 - YAML
    """A kubeconfig that is fine, with other members where given."""
    usual = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "me"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443"}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
    }
    return {name: value for name, value in (usual | parts).items() if value is not None}


def server(url: object) -> dict[str, Any]:
    """A kubeconfig of an API server at a URL."""
    return config(clusters=[{"name": "c", "cluster": {"server": url}}])


def plugin(**exec_: object) -> dict[str, Any]:
    """A kubeconfig whose credentials come of a program."""
    usual = {"apiVersion": "client.authentication.k8s.io/v1"}
    return config(users=[{"name": "me", "user": {"exec": usual | exec_}}])


BROKEN: list[tuple[object, str]] = [
    ("a: [b", "it is not YAML: line 1, column 6: expected ',' or ']'"),
    ("a: \x00", "it is not YAML: unacceptable character"),
    ("", "it is no YAML mapping"),
    ("just text", "it is no YAML mapping"),
    (config(**{"current-context": None}), "current-context is not set"),
    (config(**{"current-context": "there"}), "current-context is 'there', which is not among its contexts"),
    (config(contexts=None), "current-context is 'here', which is not among its contexts"),
    (config(contexts=7), "contexts is no list"),
    (config(clusters=[]), "the current context's cluster is 'c', which is not among its clusters"),
    (config(users=[]), "the current context's user is 'me', which is not among its users"),
    (config(users=[{"name": "me", "user": "x"}]), "user 'me' is no YAML mapping"),
    (server(None), "the current context's cluster has no server; it is https://HOST:PORT"),
    (server("nonsense"), "the server 'nonsense' is no URL of an API server"),
    (server("https://"), "the server 'https://' is no URL"),
    (server("ftp://127.0.0.1"), "the server 'ftp://127.0.0.1' is no URL"),
    (server("https://127.0.0.1:port"), "the server 'https://127.0.0.1:port' is no URL"),
    (server("https://[::1"), "the server 'https://[::1' is no URL"),
    (plugin(), "the user's exec has no command"),
    (plugin(command="no-such-program"), "come of the program 'no-such-program', which is not found; install it"),
    (plugin(command="no-such-program", installHint="Ask\nme."), "which is not found; Ask me."),
]


@pytest.mark.parametrize(("content", "said"), BROKEN)
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, content: object, said: str) -> None:
    """Where it is, and what should be there."""
    path = tmp_path / "config"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(Unusable) as caught:
        check(path)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "content",
    [
        config(),
        config(users=None, contexts=[{"name": "here", "context": {"cluster": "c"}}]),
        config(users=[{"name": "me", "user": None}]),
        server("http://localhost:8080/prefix"),
        server("https://[::1]:6443"),
        plugin(command=sys.executable),
    ],
)
def test_what_is_fine_passes(tmp_path: Path, content: object) -> None:
    """Nobody needs credentials, and what else is there is not looked at."""
    (tmp_path / "config").write_text(yaml.safe_dump(content))
    check(tmp_path / "config")


async def test_what_only_the_client_finds_is_said_in_a_line_too(tmp_path: Path) -> None:
    """It meets a certificate that is no base64, or a token that is no text, with errors of its own."""
    for number, user in enumerate(({"client-certificate-data": "€"}, {"auth-provider": 5})):
        path = tmp_path / f"config-{number}"
        path.write_text(yaml.safe_dump(config(users=[{"name": "me", "user": user}])))
        with pytest.raises(SettingsError) as caught:
            await Cluster.connect(path)
        assert str(caught.value).startswith(f"--kubeconfig {path}: ")
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("content", ["a: [b", yaml.safe_dump(config(users=[])), yaml.safe_dump(server("nonsense"))])
def test_the_process_ends_with_status_2(tmp_path: Path, content: str) -> None:
    """Before it serves anything: nothing is tried again for ever."""
    path = tmp_path / "config"
    path.write_text(content)
    done = run("controller", "--namespace=default", "--health-port=18099", f"--kubeconfig={path}")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"rightarch: --kubeconfig {path}: ")


def named(name: str, **context: str) -> dict[str, Any]:
    """A kubeconfig with one context of a name."""
    return config(**{"current-context": name, "contexts": [{"name": name, "context": {"cluster": "c", **context}}]})


def test_one_of_several_is_chosen_as_kubectl_does(tmp_path: Path) -> None:
    """The first that tells a current context tells it; a named one is sought in all; nobody's is told of."""
    files = [tmp_path / name for name in ("none", "one", "two")]
    for file, content in zip(
        files, (config(contexts=[], **{"current-context": ""}), named("a"), named("b")), strict=True
    ):
        file.write_text(yaml.safe_dump(content))
    assert choose(files) == files[1]
    assert choose(files, "b") == files[2]
    assert choose(files[:1], "whatever") == files[0]
    with pytest.raises(Unusable, match=r"none of .*none, .*one, .*two has the context 'c'"):
        choose(files, "c")


def test_the_namespace_of_a_context(tmp_path: Path) -> None:
    """Of the current one or a named one; default where it names none."""
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(named("a", namespace="shop")))
    assert (namespace(file), namespace(file, "a")) == ("shop", "shop")
    with pytest.raises(Unusable, match="the context is 'b', which is not among its contexts"):
        namespace(file, "b")
    file.write_text(yaml.safe_dump(named("a")))
    assert namespace(file) == "default"
