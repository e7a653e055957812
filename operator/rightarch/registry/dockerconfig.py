"""Docker's configuration of credentials: which of them match an image, as the kubelet tells. Pure.

Pull secrets hold it, of the types ``kubernetes.io/dockerconfigjson`` and ``kubernetes.io/dockercfg``; the first is the
form of Docker's own ``config.json`` as well. Source: the kubelet's ``pkg/credentialprovider`` (``config.go``,
``keyring.go``, ``secrets/secrets.go``) of Kubernetes 1.36, and ``net/url`` of Go, by which it reads the keys.
"""

import re
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import unquote_to_bytes

import orjson

from rightarch.reference import DOCKER_HUB, Reference
from rightarch.registry.keychain import Credential

CONFIG_JSON: Final = "kubernetes.io/dockerconfigjson"
CONFIG: Final = "kubernetes.io/dockercfg"
_FIELDS: Final = {CONFIG_JSON: ".dockerconfigjson", CONFIG: ".dockercfg"}
"""Where a Secret has its configuration, by its type."""

_HUB_KEY: Final = "index.docker.io"
"""What Docker Hub's ``https://index.docker.io/v1/`` becomes."""
_SCHEMES: Final = ("https://", "http://")
_VERSIONS: Final = ("/v1/", "/v2/")
_PORT: Final = re.compile(r"(?::[0-9]*)?", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=<>\"\]\x80-\U0010ffff-]*")
_USER: Final = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*", re.ASCII)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Malformed(ValueError):
    """No configuration of credentials. The text says nothing of its content."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A credential, and what it is for.

    Attributes:
        key: a host, with a port if it has one and ``*`` where any part of a name may stand, and perhaps a path.
        credential: the name and password.
    """

    key: str
    credential: Credential


def parse_config(content: bytes) -> tuple[Entry, ...]:
    """The entries of a ``config.json``, in its order: what is under ``auths``.

    Entries that the kubelet can't use are left out: without a name, with ``identitytoken`` alone, with a key that is
    no URL.

    Raises:
        Malformed: it is not a JSON object, or its ``auths`` is none.
    """
    auths = _field(_object(content), "auths")
    if auths is not None and not isinstance(auths, dict):
        raise Malformed("auths is not an object")
    return tuple(_entries(auths or {}))


def parse_legacy(content: bytes) -> tuple[Entry, ...]:
    """The entries of a ``.dockercfg``, whose keys stand at the top.

    Raises:
        Malformed: it is not a JSON object.
    """
    return tuple(_entries(_object(content)))


def parse_secret(secret: Mapping[str, object]) -> tuple[Entry, ...]:
    """The entries of a raw Secret; none where it is of another type, or empty.

    Raises:
        Malformed: its content is no configuration.
    """
    kind = secret.get("type")
    data = secret.get("data") or {}
    field = _FIELDS.get(kind) if isinstance(kind, str) else None
    encoded = data.get(field) if field and isinstance(data, dict) else None
    if not encoded:
        return ()
    try:
        content = b64decode(encoded)
    except (NoBase64, TypeError, ValueError):
        raise Malformed("its data is not base64") from None
    return parse_config(content) if kind == CONFIG_JSON else parse_legacy(content)


def key_of(location: str) -> str | None:
    """The key that a location becomes, such as ``https://host/v1/`` or ``host/path``; None for what is no URL."""
    schemed = location if location.startswith(_SCHEMES) else f"{_SCHEMES[0]}{location}"
    parsed = _parsed(schemed.partition("://")[2])
    if parsed is None:
        return None
    host, path = parsed
    if path.startswith(_VERSIONS):
        path = path[3:]
    return host if path in {"", "/"} else host + path


