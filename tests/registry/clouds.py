"""Clouds on 127.0.0.1: their metadata and token services, which check what they are sent as the real ones document.

Signatures, tokens and headers are checked by code of its own: it shares nothing with the code under test.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import http.client
import json
import secrets
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.controlplane.pki import LOOPBACK

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from socketserver import BaseServer

    from tests.controlplane import CertificateAuthority

ROLE = "arn:aws:iam::123456789012:role/rightarch"
TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
STS, PODS, ENTRA = "sts.amazonaws.com", "pods.eks.amazonaws.com", "api://AzureADTokenExchange"
ACR_USER = "00000000-0000-0000-0000-000000000000"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TARGETS = {
    "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken": "ecr",
    "SpencerFrontendService.GetAuthorizationToken": "ecr-public",
}
Answer = tuple[int, bytes]


class Issuer:
    """A cluster's issuer of ServiceAccount tokens, and who trusts it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)

    def token(self, audience: str, seconds: int = 600) -> str:
        """A signed token for an audience."""
        claims = {"aud": [audience], "sub": "system:serviceaccount:rightarch:webhook", "exp": time.time() + seconds}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256"}, claims))
        return f"{signed}.{_encoded(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def trusts(self, token: str, audience: str) -> bool:
        """Whether a token is signed, not expired, and for an audience."""
        signed, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            claims = json.loads(_decoded(signed.partition(".")[2]))
        except (InvalidSignature, ValueError):
            return False
        return audience in claims["aud"] and claims["exp"] > time.time()


