"""Authorization: from a registry's challenge to a request that it answers.

Written, like ``httpx.Auth``, as a generator that yields requests and receives responses, so that it can be tested
with ``next`` and ``send``. Source: the distribution project's token authentication specification.
"""

import hmac
import re
import time
from base64 import b64encode
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from secrets import token_bytes
from typing import Final, TypeVar

import httpx
import orjson

from rightarch.errors import ImageError, UnreadableImage
from rightarch.reasons import Reason
from rightarch.registry import challenge, failures
from rightarch.registry.address import names_loopback
from rightarch.registry.challenge import Challenge
from rightarch.registry.domain import related
from rightarch.registry.endpoint import WAY
from rightarch.registry.keychain import Credential, is_token
from rightarch.registry.location import locate
from rightarch.registry.memory import Recent
from rightarch.registry.options import RegistryOptions
from rightarch.registry.sender import CLIENT, SHARED
from rightarch.registry.transport import LIMIT, TOO_LARGE

Result = TypeVar("Result")
Flow = Generator[httpx.Request, httpx.Response, Result]
"""Yields requests to send, receives their answers, and may be thrown an ImageError instead of one."""

MAX_TOKEN_BYTES: Final = 64 * 1024
_MIN_LIFE: Final = 60.0
_MAX_LIFE: Final = 24 * 3600.0
_MARGIN: Final = 5.0
_REMEMBERED: Final = 4096
_CLIENT: Final = "rightarch"
_REPOSITORY: Final = re.compile(r"/v2/(.+)/(?:manifests|blobs|tags)/[^/]+$")

BUILT_IN_REALMS: Final[Mapping[str, frozenset[str]]] = {"nvcr.io": frozenset({"authn.nvidia.com"})}
"""Registries whose token service is known to live in another domain."""


@dataclass(frozen=True, slots=True)
class _Key:
    """What a token is good for."""

    registry: bytes
    repository: str
    credential: Credential | None

    @property
    def name(self) -> "_Name":
        """The key to remember it by: no credential is kept for longer than it is used."""
        return self.registry, self.repository, _fingerprint(self.credential)


_Name = tuple[bytes, str, bytes | None]


@dataclass(frozen=True, slots=True)
class _Authorization:
    """The value of an Authorization header, and until when to use it on the monotonic clock."""

    header: str
    expires: float


