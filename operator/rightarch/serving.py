"""Serving: a port, a server on it that leaves signals to its process, and the answers to probes and scrapes."""

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

import uvicorn

from rightarch.errors import RightarchError
from rightarch.metrics import CONTENT_TYPE, ProcessMetrics

KEEP_ALIVE: Final = 300
"""Seconds that an idle connection is kept: longer than the API server does (90), so that it is the one that closes.
A connection that we close as it sends is a failed admission, since it does not send a review twice."""
BACKLOG: Final = 2048
_IN_FLIGHT_SECONDS: Final = 10

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TEXT: Final = b"text/plain; charset=utf-8"


class PortTaken(RightarchError):
    """A port can't be listened on."""


class Health:
    """An ASGI application: whether the process lives, whether it is ready, and its metrics.

    Args:
        missing: tells what the process lacks to be ready, or None.
        metrics: of the process.
    """

    def __init__(self, missing: Callable[[], str | None], metrics: ProcessMetrics) -> None:
        self._missing, self._metrics = missing, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        """Answer one request."""
        status, kind, body = self._answer(scope)
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, scope: Scope) -> tuple[int, bytes, bytes]:
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, _TEXT, b"only GET and HEAD\n"
        match scope["path"]:
            case "/healthz":
                return 200, _TEXT, b"ok\n"
            case "/readyz":
                missing = self._missing()
                return (503, _TEXT, f"{missing}\n".encode()) if missing else (200, _TEXT, b"ok\n")
            case "/metrics":
                return 200, CONTENT_TYPE, self._metrics.exposition()
            case _:
                return 404, _TEXT, b"there is /healthz, /readyz and /metrics\n"


class Server(uvicorn.Server):
    """A uvicorn that leaves signals to us: it would close idle connections while the API server still uses them."""

    def __init__(self, application: Any, context: ssl.SSLContext | None = None) -> None:  # noqa: ANN401 - ASGI
        config = uvicorn.Config(
            application,
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=_IN_FLIGHT_SECONDS,
            ssl_context_factory=(lambda *_: context) if context else None,
        )
        super().__init__(config)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextmanager
def listening(address: IPv4Address | IPv6Address, port: int) -> Iterator[socket.socket]:
    """A socket that has the port, closed in the end; a server listens on it once it serves.

    Until then connections are refused, and not kept waiting for an answer.

    Raises:
        PortTaken: the address or the port can't be had.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        listener = _bound(str(address), port, family)
    except OSError as error:
        raise PortTaken(f"can't listen on {address} port {port}: {error.strerror}") from error
    with listener:
        listener.setblocking(False)
        yield listener


def _bound(address: str, port: int, family: socket.AddressFamily) -> socket.socket:
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for old connections
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound
