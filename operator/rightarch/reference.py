"""References: the names of images, as the kubelet and containerd read them.

Source: the grammar of github.com/distribution/reference and its normalisation of familiar names.
"""

import re
from dataclasses import dataclass
from typing import Final

from rightarch.errors import InvalidReference

DOCKER_HUB: Final = "docker.io"
DOCKER_HUB_ALIAS: Final = "index.docker.io"
_DOCKER_HUB_HOST: Final = "registry-1.docker.io"
_MAX_PATH: Final = 255
_MAX_DOMAIN: Final = 259
"""What DNS can carry (RFC 1035), a colon and a port."""
_HEX_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}

_DOMAIN_PART = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?", re.ASCII)
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_DOMAIN_JOINT = re.compile(r"(?:\.|-+|:)?", re.ASCII)
_PATH_JOINT = re.compile(r"(?:/|\.|__?|-+)?", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_ALGORITHM = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """An image's name in its one canonical form.

    Attributes:
        domain: the registry as named, with its port if any (``docker.io`` for Docker Hub).
        path: the repository, without the domain.
        tag: the tag, or None where only a digest was given.
        digest: the digest, or None. Where both are given, the digest decides.
    """

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read a reference as people and pods write it.

        Raises:
            InvalidReference: with the position of the first character that can't be right.
        """
        return _parse(text)

    @property
    def name(self) -> str:
        """Domain and path: the image without tag and digest."""
        return f"{self.domain}/{self.path}"

    @property
    def host(self) -> str:
        """The host to contact, with its port if one was named."""
        return contacted(self.domain)

    @property
    def identifier(self) -> str:
        """What the registry is asked for: the digest where there is one, else the tag."""
        return self.digest or self.tag or "latest"

    @property
    def canonical(self) -> str:
        """One spelling for all names of the same content: with a digest, the tag is left out."""
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def contacted(domain: str) -> str:
    """The host to contact for a registry, as it is named; with its port if one is."""
    return _DOCKER_HUB_HOST if domain in {DOCKER_HUB, DOCKER_HUB_ALIAS} else domain


def check_digest(text: str) -> str | None:
    """What is wrong with a digest (algorithm, colon, lower-case hex), or None."""
    algorithm, colon, value = text.partition(":")
    if not colon or not _ALGORITHM.fullmatch(algorithm):
        return "a digest is written ALGORITHM:HEX, such as sha256:…"
    length = _HEX_LENGTHS.get(algorithm)
    if length is None:
        return f"the digest algorithm must be one of {', '.join(_HEX_LENGTHS)}"
    if len(value) != length or not _HEX.fullmatch(value):
        return f"a {algorithm} digest has {length} lower-case hexadecimal digits"
    return None


def _parse(text: str) -> Reference:
    if not text:
        raise InvalidReference(text, 0, "it is empty")
    if _IDENTIFIER.fullmatch(text):
        raise InvalidReference(text, 0, "64 hexadecimal digits are an image ID, not a name")
    rest, at, digest = text.partition("@")
    if at and (problem := check_digest(digest)):
        raise InvalidReference(text, len(rest) + 1, problem)
    name, tag = _split_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise InvalidReference(
            text,
            len(name) + 1,
            "a tag has up to 128 letters, digits, '_', '.' and '-', and starts with none of '.-'",
        )
    domain, path = _split_domain(name)
    _check_name(text, name, domain, path)
    if tag is None and not at:
        tag = "latest"
    return Reference(*_normalised(domain, path), tag, digest if at else None)


def _split_tag(rest: str) -> tuple[str, str | None]:
    """Cut the tag off; a colon before the last slash belongs to a port."""
    colon = rest.rfind(":")
    if colon <= rest.rfind("/"):
        return rest, None
    return rest[:colon], rest[colon + 1 :]


def _split_domain(name: str) -> tuple[str | None, str]:
    """The domain as it stands in the name, or None for a familiar name, and the path."""
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or set(".:") & set(first) or first.lower() != first):
        return first, rest
    return None, name


def _normalised(domain: str | None, path: str) -> tuple[str, str]:
    if domain in {None, DOCKER_HUB_ALIAS}:
        domain = DOCKER_HUB
    assert domain is not None
    if domain == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return domain, path


def _check_name(text: str, name: str, domain: str | None, path: str) -> None:
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise InvalidReference(text, _mismatch(_DOMAIN, _DOMAIN_JOINT, domain), "that is no registry host")
    if domain is not None and len(domain) > _MAX_DOMAIN:
        raise InvalidReference(text, 0, f"a registry host has at most {_MAX_DOMAIN} characters, its port included")
    start = len(name) - len(path)
    if not _PATH.fullmatch(path):
        problem = (
            "a repository is written in lower case"
            if _PATH.fullmatch(path.lower())
            else "a repository has lower-case letters and digits, joined by '/', '.', '_', '__' or '-'"
        )
        raise InvalidReference(text, start + _mismatch(_PATH, _PATH_JOINT, path), problem)
    if len(_normalised(domain, path)[1]) > _MAX_PATH:
        raise InvalidReference(text, start, f"a repository has at most {_MAX_PATH} characters")


def _mismatch(pattern: re.Pattern[str], joint: re.Pattern[str], text: str) -> int:
    """Index of the first character with which no text of the pattern begins: past the longest match and its joint."""
    match = pattern.match(text)
    if match is None:
        return 0
    end = match.end()
    follows = None if ":" in text[:end] else joint.match(text, end)  # nothing joins on to a port or an IPv6 address
    return follows.end() if follows else end
