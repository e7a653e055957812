"""A second mutating webhook, as service meshes have one: it adds a container to every pod."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from tests.controlplane import CertificateAuthority

if TYPE_CHECKING:
    from pathlib import Path


class SidecarInjector:
    """Serves on loopback, over TLS, for a ``with`` block.

    Args:
        image: of the container that is added.
        folder: for its certificate.
    """

    def __init__(self, image: str, folder: Path) -> None:
        authority = CertificateAuthority(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("sidecar-injector"))
        self.ca = authority.certificate
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(image))
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where reviews go."""
        return f"https://127.0.0.1:{self._server.server_address[1]}/"


def _handler(image: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = json.dumps(review | {"response": _response(review["request"], image)}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    return Handler


def _response(request: dict[str, Any], image: str) -> dict[str, Any]:
    """Admit; add the container unless it is there, since the API server may ask twice."""
    response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    if all(each["image"] != image for each in request["object"]["spec"]["containers"]):
        patch = [{"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": image}}]
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    return response
