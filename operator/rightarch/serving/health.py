"""Health: the answers to probes and scrapes."""

from collections.abc import Callable
from typing import Final

from rightarch.metrics import CONTENT_TYPE, ProcessMetrics
from rightarch.serving.asgi import Receive, Scope, Send

_TEXT: Final = b"text/plain; charset=utf-8"


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