@dataclass(frozen=True)
class Asked:
    """A request to one of the services."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class Clouds:
    """The services, over TLS and plain HTTP, for the length of a ``with`` block.

    Args:
        authority: signs the certificate of those over TLS.
        registry: the port of a registry over TLS, which is also served by this host; for Azure's.
        region: the AWS region that the services are in.
        listen: address and port of the services over TLS, and of those over plain HTTP; port 0 is a free one.
        names: for which the certificate is.

    Attributes:
        issuer: whose ServiceAccount tokens are trusted.
        life: seconds that keys and tokens are valid.
        passwords: of registries that were given out, by user; the last one of each.
        asked: requests, as ``METHOD path``, in order.
        faults: answers by a part of ``METHOD path``, given instead of the right ones.
        delay: seconds before each answer.
    """

    authority: CertificateAuthority
    registry: int = 0
    region: str = "eu-west-1"
    listen: tuple[tuple[str, int], tuple[str, int]] = (("127.0.0.1", 0), ("127.0.0.1", 0))
    names: Sequence[str] = LOOPBACK
    issuer: Issuer = field(default_factory=functools.cache(Issuer))
    life: float = 3600
    passwords: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    faults: dict[str, Answer] = field(default_factory=dict)
    delay: float = 0
    _keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    _tokens: set[str] = field(default_factory=set)

    def __enter__(self) -> Self:
        """Serve until the end of the block."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue("clouds", self.names))
        self._servers = [ThreadingHTTPServer(each, functools.partial(_Handler, self)) for each in self.listen]
        self._servers[0].socket = context.wrap_socket(self._servers[0].socket, server_side=True)
        self._threads = [threading.Thread(target=each.serve_forever, args=(0.05,)) for each in self._servers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def host(self) -> str:
        """Host and port of the services over TLS."""
        return f"127.0.0.1:{self._servers[0].server_port}"

    @property
    def metadata(self) -> str:
        """Host and port of the services over plain HTTP."""
        return f"127.0.0.1:{self._servers[1].server_port}"

    def static(self, session: str = "") -> dict[str, str]:
        """An environment with keys that AWS knows."""
        access, secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
        self._keys[access] = (secret, session)
        given = {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": session}
        return {name: value for name, value in given.items() if value}

    def environment(self) -> dict[str, str]:
        """The variables that point to these services, and name no identity."""
        services = dict.fromkeys(
            ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC", "AZURE_AUTHORITY_HOST"),
            f"https://{self.host}",
        )
        machine = dict.fromkeys(
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"), f"http://{self.metadata}"
        )
        return services | machine | {"GCE_METADATA_HOST": self.metadata, "AWS_REGION": self.region}

    def answer(self, asked: Asked) -> tuple[Answer, dict[str, str]]:
        """Status, body and headers for a request."""
        line = f"{asked.method} {asked.path}"
        self.asked.append(line)
        time.sleep(self.delay)
        headers = {"metadata-flavor": "Google"} if asked.path.startswith("/computeMetadata/") else {}
        for part, fault in self.faults.items():
            if part in line or part in asked.headers.get("x-amz-target", ""):
                return fault, headers | ({"location": "https://127.0.0.1:1/"} if fault[0] == 302 else {})
        return self._answer(asked), headers

    def forwards(self, asked: Asked) -> bool:
        """Whether a request is for the registry behind this host."""
        return bool(self.registry) and asked.path.startswith("/v2/")

    def _answer(self, asked: Asked) -> Answer:
        path = urlsplit(asked.path).path
        if "x-amz-target" in asked.headers:
            return self._ecr(asked)
        services = {
            "/v1/credentials": self._pod,
            "/latest/": self._instance,
            "/computeMetadata/": self._google,
            "/metadata/identity/oauth2/token": self._azure_machine,
            f"/{TENANT}/oauth2/v2.0/token": self._entra,
            "/oauth2/exchange": self._acr,
        }
        found = (service for start, service in services.items() if path.startswith(start))
        return next(found, self._sts)(asked)

    def _pod(self, asked: Asked) -> Answer:
        """The agent of EKS Pod Identity."""
        trusted = self.issuer.trusts(asked.headers.get("authorization", ""), PODS)
        return (200, self._given("Token")) if trusted else (401, b"")

    def _sts(self, asked: Asked) -> Answer:
        form = asked.form
        wanted = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": ROLE}
        if wanted.items() - form.items() or not form.get("RoleSessionName"):
            return 400, b"<ErrorResponse><Error><Code>ValidationError</Code></Error></ErrorResponse>"
        if not self.issuer.trusts(form.get("WebIdentityToken", ""), STS):
            return 400, b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>"
        given = json.loads(self._given("SessionToken"))
        elements = "".join(f"<{name}>{value}</{name}>" for name, value in given.items())
        result = f"<Credentials>{elements}</Credentials><Audience>{STS}</Audience>"
        return 200, (
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<AssumeRoleWithWebIdentityResult>{result}</AssumeRoleWithWebIdentityResult>"
            "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>"
        ).encode()

    def _given(self, session: str) -> bytes:
        """New keys, as JSON; ``session`` is what the field of the session token is called."""
        environment = self.static(session=secrets.token_urlsafe(40))
        expires = datetime.fromtimestamp(time.time() + self.life, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        names = ("AccessKeyId", "SecretAccessKey", session)
        return json.dumps(dict(zip(names, environment.values(), strict=True)) | {"Expiration": expires}).encode()

    def _instance(self, asked: Asked) -> Answer:
        """The metadata service of an instance, version 2 only."""
        path = asked.path
        if path == "/latest/api/token" and asked.method == "PUT":
            seconds = asked.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
            if not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
                return 400, b""
            self._tokens.add(token := secrets.token_urlsafe())
            return 200, token.encode()
        if asked.headers.get("x-aws-ec2-metadata-token") not in self._tokens:
            return 401, b""
        roles = "/latest/meta-data/iam/security-credentials/"
        found = {roles: b"nodes", f"{roles}nodes": self._given("Token")}
        return (200, found[path]) if path in found else (404, b"")

    def _ecr(self, asked: Asked) -> Answer:
        service = TARGETS.get(asked.headers["x-amz-target"])
        if service is None or asked.path != "/" or json.loads(asked.body) != {}:
            return 400, b'{"__type":"InvalidParameterException"}'
        if problem := self._unsigned(asked, service, "us-east-1" if service == "ecr-public" else self.region):
            return 400, json.dumps({"__type": problem, "message": "no"}).encode()
        password = self.passwords["AWS"] = secrets.token_urlsafe(60)
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        data = {"authorizationToken": token, "expiresAt": time.time() + 12 * 3600}
        if service == "ecr-public":
            return 200, json.dumps({"authorizationData": data}).encode()
        data["proxyEndpoint"] = f"https://123456789012.dkr.ecr.{self.region}.amazonaws.com"
        return 200, json.dumps({"authorizationData": [data]}).encode()

    def _unsigned(self, asked: Asked, service: str, region: str) -> str | None:
        """What is wrong with a signature: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html."""
        algorithm, _, rest = asked.headers.get("authorization", "").partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(",")) if rest else {}
        access, *scope = parts.get("Credential", "").split("/")
        moment = asked.headers.get("x-amz-date", "")
        secret, session = self._keys.get(access, ("", ""))
        if algorithm != "AWS4-HMAC-SHA256" or not secret:
            return "UnrecognizedClientException"
        if session != asked.headers.get("x-amz-security-token", ""):
            return "UnrecognizedClientException"
        sent = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if scope != [moment[:8], region, service, "aws4_request"] or abs(time.time() - sent.timestamp()) > 300:
            return "InvalidSignatureException"
        names = parts["SignedHeaders"].split(";")
        amazon = {name for name in asked.headers if name.startswith("x-amz-")}
        if not {"host", "content-type"} | amazon <= set(names) or names != sorted(names):
            return "InvalidSignatureException"
        canonical = "POST\n/\n\n"
        for name in names:
            canonical += f"{name}:{asked.headers[name]}\n"
        canonical += f"\n{parts['SignedHeaders']}\n{hashlib.sha256(asked.body).hexdigest()}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{'/'.join(scope)}\n{digest}"
        key = functools.reduce(_mac, scope, b"AWS4" + secret.encode())
        right = hmac.compare_digest(_mac(key, text).hex(), parts["Signature"])
        return None if right else "InvalidSignatureException"

    def _google(self, asked: Asked) -> Answer:
        if asked.headers.get("metadata-flavor") != "Google" or "x-forwarded-for" in asked.headers:
            return 403, b""
        if asked.path != "/computeMetadata/v1/instance/service-accounts/default/token":
            return 404, b""
        token = self.passwords["oauth2accesstoken"] = f"ya29.{secrets.token_urlsafe(60)}"
        content = {"access_token": token, "expires_in": int(self.life), "token_type": "Bearer"}
        return 200, json.dumps(content).encode()

    def _azure_machine(self, asked: Asked) -> Answer:
        query = parse_qs(urlsplit(asked.path).query)
        if asked.headers.get("metadata") != "true" or query.get("api-version") != ["2018-02-01"]:
            return 400, b'{"error":"invalid_request"}'
        if query.get("resource") != ["https://containerregistry.azure.net"]:
            return 400, b'{"error":"invalid_resource"}'
        if query.get("client_id", [CLIENT]) != [CLIENT]:
            return 400, b'{"error":"invalid_request","error_description":"Identity not found"}'
        return 200, json.dumps(self._access() | {"expires_in": str(int(self.life))}).encode()  # it sends text

    def _entra(self, asked: Asked) -> Answer:
        form = asked.form
        wanted = {
            "client_id": CLIENT,
            "scope": "https://containerregistry.azure.net/.default",
            "client_assertion_type": ASSERTION,
            "grant_type": "client_credentials",
        }
        if wanted.items() - form.items():
            return 400, b'{"error":"invalid_request"}'
        if not self.issuer.trusts(form.get("client_assertion", ""), ENTRA):
            return 401, b'{"error":"invalid_client","error_description":"AADSTS700024"}'
        return 200, json.dumps(self._access() | {"expires_in": int(self.life)}).encode()

    def _access(self) -> dict[str, Any]:
        self._tokens.add(token := secrets.token_urlsafe(60))
        return {"access_token": token, "token_type": "Bearer"}

    def _acr(self, asked: Asked) -> Answer:
        form = asked.form
        if form.get("grant_type") != "access_token" or form.get("service") != asked.headers["host"]:
            return 400, b'{"errors":[{"code":"INVALID"}]}'
        if form.get("access_token") not in self._tokens or form.get("tenant", TENANT) != TENANT:
            return 401, b'{"errors":[{"code":"UNAUTHORIZED"}]}'
        token = self.passwords[ACR_USER] = secrets.token_urlsafe(60)
        return 200, json.dumps({"refresh_token": token}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, clouds: Clouds, request: socket.socket, client: tuple[str, int], server: BaseServer) -> None:
        self.clouds = clouds  # first: the base class serves the request while it is constructed
        super().__init__(request, client, server)

    def do_GET(self) -> None:
        """Answer, or let the registry answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body)
        if self.clouds.forwards(asked):
            self._forward(headers)
            return
        (status, content), more = self.clouds.answer(asked)
        self._send(status, {"content-type": "application/json"} | more, content)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the base class's names

    def _forward(self, headers: dict[str, str]) -> None:
        context = ssl.create_default_context(cafile=self.clouds.authority.certificate)
        registry = http.client.HTTPSConnection("127.0.0.1", self.clouds.registry, context=context, timeout=10)
        registry.request(self.command, self.path, headers=headers)
        response = registry.getresponse()
        kept = {"content-type", "docker-content-digest", "www-authenticate", "location", "etag"}
        more = {name: value for name, value in response.getheaders() if name.lower() in kept}
        self._send(response.status, more, response.read())
        registry.close()

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "connection": "close", "content-length": str(len(body))}.items():
            self.send_header(name, value)
        with contextlib.suppress(OSError):  # clients that have had enough hang up
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: tests count, and nobody reads."""


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
