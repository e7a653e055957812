"""Kubeconfigs, checked before the client reads them: what it says of a broken one names neither the place nor a remedy.

Only what the context in use leads to is looked at.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml


class Unusable(ValueError):
    """A kubeconfig can't be used; the text says where, in one line."""


def check(path: Path, name: str | None = None) -> None:
    """Find what is wrong with a kubeconfig.

    Args:
        path: the file.
        name: of the context that is used; None for the current one.

    Raises:
        Unusable: with the first thing that is.
        OSError: it can't be read.
    """
    config = _object(_read(path), "it")
    context = _context(config, name)
    cluster = _named(config, "clusters", "cluster", context.get("cluster"), "the current context's cluster")
    check_server(cluster.get("server"))
    if context.get("user"):
        _check_plugin(_named(config, "users", "user", context["user"], "the current context's user"))


def choose(paths: Sequence[Path], name: str | None = None) -> Path:
    """Which of several kubeconfigs has the context that is used; as kubectl, the first that tells one tells it.

    Args:
        paths: at least one.
        name: of the context; None for the current one.

    Raises:
        Unusable: none has it, or a file is no kubeconfig.
        OSError: a file can't be read.
    """
    if len(paths) == 1:
        return paths[0]
    configs = {path: _object(_read(path), str(path)) for path in paths}
    wanted = name or next((each["current-context"] for each in configs.values() if each.get("current-context")), None)
    for path, config in configs.items():
        entries = config.get("contexts")
        if any(isinstance(each, dict) and each.get("name") == wanted for each in entries or ()):
            return path
    raise Unusable(f"none of {', '.join(map(str, paths))} has the context {_shown(str(wanted))}")


def namespace(path: Path, name: str | None = None) -> str:
    """The namespace of a context; ``default`` where it names none.

    Args:
        path: a kubeconfig.
        name: of the context; None for the current one.

    Raises:
        Unusable: there is no such context.
        OSError: the file can't be read.
    """
    config = _object(_read(path), "it")
    return str(_context(config, name).get("namespace") or "default")


def _context(config: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    said = "current-context" if name is None else "the context"
    return _named(config, "contexts", "context", config.get("current-context") if name is None else name, said)


def check_server(server: object) -> None:
    """Find what is wrong with the URL of an API server.

    Raises:
        Unusable: it is none.
    """
    wanted = "it is https://HOST:PORT"
    if not isinstance(server, str):
        raise Unusable(f"the current context's cluster has no server; {wanted}")
    try:
        url = urlsplit(server)
        usable = url.scheme in {"https", "http"} and url.hostname and url.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        usable = False
    if not usable:
        raise Unusable(f"the server {_shown(server)} is no URL of an API server; {wanted}")


def _read(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_bytes())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Unusable(f"it is not YAML: {where}{error.problem}") from None
    except yaml.YAMLError as error:
        raise Unusable(f"it is not YAML: {' '.join(str(error).split())}") from None


def _named(config: Mapping[str, Any], kind: str, member: str, name: object, what: str) -> Mapping[str, Any]:
    """What an entry of a name has, in one of the lists of a kubeconfig."""
    if not isinstance(name, str) or not name:
        raise Unusable(f"{what} is not set")
    entries = config.get(kind) or []
    if not isinstance(entries, list):
        raise Unusable(f"{kind} is no list")
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name") == name:
            return _object(entry.get(member) or {}, f"{member} {_shown(name)}")
    raise Unusable(f"{what} is {_shown(name)}, which is not among its {kind}")


def _check_plugin(user: Mapping[str, Any]) -> None:
    """A plugin that is missing would fail at each request, with the number of an error and no name."""
    if not user.get("exec"):
        return
    plugin = _object(user["exec"], "the user's exec")
    command = plugin.get("command")
    if not isinstance(command, str) or not command:
        raise Unusable("the user's exec has no command")
    if shutil.which(command) is None:
        hint = " ".join(str(plugin.get("installHint") or "install it, or name another user").split())
        raise Unusable(f"its user's credentials come of the program {_shown(command)}, which is not found; {hint}")


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unusable(f"{what} is no YAML mapping")
    return value


def _shown(text: str, limit: int = 200) -> str:
    return repr(text if len(text) <= limit else f"{text[:limit]}…")