def matching(entries: Iterable[Entry], reference: Reference) -> list[Credential]:
    """All credentials for an image, in the order in which they are to be tried: the longest key first.

    Of several Secrets, pass the entries of all of them at once, in the order in which the pod names them: keys come
    before the order of Secrets.

    Other than the kubelet's, Docker Hub's credentials are for ``docker.io`` alone: it also sends them to hosts without
    a dot and a port, of which Docker once thought that they are users of Docker Hub.
    """
    ordered = sorted(entries, key=lambda entry: entry.key, reverse=True)
    found = [entry.credential for entry in ordered if matches(entry.key, reference)]
    if not found and reference.domain == DOCKER_HUB:
        found = [entry.credential for entry in ordered if entry.key == _HUB_KEY]
    return list(dict.fromkeys(found))


def matches(pattern: str, reference: Reference) -> bool:
    """Whether a key, or one of a plugin's ``matchImages``, is for an image.

    As many parts between the dots, each the same or matched by its ``*``; the same port; the path a string prefix.
    """
    parsed = _parsed(pattern)
    if parsed is None:
        return False
    host, path = parsed
    parts, port = _split(host)
    target, target_port = _split(reference.domain)
    same = port == target_port and len(parts) == len(target) and f"/{reference.path}".startswith(path)
    return same and all(map(_globs, parts, target))


def is_pattern(text: str) -> bool:
    """Whether ``matches`` can understand a pattern."""
    return _parsed(text) is not None


def _object(content: bytes) -> dict[str, object]:
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Malformed("it is not a JSON object")
    return parsed


def _entries(auths: Mapping[str, object]) -> Iterator[Entry]:
    for location, value in auths.items():
        key = key_of(location)
        credential = _credential(value) if isinstance(value, dict) else None
        if key is not None and credential is not None:
            yield Entry(key, credential)


def _credential(value: Mapping[str, object]) -> Credential | None:
    """The name and password of an entry: of ``auth`` if it is given, else of fields of their own."""
    auth, username, password = (_field(value, name) or "" for name in ("auth", "username", "password"))
    if isinstance(auth, str) and auth:
        username, password = _decoded(auth) or ("", "")
    if not isinstance(username, str) or not isinstance(password, str) or not username:
        return None
    return Credential(username, password)


def _field(value: Mapping[str, object], name: str) -> object:
    """A member by its name, in any case, as Go reads it."""
    if name in value:
        return value[name]
    return next((member for key, member in value.items() if key.lower() == name), None)


def _decoded(auth: str) -> tuple[str, str] | None:
    """Name and password of base64, with its padding or without."""
    text = auth.replace("\r", "").replace("\n", "")
    padding = "" if text.endswith("=") else "=" * (-len(text) % 4)
    try:
        username, colon, password = b64decode(text + padding, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (username, password) if colon else None


def _parsed(text: str) -> tuple[str, str] | None:
    """Host and path of a URL without its scheme, as Go's ``url.Parse`` tells them; None where that fails."""
    rest, _, fragment = text.partition("#")
    authority, slash, rest = rest.partition("?")[0].partition("/")
    user, _, host = authority.rpartition("@")
    path = slash + rest
    if _CONTROL.search(text) or any(map(_BAD_ESCAPE.search, (user, path, fragment))):
        return None
    if not _USER.fullmatch(user) or not _is_host(host):
        return None
    return host, unquote_to_bytes(path).decode(errors="replace")


def _is_host(text: str) -> bool:
    if text.startswith("["):
        address, bracket, port = text[1:].rpartition("]")
        return bool(bracket) and _is_address(address) and _PORT.fullmatch(port) is not None
    host, colon, port = text.partition(":")
    return _HOST.fullmatch(host) is not None and _PORT.fullmatch(colon + port) is not None


def _is_address(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _split(host: str) -> tuple[list[str], str]:
    """The parts between the dots, and the port; an address in brackets loses them where it has a port."""
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        return host.split("."), ""
    return (name[1:-1] if name.startswith("[") else name).split("."), port


def _globs(pattern: str, text: str) -> bool:
    """Whether a part matches. Brackets are a set of characters for the kubelet: no address is matched by its own."""
    if "*" not in pattern:
        return pattern == text and "[" not in pattern
    expression = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(expression, text, re.DOTALL) is not None
