"""A registry at a distance: answers after a while, or never; a process of its own, so that it costs its client nothing.

``python -m tests.bench.slow_registry CERTIFICATE KEY SECONDS`` prints its port, serves until its stdin ends, and then
prints how many requests it got. Without SECONDS it takes requests and never answers.
"""

import asyncio
import hashlib
import json
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Self, cast

import uvloop

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PLATFORMS = (("linux", "amd64"), ("linux", "arm64"))
"""Those of each image."""
COUNT = b"/requests"
"""The path that tells how many requests there were so far, and counts for none."""


class SlowRegistry:
    """The process, as a context manager.

    Attributes:
        host: host and port, as references name it.
        requests: after the end: how many there were.
    """

    def __init__(self, certificate: Path, key: Path, seconds: float | None) -> None:
        arguments = [str(certificate), str(key), *([] if seconds is None else [str(seconds)])]
        self._command: list[str] = [sys.executable, "-m", "tests.bench.slow_registry", *arguments]
        self.requests = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.host = f"127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self.requests = int(self._process.communicate(timeout=30)[0])


class _Connection(asyncio.Protocol):
    """One connection; requests have no body."""

    requests = 0

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is none

    def data_received(self, data: bytes) -> None:
        *heads, self._read = (self._read + data).split(b"\r\n\r\n")
        for head in heads:
            method, path, _ = head.split(b"\r\n", 1)[0].split(b" ")
            if path == COUNT:
                self._send(method, str(_Connection.requests).encode())
                continue
            _Connection.requests += 1
            if self._seconds is not None:
                asyncio.get_running_loop().call_later(self._seconds, self._answer, method, path)

    def _answer(self, method: bytes, path: bytes) -> None:
        self._send(method, _document(path) if b"/manifests/" in path else b"{}")

    def _send(self, method: bytes, body: bytes) -> None:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        kind = _MANIFEST if digest.encode() in _MANIFESTS else _INDEX
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            f"Docker-Content-Digest: {digest}\r\n\r\n"
        )
        if not self._transport.is_closing():
            self._transport.write(head.encode() + (body if method == b"GET" else b""))


_MANIFESTS: dict[bytes, bytes] = {}
"""What the indexes point to, by digest."""


def _document(path: bytes) -> bytes:
    """An index for two platforms, another one for each path; or a manifest that one of them points to."""
    if (manifest := _MANIFESTS.get(path.rpartition(b"/")[2])) is not None:
        return manifest
    entries = [
        {
            "mediaType": _MANIFEST,
            "digest": _kept(path + name.encode()),
            "size": 1000,
            "platform": {"os": system, "architecture": name},
        }
        for system, name in PLATFORMS
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}).encode()


def _kept(salt: bytes) -> str:
    """The digest of a manifest of one layer, which is there from now on."""
    layer, config = (f"sha256:{hashlib.sha256(salt + part).hexdigest()}" for part in (b"layer", b"config"))
    content = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 1_500},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": 30_000_000}],
    }
    body = json.dumps(content).encode()
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    _MANIFESTS[digest.encode()] = body
    return digest


async def _serve(certificate: str, key: str, seconds: float | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(seconds), "127.0.0.1", 0, ssl=context, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(_Connection.requests, flush=True)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else None))