class Authorizer:
    """Answers challenges, and remembers them by registry and tokens by registry, repository and credential."""

    def __init__(self, options: RegistryOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._challenges: Recent[bytes, Challenge] = Recent(_REMEMBERED)
        self._tokens: Recent[_Name, _Authorization] = Recent(_REMEMBERED)

    def send(self, request: httpx.Request, credential: Credential | None) -> Flow[httpx.Response]:
        """Send a request with the authorization that its host asks for.

        Returns the host's answer, which is a 401 still if it is content with nothing that can be offered.

        Raises:
            ImageError: AccessDenied, UntrustedRealm, RateLimited or RegistryFailed of the token service.
        """
        key = _Key(request.url.netloc, _repository(request.url), credential)
        request.extensions[CLIENT] = _fingerprint(credential)
        remembered = self._challenges.get(key.registry)
        held, fresh = self._held(key), False
        if held is None and remembered is not None:
            held = yield from self._obtain(remembered, key, request)
            fresh = held is not None
        response = yield _with(request, held)
        asked = self._asked(response, key, held)
        if asked is None or (fresh and remembered is not None and asked.realm == remembered.realm):
            return response
        self._challenges.put(key.registry, asked)
        held = self._held(key) or (yield from self._obtain(asked, key, request))
        if held is None:
            return response
        response = yield _with(request, held)
        self._asked(response, key, held)
        return response

    def _asked(self, response: httpx.Response, key: _Key, held: str | None) -> Challenge | None:
        """What a 401 asks for, if that can be given.

        The token that met with it is not used again; one that somebody else got meanwhile is.
        """
        if response.status_code != 401:
            return None
        if held == self._held(key):
            self._tokens.drop(key.name)
        return challenge.choose(challenge.parse(response.headers.get_list("www-authenticate")))

    def _held(self, key: _Key) -> str | None:
        token = self._tokens.get(key.name)
        return token.header if token is not None and self._clock() < token.expires else None

    def _obtain(self, asked: Challenge, key: _Key, request: httpx.Request) -> Flow[str | None]:
        """The header that answers a challenge, or None where there is nothing to answer it with."""
        if key.credential is not None and key.credential.is_bearer:
            return f"Bearer {key.credential.password}" if asked.scheme == "bearer" else None
        if asked.scheme == "basic":
            return _basic(key.credential) if key.credential and not key.credential.is_identity else None
        try:
            token = yield from self._fetch(asked, key, request)
        except ImageError as error:
            if error.reason is not Reason.ACCESS_DENIED:
                self._challenges.drop(key.registry)  # the registry may name another token service by now
            raise
        self._tokens.put(key.name, token)
        return token.header

    def _fetch(self, asked: Challenge, key: _Key, request: httpx.Request) -> Flow[_Authorization]:
        realm = self._realm(asked.realm, key, request.url)
        asking = _token_request(realm, parameters := _parameters(asked, key), key.credential)
        asking.extensions |= {CLIENT: _fingerprint(key.credential), SHARED: (key.name, str(realm), str(parameters))}
        if self._trusts(request.url, realm):
            asking.extensions[WAY] = request.extensions.get(WAY)
        response = yield asking
        if error := failures.of_token_status(response):
            raise error
        token, life = _parse_token(response)
        return _Authorization(f"Bearer {token}", self._clock() + life - _MARGIN)

    def _realm(self, text: str, key: _Key, url: httpx.URL) -> httpx.URL:
        """The URL of the token service, if it may be asked.

        With a credential that is a trusted one alone; without there is nothing to lose.
        """
        realm = locate(text)
        if realm is None:
            raise failures.failed(url, "names a token service that is no URL of the web")
        local = self._options.allow_loopback and names_loopback(realm.host)
        plain = url.scheme == "http" and realm.netloc == url.netloc  # as it is configured
        if realm.scheme != "https" and not (local or plain):
            raise _untrusted(url, realm, "is not reached by https")
        if key.credential and not self._trusts(url, realm):
            problem = f"is in another domain, and no host that tokenRealms names for {_host(url)}"
            raise _untrusted(url, realm, problem)
        return realm

    def _trusts(self, url: httpx.URL, realm: httpx.URL) -> bool:
        """Whether a token service may see what the host of a URL may.

        It is that host, one that the configuration names for it, one of a pair that is built in, or one of the same
        registrable domain.
        """
        host, service = _host(url), _host(realm)
        named = self._options.token_realms.get(host, frozenset()) | BUILT_IN_REALMS.get(host, frozenset())
        return service == host or service in named or related(host, service)


def _host(url: httpx.URL) -> str:
    """The host of a URL in ASCII: what IDNA makes of a name has one spelling, and that of the configuration."""
    return url.raw_host.decode("ascii")


def _repository(url: httpx.URL) -> str:
    match = _REPOSITORY.search(url.path)
    return match[1] if match else ""


def _parameters(asked: Challenge, key: _Key) -> dict[str, list[str]]:
    """What a token is asked for: pulling from the repository, and whatever is no repository (``scope="aws"``)."""
    scopes = [f"repository:{key.repository}:pull"] if key.repository else []
    scopes += [each for each in asked.parameters.get("scope", "").split() if not each.startswith("repository:")]
    service = asked.parameters.get("service")
    return {"scope": scopes} | ({"service": [service]} if service else {})


def _token_request(
    realm: httpx.URL, parameters: Mapping[str, list[str]], credential: Credential | None
) -> httpx.Request:
    """The request for a token: a GET, or for an identity token the POST of OAuth 2 (RFC 6749, section 6)."""
    headers = {"accept-encoding": "identity"}
    bounds = {LIMIT: MAX_TOKEN_BYTES, TOO_LARGE: Reason.REGISTRY_FAILED}
    if credential is not None and credential.is_identity:
        form = {name: " ".join(values) for name, values in parameters.items()}
        form |= {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": credential.password}
        return httpx.Request("POST", realm, data=form, headers=headers, extensions=bounds)
    if credential is not None:
        headers["authorization"] = _basic(credential)
    return httpx.Request("GET", realm.copy_merge_params(parameters), headers=headers, extensions=bounds)


def _parse_token(response: httpx.Response) -> tuple[str, float]:
    """The token and its life in seconds."""
    try:
        content = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise failures.failed(response.request.url, "is no token service: its answer is not a JSON object")
    token = content.get("token") or content.get("access_token")
    if not isinstance(token, str) or not is_token(token):
        raise failures.failed(response.request.url, "is no token service: its answer has no token")
    life = content.get("expires_in")
    seconds = float(life) if isinstance(life, int | float) else 0.0
    return token, min(max(seconds, _MIN_LIFE), _MAX_LIFE)


_SECRET: Final = token_bytes(32)


def _fingerprint(credential: Credential | None) -> bytes | None:
    """What tells credentials apart without being one: an HMAC with a key that no other process has."""
    if credential is None:
        return None
    text = f"{len(credential.username)}:{credential.username}{credential.password}"
    return hmac.digest(_SECRET, text.encode(errors="surrogatepass"), "sha256")


def _basic(credential: Credential) -> str:
    return "Basic " + b64encode(f"{credential.username}:{credential.password}".encode()).decode()


def _with(request: httpx.Request, header: str | None) -> httpx.Request:
    if header is not None:
        request.headers["authorization"] = header
    return request


def _untrusted(url: httpx.URL, realm: httpx.URL, problem: str) -> UnreadableImage:
    text = f"registry {failures.named(url)} sends clients to the token service {failures.named(realm)}, which {problem}"
    return UnreadableImage(Reason.UNTRUSTED_REALM, text)
