"""A token service: gives pulling and pushing rights as signed tokens to whom they are due.

Source: the distribution project's token authentication specification.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import secrets
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path
    from socketserver import BaseServer

    from tests.controlplane import CertificateAuthority

ISSUER = "Rightarch tests"
SERVICE = "registry of the tests"
PUSHER = "pusher"
KEY_ID = "tests"


class TokenServer:
    """Serves tokens over TLS on 127.0.0.1, in a thread.

    Args:
        authority: signs its certificate.
        users: passwords by name.
        readers: who may pull, by repository; all others are for everybody, with credentials or without.
        lifetime: what ``expires_in`` says, in seconds; None leaves it out.
        field: the field that holds the token: ``token`` or ``access_token``.

    Attributes:
        identities: users by identity token, which is exchanged by POST.
        requests: the users that asked, in order; "" for nobody.
    """

    def __init__(
        self,
        authority: CertificateAuthority,
        *,
        users: Mapping[str, str] | None = None,
        readers: Mapping[str, frozenset[str]] | None = None,
        lifetime: int | None = 300,
        field: str = "token",
    ) -> None:
        self.users = dict(users or {}) | {PUSHER: secrets.token_urlsafe()}
        self.readers = dict(readers or {})
        self.lifetime = lifetime
        self.field = field
        self.requests: list[str] = []
        self.identities: dict[str, str] = {}
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.issue("tokens"))

    def __enter__(self) -> Self:
        """Serve until the end of the block."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, self))
        self._http.socket = self._context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        """The realm that a registry names; by name, because crane refuses realms at loopback addresses."""
        return f"https://localhost:{self._http.server_port}/token"

    def write_keys(self, path: Path) -> Path:
        """Write the public key as a JSON Web Key Set, by which a registry checks tokens."""
        numbers = self._key.public_key().public_numbers()
        x, y = (_encoded(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        key = {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID, "x": x, "y": y}
        path.write_text(json.dumps({"keys": [key]}))
        return path

    def token(self, user: str, scopes: list[str], seconds: int = 300) -> str:
        """A signed token for what a user may do of what was asked for."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "exp": now + seconds,
            "nbf": now - 60,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": [access for scope in scopes if (access := self._access(user, scope))],
        }
        header = {"typ": "JWT", "alg": "ES256", "kid": KEY_ID}
        signed = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def answer(self, query: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        """Status and body for a request."""
        return self._given(self._user(authorization), parse_qs(query).get("scope", []))

    def exchange(self, form: str) -> tuple[int, dict[str, Any]]:
        """Status and body for a request by OAuth 2, with an identity token."""
        fields = parse_qs(form)
        granted = fields.get("grant_type") == ["refresh_token"]
        user = self.identities.get(fields.get("refresh_token", [""])[0]) if granted else None
        return self._given(user, fields.get("scope", [""])[0].split())

    def _given(self, user: str | None, scopes: list[str]) -> tuple[int, dict[str, Any]]:
        if user is None:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong name or password"}]}
        self.requests.append(user)
        token = self.token(user, scopes)
        life = {} if self.lifetime is None else {"expires_in": self.lifetime}
        return 200, {self.field: token} | life

    def _access(self, user: str, scope: str) -> dict[str, Any] | None:
        kind, _, rest = scope.partition(":")
        name, _, wanted = rest.rpartition(":")
        allowed = {"pull", "push", "delete"} if user == PUSHER else {"pull"}
        readers = self.readers.get(name)
        if user != PUSHER and readers is not None and user not in readers:
            return None
        return {"type": kind, "name": name, "actions": sorted(allowed & set(wanted.split(",")))}

    def _user(self, authorization: str | None) -> str | None:
        """Who asks; "" for nobody, None for a credential that is wrong."""
        if authorization is None:
            return ""
        try:
            name, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return name if self.users.get(name) == password else None


class _Handler(BaseHTTPRequestHandler):
    def __init__(
        self, tokens: TokenServer, request: socket.socket, client: tuple[str, int], server: BaseServer
    ) -> None:
        self.tokens = tokens  # first: the base class serves the request while it is constructed
        super().__init__(request, client, server)

    def do_GET(self) -> None:
        """Answer a request for a token."""
        self._answer(*self.tokens.answer(urlsplit(self.path).query, self.headers.get("Authorization")))

    def do_POST(self) -> None:
        """Answer a request for a token by OAuth 2."""
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(*self.tokens.exchange(form))

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: tests count, and nobody reads."""


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
