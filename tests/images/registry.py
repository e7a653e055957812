"""The real registry (CNCF distribution 3) on loopback, and what it was asked."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import ssl
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.controlplane import Process, binary, free_port

from .images import Image, push
from .tokens import ISSUER, PUSHER, SERVICE

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.controlplane import CertificateAuthority

    from .tokens import TokenServer

_LINE = re.compile(r'"(?P<method>[A-Z]+) (?P<path>/v2/\S*) HTTP/[0-9.]+" (?P<status>[0-9]{3}) .*"(?P<agent>[^"]*)"$')
_AGENT = "tests"
_SETTLE_SECONDS = 60


@dataclass(frozen=True)
class Request:
    """A request that the registry answered."""

    method: str
    path: str
    status: int

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


class RegistryServer:
    """A registry on 127.0.0.1 with a folder of its own, for the length of a ``with`` block.

    Args:
        authority: signs its certificate; without one it speaks plain HTTP.
        tokens: the token service that it trusts; without one everybody may pull and push.
        folder: where its content and log are kept; a temporary folder where none is given.
        port: where it listens; a free one where none is given.

    Attributes:
        process: the running program, to be killed, paused and restarted.
    """

    def __init__(
        self,
        *,
        authority: CertificateAuthority | None = None,
        tokens: TokenServer | None = None,
        folder: Path | None = None,
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self._authority = authority
        self._tokens = tokens
        self._folder = folder
        self._seen = 0

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        with contextlib.ExitStack() as stack:
            self._root = self._folder or _temporary(stack)
            self._root.mkdir(parents=True, exist_ok=True)
            self.process = stack.enter_context(self._process())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def host(self) -> str:
        """Host and port, as references name it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{'https' if self._authority else 'http'}://{self.host}"

    def push(self, repository: str, tag: str, image: Image) -> str:
        """Push an image, and return its full name by digest."""
        with self.client(repository) as client:
            digest = push(client, repository, tag, image)
        return f"{self.host}/{repository}@{digest}"

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest or index, and with it the tags that point to it."""
        with self.client(repository, "pull,push,delete") as client:
            client.delete(f"/v2/{repository}/manifests/{digest}").raise_for_status()

    def requests(self) -> list[Request]:
        """The requests that it answered since it started or ``forget`` was called, but those of this class."""
        return [each for each in self._settled()[self._seen :] if each is not None]

    def forget(self) -> None:
        """Count from here on."""
        self._seen = len(self._settled())

    def client(self, repository: str, actions: str = "pull,push") -> httpx.Client:
        """A client that may do everything in a repository; its requests are not counted."""
        verify = ssl.create_default_context(cafile=self._authority.certificate) if self._authority else False
        auth = _Pusher(self._tokens, f"repository:{repository}:{actions}") if self._tokens else None
        headers = {"user-agent": _AGENT}
        return httpx.Client(base_url=self.url, verify=verify, auth=auth, headers=headers, trust_env=False, timeout=30)

    def _settled(self) -> list[Request | None]:
        """All requests in the log, once a request of our own, sent last, is among them; None for our own."""
        marker = f"/v2/?{secrets.token_hex(8)}"
        with self.client("") as client:
            client.get(marker)
        deadline = time.monotonic() + _SETTLE_SECONDS
        while marker not in (log := self.process.log.read_text(errors="replace")):
            assert time.monotonic() < deadline, f"the registry did not log a request within {_SETTLE_SECONDS} s"
            time.sleep(0.01)
        return [_request(match) for line in log.splitlines() if (match := _LINE.search(line))]

    def _process(self) -> Process:
        configuration = self._root / "registry.json"
        configuration.write_text(json.dumps(self._configuration()))  # JSON is YAML
        ready: Any = f"{self.url}/v2/" if self._tokens is None else self._listens
        return Process(
            f"registry at {self.host}",
            [binary("registry"), "serve", configuration],
            log=self._root / "registry.log",
            ready=ready,
            ca=self._authority.certificate if self._authority else None,
            environment={"OTEL_TRACES_EXPORTER": "none"},
        )

    def _configuration(self) -> dict[str, Any]:
        http: dict[str, Any] = {"addr": self.host, "relativeurls": True, "secret": secrets.token_hex()}
        if self._authority:
            certificate, key = self._authority.issue("registry")
            http["tls"] = {"certificate": str(certificate), "key": str(key)}
        configuration: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._root / "content")},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": http,
        }
        if self._tokens:
            keys = self._tokens.write_keys(self._root / "keys.json")
            token = {"realm": self._tokens.url, "issuer": ISSUER, "service": SERVICE, "jwks": str(keys)}
            configuration["auth"] = {"token": token}
        return configuration

    def _listens(self) -> bool:
        """Whether it asks for a token: that is how it answers when it is ready."""
        try:
            with self.client("") as client:
                return client.get("/v2/", auth=None).status_code == httpx.codes.UNAUTHORIZED
        except httpx.TransportError:
            return False


class _Pusher(httpx.Auth):
    """Brings a token that allows everything, without asking the service for it over the network."""

    def __init__(self, tokens: TokenServer, scope: str) -> None:
        self._header = f"Bearer {tokens.token(PUSHER, [scope])}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token."""
        request.headers["Authorization"] = self._header
        yield request


def _temporary(stack: contextlib.ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rightarch-registry-")))


def _request(match: re.Match[str]) -> Request | None:
    if match["agent"] == _AGENT:
        return None
    return Request(match["method"], match["path"], int(match["status"]))
