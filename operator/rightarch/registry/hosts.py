"""Hosts: which endpoints a registry has, by the configuration and by containerd's own files.

Sources: containerd's documentation of ``hosts.toml`` and its ``core/remotes/docker/config``.
"""

import logging
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from posixpath import normpath
from typing import Any, Final

import httpx

from rightarch.errors import SettingsError
from rightarch.reference import Reference
from rightarch.registry.endpoint import Endpoint, Way, origin
from rightarch.registry.location import is_plain
from rightarch.registry.memory import Recent

DEFAULT: Final = "_default"
"""The name under which containerd's folder, and our configuration, have what holds for all other registries."""
_FILE: Final = "hosts.toml"
_CAPABILITIES: Final = frozenset({"pull", "resolve", "push", "referrers"})
_SECONDS: Final = 10.0
_REMEMBERED: Final = 1024

_log = logging.getLogger(__name__)


class Hosts:
    """Tells the endpoints of registries, mirrors first and the registry itself last.

    Args:
        configured: endpoints by registry, or ``_default``; they go before those of the folder. One with an empty URL
            stands for the registry itself.
        folder: containerd's folder of hosts (``certs.d``); read when it is needed, and again after ten seconds.

    Raises:
        SettingsError: a file of the folder can't be read.
    """

    def __init__(self, configured: Mapping[str, Sequence[Endpoint]], folder: Path | None) -> None:
        self._configured, self._folder = configured, folder
        self._read: Recent[str, tuple[float, tuple[Endpoint, ...]]] = Recent(_REMEMBERED)
        if folder is not None:
            for file in sorted(folder.glob(f"*/{_FILE}")):
                _checked(file)

    def of(self, reference: Reference) -> Sequence[Endpoint]:
        """The endpoints to ask for a reference, in order.

        Raises:
            UnreadableImage: InvalidReference, where its registry can't be contacted by its name.
        """
        found = self._configured.get(reference.domain) or self._in_folder(reference.domain)
        found = found or self._configured.get(DEFAULT) or ()
        if not found:
            return (origin(reference),)
        return [each if each.url.host else _itself(each, reference) for each in found]

    def _in_folder(self, domain: str) -> tuple[Endpoint, ...]:
        if self._folder is None:
            return ()
        held, now = self._read.get(domain), time.monotonic()
        if held is None or now >= held[0]:
            held = now + _SECONDS, _load(self._folder, domain)
            self._read.put(domain, held)
        return held[1]


def _checked(file: Path) -> None:
    try:
        parse(file.read_bytes(), file.parent)
    except OSError as error:
        raise SettingsError(f"{file} can't be read: {error.strerror}") from None


def _itself(configured: Endpoint, reference: Reference) -> Endpoint:
    """The registry itself, connected to as is configured for it."""
    way = configured.way
    url = origin(reference, plain=way is not None and way.plain).url
    return Endpoint(url, configured.resolve, configured.pull, way, configured.headers)


def _load(folder: Path, domain: str) -> tuple[Endpoint, ...]:
    """What the first of the folder's directories for a registry says; nothing where it has none."""
    found = next((path for name in _names(domain) if (path := folder / name).is_dir()), None)
    if found is None:
        return ()
    try:
        return parse((found / _FILE).read_bytes(), found)
    except FileNotFoundError:
        return _certificates(found)
    except (OSError, SettingsError) as error:
        _log.warning("passed over a registry's hosts: %s", error)
        return _certificates(found)


def _names(domain: str) -> list[str]:
    host, colon, port = domain.rpartition(":")
    return [*([f"{host}_{port}_"] if colon else []), domain, DEFAULT]


def _certificates(folder: Path) -> tuple[Endpoint, ...]:
    """Docker's layout: authorities in ``*.crt``, client certificates in ``*.cert``, their keys in ``*.key``."""
    pairs = [(cert, key if (key := cert.with_suffix(".key")).exists() else None) for cert in folder.glob("*.cert")]
    way = Way(tuple(sorted(folder.glob("*.crt"))), tuple(sorted(pairs)))
    return (Endpoint(httpx.URL(), way=way),) if way != Way() else ()


