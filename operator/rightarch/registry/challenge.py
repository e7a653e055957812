"""Challenges: what a registry asks for before it answers.

Source: RFC 9110, section 11 (challenges, quoted strings), and the distribution project's token specification.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SEPARATORS: Final = re.compile(r"[\s,]*")
_PARAMETER: Final = re.compile(
    rf'(?P<name>{_WORD})[ \t]*=[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_WORD}))(?=[\s,]|$)'
)
_SCHEME: Final = re.compile(rf"(?P<scheme>{_WORD})(?=[\s,]|$)")
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[\s,]|$)")
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """A scheme in lower case, and its parameters by lower-case name."""

    scheme: str
    parameters: Mapping[str, str]

    @property
    def realm(self) -> str:
        """Of Bearer, the URL of the token service; empty where none is named."""
        return self.parameters.get("realm", "")


def parse(headers: Iterable[str]) -> list[Challenge]:
    """All challenges of all ``WWW-Authenticate`` headers, in order.

    A header is read as far as it is well-formed: registries of the wild are sloppy, and what follows a mistake is
    no instruction to trust. Raises nothing.
    """
    return [challenge for header in headers for challenge in _parse(header)]


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The challenge to answer: Bearer with a realm before Basic; None where there is neither."""
    usable = [c for c in challenges if c.scheme == "basic" or (c.scheme == "bearer" and c.realm)]
    return min(usable, key=lambda challenge: challenge.scheme != "bearer", default=None)


def _parse(header: str) -> list[Challenge]:
    found: list[tuple[str, dict[str, str]]] = []
    position = _skip(header, 0)
    while position < len(header):
        parameter = _PARAMETER.match(header, position)
        match = parameter or _SCHEME.match(header, position) or _TOKEN68.match(header, position)
        if match is None or (parameter and not found):
            break
        if parameter:
            found[-1][1].setdefault(parameter["name"].lower(), _value(parameter))
        elif match.re is _SCHEME:
            found.append((match["scheme"].lower(), {}))
        position = _skip(header, match.end())
    return [Challenge(scheme, MappingProxyType(parameters)) for scheme, parameters in found]


def _skip(header: str, position: int) -> int:
    match = _SEPARATORS.match(header, position)
    return match.end() if match else position


def _value(parameter: re.Match[str]) -> str:
    if parameter["quoted"] is None:
        return parameter["plain"]
    return _ESCAPED.sub(r"\1", parameter["quoted"])
