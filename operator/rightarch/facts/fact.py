"""A fact: what was learnt of an image, and how it is written in an object of the cluster. Pure."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from sys import intern
from typing import Any, Final

from pydantic import ValidationError

from rightarch import crds
from rightarch.errors import InvalidReference, RightarchError
from rightarch.platforms import MAX_PLATFORMS, ImagePlatforms, Platform
from rightarch.reasons import Reason
from rightarch.reference import Reference, check_digest
from rightarch.registry import ANONYMOUS, CLUSTER, Key, pull_scope

_SEPARATOR: Final = "\n"
"""Between scope and reference in what a name is made from: neither can have it."""
_SPELT: Final[Mapping[str, str]] = {ANONYMOUS: "Anonymous", CLUSTER: "Cluster"}
_SCOPES: Final = {spelt: scope for scope, spelt in _SPELT.items()}
_NAMESPACE: Final = "Namespace"
_PLATFORM: Final = re.compile(
    r"(?P<os>[^/()]+)(?:\((?P<version>[A-Za-z0-9._-]{1,64})\))?/(?P<architecture>[^/()]+)(?:/(?P<variant>[^/()]+))?",
    re.ASCII,
)


class Untrusted(RightarchError):
    """An object that does not say what Rightarch would have written.

    Attributes:
        name: of the object.
        key: which fact it was to be, as far as that can be told.
    """

    def __init__(self, name: str, problem: str, key: Key | None = None) -> None:
        super().__init__(problem)
        self.name, self.key = name, key


@dataclass(frozen=True, slots=True)
class Fact:
    """What was learnt of an image.

    Attributes:
        key: the scope in which it holds, and the canonical reference.
        image: the platforms that were read.
        source: the host that told.
        learned_at: when the digest, or the end of a failure, was learnt; whole seconds since 1970.
        last_used: the day of the last use.
        last_failure: the Reason for which the last look-up failed; None if it did not.
    """

    key: Key
    image: ImagePlatforms
    source: str
    learned_at: int
    last_used: date
    last_failure: str | None = None

    @property
    def answers(self) -> bool:
        """Whether it may answer admissions: not after a registry said that the image can't be read any more."""
        return self.last_failure is None or self.last_failure not in _PERMANENT


_EXAMPLE: Final = "docker.io/library/nginx:latest"
_PERMANENT: Final = frozenset(reason.value for reason in Reason if not reason.transient)


def name_of(key: Key) -> str:
    """The name of the object: 40 hexadecimal digits of the SHA-256 of scope, line feed, canonical reference."""
    scope, reference = key
    spelt = _SPELT.get(scope) or f"{_NAMESPACE}/{scope}"
    return hashlib.sha256(f"{spelt}{_SEPARATOR}{reference}".encode()).hexdigest()[:40]


def storable(key: Key, image: ImagePlatforms) -> bool:
    """Whether an object can hold it, within the bounds of its definition, so that the same is read back."""
    if not _is_storable(key[0]) or len(key[1]) > crds.MAX_REFERENCE or len(image.platforms) > MAX_PLATFORMS:
        return False
    try:
        return _platforms(tuple(map(_text, image.platforms)), image.indexed) == image.platforms
    except ValueError:
        return False


def manifest(fact: Fact) -> dict[str, Any]:
    """The object that holds a fact."""
    return {
        "apiVersion": crds.API_VERSION,
        "kind": crds.IMAGE_PLATFORMS["kind"],
        "metadata": {"name": name_of(fact.key)},
        "spec": _spec(fact.key),
        "status": _status(fact),
    }


def changes(held: Fact, wanted: Fact) -> dict[str, Any]:
    """The merge patch (RFC 7396) that makes an object say what is wanted; empty where it does."""
    old, new = _status(held), _status(wanted)
    changed = {field: new.get(field) for field in old | new if old.get(field) != new.get(field)}
    return {"status": changed} if changed else {}


def whole(fact: Fact) -> dict[str, Any]:
    """The merge patch that makes an object say all of a fact, whatever its status said before.

    Its spec can't change: the API server refuses the patch where that is another's, so that nothing is told of an image
    that was learnt of another.
    """
    return {"spec": _spec(fact.key), "status": {"lastFailure": None} | _status(fact)}


