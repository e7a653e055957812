"""Exchanges: how an identity becomes a credential, as generators of requests, without I/O but for token files.

Whatever goes wrong is a NoCredential, whose text is for the log: it names hosts, status and error codes, never what
else an answer held.
"""

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import Final, Generic, TypeVar

import httpx
import orjson

Value = TypeVar("Value")
Exchange = Generator[httpx.Request, httpx.Response, Value]
"""Yields requests to send, and receives their answers, of any status."""
Environment = Mapping[str, str]
"""Environment variables, by which the clouds tell a pod what its identity is and whom to ask."""

_FOR_NOW: Final = frozenset({408, 429, *range(500, 600)})
_MAX_FILE: Final = 64 * 1024
_DIGITS: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_CODE: Final = re.compile(
    rb'"(?:error|code|__type)"\s*:\s*"([A-Za-z0-9_.#-]{1,80})"|<Code>([A-Za-z0-9_.]{1,80})</Code>', re.ASCII
)


class NoCredential(Exception):
    """Why there is no credential. Does not leave the package.

    Attributes:
        transient: whether there is one, but not now; else who needs it goes on without.
    """

    def __init__(self, problem: str, *, transient: bool = False) -> None:
        super().__init__(problem)
        self.transient = transient

    def again(self) -> "NoCredential":
        """A copy to raise: a raised exception keeps its traceback, and so whatever the waiters held."""
        return NoCredential(str(self), transient=self.transient)


class Absence(Enum):
    """What shows that a service is not there at all, because this is another cloud or none."""

    NEVER = auto()
    """Nothing: the environment says that it is there."""
    NO_NAME = auto()
    """That its name has no address."""
    NO_ANSWER = auto()
    """That it does not answer."""


ABSENCE: Final = "absence"
"""The extension of a request that says so."""


@dataclass(frozen=True, slots=True)
class Lease(Generic[Value]):
    """Something that is good for a while.

    Attributes:
        value: what it is; never printed.
        life: for how many seconds from now.
    """

    value: Value = field(repr=False)
    life: float


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request waits for a connection and for each part of the answer, in seconds; what silence means."""

    connect: float = 3.0
    read: float = 5.0
    absence: Absence = Absence.NEVER


def request(  # noqa: PLR0913 - the parts of a request
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    form: Mapping[str, str] | None = None,
    content: bytes | None = None,
    patience: Patience = Patience(),
) -> httpx.Request:
    """A request, with a form or other content if there is one.

    Raises:
        NoCredential: the environment names what is no URL of the web.
    """
    extensions = {"timeout": {"connect": patience.connect, "read": patience.read}, ABSENCE: patience.absence}
    try:
        made = httpx.Request(method, url, headers=headers, data=form, content=content, extensions=extensions)
    except (httpx.InvalidURL, ValueError):
        raise NoCredential("an endpoint that the environment names is no URL") from None
    if made.url.scheme not in {"http", "https"} or not made.url.host:
        raise NoCredential("an endpoint that the environment names is no URL of the web")
    return made


def body(response: httpx.Response) -> bytes:
    """What was answered.

    Raises:
        NoCredential: the status is not 200.
    """
    if response.status_code == 200:
        return response.content
    found = _CODE.search(response.content)
    code = f" ({(found[1] or found[2]).decode()})" if found else ""
    status = response.status_code
    raise NoCredential(f"{_named(response)} answered with status {status}{code}", transient=status in _FOR_NOW)


def parse(response: httpx.Response) -> Mapping[str, object]:
    """The JSON object that was answered.

    Raises:
        NoCredential: it is none, or the status is not 200.
    """
    try:
        parsed = orjson.loads(body(response))
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise NoCredential(f"{_named(response)} answered with what is no JSON object")
    return parsed


def text(fields: Mapping[str, object], name: str) -> str:
    """A field that must be there, of printable ASCII: it becomes a part of a header.

    Raises:
        NoCredential: it is not.
    """
    value = fields.get(name)
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        raise NoCredential(f"an answer has no usable {name}")
    return value


def seconds(fields: Mapping[str, object], name: str) -> float:
    """A number of seconds, which some services send as text.

    Raises:
        NoCredential: it is none, or none is left.
    """
    value = fields.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_text = isinstance(value, str) and _DIGITS.fullmatch(value) is not None
    number = float(str(value)) if is_number or is_text else 0.0
    if not 0 < number < float("inf"):
        raise NoCredential(f"an answer has no usable {name}, or has expired")
    return number


def until(moment: str, now: float) -> float:
    """The seconds from ``now``, in seconds since 1970, to a time as RFC 3339 writes it.

    Raises:
        NoCredential: it is no time, or past.
    """
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        raise NoCredential("an answer's time of expiry is none") from None
    left = parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp() - now
    if left <= 0:
        raise NoCredential("an answer has expired")
    return left


def read(path: str) -> str:
    """The content of a token file. It is read each time: the kubelet replaces it.

    Raises:
        NoCredential: it can't be read.
    """
    try:
        with Path(path).open(encoding="ascii") as file:
            return file.read(_MAX_FILE).strip()
    except (OSError, ValueError):
        raise NoCredential(f"the token file {path} can't be read") from None


def _named(response: httpx.Response) -> str:
    return response.request.url.netloc.decode("ascii", "replace")
