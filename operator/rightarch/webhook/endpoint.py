"""The admission endpoint: an ASGI application without a framework, since every pod of the cluster waits for it."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from time import monotonic
from typing import Final, Protocol
from urllib.parse import parse_qs

from rightarch.durations import seconds
from rightarch.metrics import Metrics
from rightarch.serving import Receive, Scope, Send
from rightarch.webhook.review import Refused

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of a review: etcd holds objects of 1.5 MiB, an update carries two, JSON escapes lengthen them."""
MAX_BUDGET: Final = 3.0
"""Seconds that a review may be waited for at most, whatever a policy says."""
MARGIN: Final = 1.0
"""Seconds before the API server's own deadline by which an answer must be on its way."""

_JSON: Final = (b"content-type", b"application/json")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_CLOSE: Final = (b"connection", b"close")


class Handler(Protocol):
    """Answers the reviews of one path."""

    async def __call__(self, body: bytes, begun: float, budget: float) -> bytes:
        """The answer to a review that arrived at ``begun``, for which at most ``budget`` seconds may be waited.

        Raises:
            Refused: the body is no readable review.
        """


class Endpoint:
    """Routes requests to handlers; what is no readable review is refused with its reason in plain text."""

    def __init__(
        self, handlers: Mapping[str, Handler], budget: float, metrics: Metrics, draining: Callable[[], bool]
    ) -> None:
        self._handlers, self._budget, self._metrics, self._draining = handlers, budget, metrics, draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = monotonic()
        try:
            handler = self._route(scope)
            body = await _body(receive)
            if body is None:
                return
            answer = await handler(body, begun, _budget(scope["query_string"], self._budget))
        except Refused as refusal:
            self._metrics.refused(refusal.status)
            await self._refuse(scope, refusal, send)
        else:
            await _reply(send, 200, answer, (_JSON, _CLOSE) if self._draining() else (_JSON,))

    def _route(self, scope: Scope) -> Handler:
        handler = self._handlers.get(scope["path"])
        if handler is None:
            raise Refused(404, f"there is nothing here; reviews go to {', '.join(self._handlers)}")
        if scope["method"] != "POST":
            raise Refused(405, "reviews are sent by POST")
        _check_headers(scope["headers"])
        return handler

    async def _refuse(self, scope: Scope, refusal: Refused, send: Send) -> None:
        """Say why, and close: the body may not have been read."""
        allow = [(b"allow", b"POST")] if refusal.status == 405 else []
        text = "" if scope["method"] == "HEAD" else f"{refusal}\n"
        await _reply(send, refusal.status, text.encode(), (_TEXT, _CLOSE, *allow))


def _check_headers(headers: list[tuple[bytes, bytes]]) -> None:
    given = dict(headers)
    kind = given.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Refused(415, "a review has the content type application/json")
    if given.get(b"content-encoding", b"identity") != b"identity":
        raise Refused(415, "a review is sent without a content encoding")
    length = given.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > MAX_BODY:
        raise _too_large()


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None where its sender left. How long it may take is the server's business."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part, more = message.get("body", b""), message.get("more_body", False)
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise _too_large()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large() -> Refused:
    return Refused(413, f"a review has at most {MAX_BODY} bytes")


@lru_cache(maxsize=16)
def _budget(query: bytes, budget: float) -> float:
    """Seconds that may be waited: never past the API server's own deadline, which it states in the query."""
    stated = parse_qs(query.decode("latin-1")).get("timeout", [""])[0]
    allowed = seconds(stated)
    return budget if allowed is None else max(0.0, min(budget, allowed - MARGIN))


async def _reply(send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