def read(thing: Mapping[str, Any]) -> Fact | Untrusted:
    """The fact that an object holds, or why it is not trusted. Does not raise: anybody with the right may write one."""
    metadata = thing.get("metadata") or {}
    name = str(metadata.get("name"))
    try:
        claimed = crds.ImagePlatforms.model_validate(thing)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Untrusted(name, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    key = _scope(claimed.spec), claimed.spec.reference
    if name != name_of(key):
        return Untrusted(name, "its name is not made from its scope and reference")
    if _extra(claimed.spec):
        return Untrusted(name, "its spec has parts that are those of another scope", key)
    try:
        return _checked(key, claimed.status)
    except (ValueError, InvalidReference, OverflowError) as error:
        return Untrusted(name, str(error), key)


def _extra(spec: crds.ImagePlatformsSpec) -> bool:
    """Whether a spec says more than its scope has."""
    return spec.scope in _SCOPES and (spec.namespace is not None or spec.pull_secrets is not None)


@lru_cache(maxsize=1024)
def _is_storable(scope: str) -> bool:
    """Whether a spec can say a scope, within its bounds."""
    try:
        spec = crds.ImagePlatformsSpec.model_validate(_spec_of(scope) | {"reference": _EXAMPLE})
    except ValidationError:
        return False
    return _scope(spec) == scope


def _spec(key: Key) -> dict[str, Any]:
    scope, reference = key
    return _spec_of(scope) | {"reference": reference}


def _spec_of(scope: str) -> dict[str, Any]:
    """What a spec says of a scope."""
    if scope in _SPELT:
        return {"scope": _SPELT[scope]}
    namespace, _, names = scope.partition("/")
    spec: dict[str, Any] = {"scope": _NAMESPACE, "namespace": namespace}
    return spec | ({"pullSecrets": names.split(",")} if names else {})


def _scope(spec: crds.ImagePlatformsSpec) -> str:
    """The scope that a spec names."""
    if spec.scope in _SCOPES:
        return _SCOPES[spec.scope]
    return intern(pull_scope(spec.namespace or "", spec.pull_secrets or ()))


def _checked(key: Key, status: crds.ImagePlatformsStatus) -> Fact:
    reference = Reference.parse(key[1])
    if reference.canonical != key[1]:
        raise ValueError("its reference is not canonical")
    if reference.digest not in {None, status.digest}:
        raise ValueError("its digest is not that of its reference")
    if problem := check_digest(status.digest):
        raise ValueError(problem)
    image = ImagePlatforms(status.digest, _platforms(status.platforms, status.indexed), status.indexed)
    learned_at = int(status.learned_at.timestamp())
    return Fact(key, image, intern(status.source), learned_at, _shared_day(status.last_used), _word(status))


def _word(status: crds.ImagePlatformsStatus) -> str | None:
    return None if status.last_failure is None else intern(status.last_failure)


@lru_cache(maxsize=64)
def _shared_day(day: date) -> date:
    """One object for all that are equal: thousands of facts name few days."""
    return day


@lru_cache(maxsize=1024)
def _platforms(texts: tuple[str, ...], indexed: bool) -> tuple[Platform, ...]:
    """The platforms that an object names; one object for all that are equal, for most images are built for the same.

    Raises:
        ValueError: they are not as Rightarch writes them.
    """
    platforms = tuple(map(_platform, texts))
    if platforms != tuple(sorted(set(platforms))):
        raise ValueError("its platforms are not sorted, or not distinct")
    if not indexed and len(platforms) != 1:
        raise ValueError("a single manifest has one platform")
    return platforms


@lru_cache(maxsize=1024)
def _platform(text: str) -> Platform:
    match = _PLATFORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:100]!r} is not a platform")
    platform = Platform.of(match["os"], match["architecture"], match["variant"] or "", match["version"] or "")
    if not platform.known or _text(platform) != text:
        raise ValueError(f"{text[:100]!r} is not a platform in its normal form")
    return platform


def _text(platform: Platform) -> str:
    """A platform as containerd writes it (``platforms.FormatAll``)."""
    version = f"({platform.os_version})" if platform.os_version else ""
    variant = f"/{platform.variant}" if platform.variant else ""
    return f"{platform.os}{version}/{platform.architecture}{variant}"


def _status(fact: Fact) -> dict[str, Any]:
    status: dict[str, Any] = {
        "digest": fact.image.digest,
        "platforms": list(map(_text, fact.image.platforms)),
        "indexed": fact.image.indexed,
        "source": fact.source,
        "learnedAt": datetime.fromtimestamp(fact.learned_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastUsed": fact.last_used.isoformat(),
    }
    return status if fact.last_failure is None else status | {"lastFailure": fact.last_failure}