def parse(content: bytes, folder: Path) -> tuple[Endpoint, ...]:
    """The endpoints of a ``hosts.toml``: its hosts in their order, then the server, or the registry itself.

    Args:
        content: of the file.
        folder: where it is, to which its paths are relative.

    Raises:
        SettingsError: the file is not one; says where and what is wrong.
    """
    where = str(folder / _FILE)
    try:
        table = tomllib.loads(content.decode())
        hosts = _typed(table.get("host", {}), dict, "host")
        return (*(_endpoint(url, each, folder) for url, each in hosts.items()), _server(table, folder))
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{where}: {error}") from None
    except RecursionError:
        raise SettingsError(f"{where}: it is nested too deeply") from None


def _server(table: Mapping[str, Any], folder: Path) -> Endpoint:
    return _endpoint(_typed(table.get("server", ""), str, "server"), table, folder)


def _endpoint(server: str, table: object, folder: Path) -> Endpoint:
    settings = _typed(table, dict, f"host {server!r}")
    given = {str(each).lower() for each in _typed(settings.get("capabilities", []), list, "capabilities")}
    if unknown := given - _CAPABILITIES:
        raise ValueError(f"unknown capability {min(unknown)!r}; they are {', '.join(sorted(_CAPABILITIES))}")
    url = located(server, override=_flag(settings, "override_path")) if server else httpx.URL()
    pull, resolve = (not given or name in given for name in ("pull", "resolve"))
    way = _way(settings, folder, plain=url.scheme == "http")
    headers = tuple(_headers(_typed(settings.get("header", {}), dict, "header")))
    return Endpoint(url, resolve, pull, None if way == Way() else way, headers)


def located(server: str, *, override: bool) -> httpx.URL:
    """The root of a host's API, from how it is written: https where no scheme is, ``/v2`` added where it lacks.

    Raises:
        ValueError: it is no URL of a host.
    """
    try:
        url = httpx.URL(server if "://" in server else f"https://{server}")
    except httpx.InvalidURL as error:
        raise ValueError(f"{server!r} is no URL: {error}") from None
    if url.scheme not in {"http", "https"} or not is_plain(url) or url.userinfo:
        raise ValueError(f"a host's URL is none, or not of http or https, or names a user: {url.host!r}")
    path = normpath(url.path).rstrip("/")
    path = path if override or path.endswith("/v2") else f"{path}/v2"
    return httpx.URL(f"{url.scheme}://{url.netloc.decode()}{path}")


def _way(settings: Mapping[str, Any], folder: Path, *, plain: bool) -> Way:
    authorities = tuple(folder / _typed(each, str, "ca") for each in _listed(settings, "ca"))
    pairs = tuple(_pair(each, folder) for each in _listed(settings, "client"))
    return Way(authorities, pairs, _flag(settings, "skip_verify"), plain)


def _listed(settings: Mapping[str, Any], name: str) -> list[Any]:
    """The items of a list, or the one that stands for itself."""
    value = settings.get(name, [])
    listed: list[Any] = [value] if isinstance(value, str) else _typed(value, list, name)
    return listed


def _flag(settings: Mapping[str, Any], name: str) -> bool:
    """A flag: text that says "false" would be taken for true."""
    return bool(_typed(settings.get(name, False), bool, name))


def _pair(client: object, folder: Path) -> tuple[Path, Path | None]:
    if isinstance(client, str):
        return folder / client, None
    names = [_typed(each, str, "client") for each in _typed(client, list, "client")]
    if len(names) != 2:
        raise ValueError(f"client has {names}: it must be a certificate and its key")
    return folder / names[0], folder / names[1] if names[1] else None


def _headers(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    values = {name: _listed(table, name) for name in table}
    return [(name, _typed(value, str, f"header {name}")) for name, each in values.items() for value in each]


_WORDS: Final = {str: "text", list: "a list", dict: "a table", bool: "true or false", int: "a number"}


def _typed(value: Any, kind: type, what: str) -> Any:  # noqa: ANN401 - what a file has is not known before
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be {_WORDS[kind]}, and is {_WORDS.get(type(value), 'something else')}")
    return value
