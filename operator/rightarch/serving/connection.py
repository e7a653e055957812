"""A connection, and what one may cost: bytes beside bodies, time for a request, requests sent ahead.

Nothing here is timed by a request: the server looks at all connections once a second.
"""

from enum import Enum
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import uvicorn
from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from rightarch.serving.transport import Whole

if TYPE_CHECKING:
    import asyncio

KEEP_ALIVE: Final = 300
"""Seconds that an idle connection is kept: longer than the API server does (90), so that it is the one that closes.
A connection that we close as it sends is a failed admission, since it does not send a review twice."""
REQUEST_SECONDS: Final = 15.0
"""From a request's first byte to its answer's last. Answering takes 3 of them at most, the longest look-up budget."""
MAX_OVERHEAD: Final = 64 * 1024
"""Bytes of a request that are not its body: headers, the framing of chunks, trailers."""
MAX_AHEAD: Final = 8
"""Requests that may be sent before the first of them is answered. The API server sends none."""


class State(Enum):
    """What a connection waits for."""

    IDLE = "a request"
    ARRIVING = "the rest of a request"
    ANSWERING = "us"


class Crowd(Protocol):
    """What a connection tells of itself, since all of them together are bounded."""

    def join(self, connection: "Connection") -> None:
        """Tell of a new connection."""

    def hold(self, connection: "Connection", size: int) -> None:
        """Tell of more bytes that are held for a connection."""

    def release(self, size: int) -> None:
        """Tell of bytes that are held no longer."""

    def refused(self, status: int) -> None:
        """Tell of a request that no application saw the whole of."""


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's, with bounds.

    Attributes:
        state: what it waits for.
        since: when it began to, by the monotonic clock; a request that is being answered counts from its first byte.
        used: whether a request on it was ever answered.
        held: bytes of its requests' bodies that are in memory.
    """

    def __init__(
        self, crowd: Crowd, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._crowd, self._overhead = crowd, 0
        self.state, self.since, self.used, self.held = State.IDLE, monotonic(), False, 0

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's form of transports
        """Take part, unless there are too many."""
        super().connection_made(cast("asyncio.Transport", Whole(transport)))
        self._crowd.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hold nothing any more."""
        self._release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is too much that is no body."""
        if self.transport.is_closing():
            return
        self._overhead += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade:  # none is spoken: the request is answered as if it had not asked, and is the last
            self.cycle.keep_alive = False
        except HttpParserError:
            self.refuse(HTTPStatus.BAD_REQUEST, "this can't be read as HTTP/1.1")
        else:
            if self._overhead > MAX_OVERHEAD:
                text = f"a request has at most {MAX_OVERHEAD} bytes of headers and framing"
                self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def on_message_begin(self) -> None:
        """Note when a request begins."""
        if len(self.pipeline) >= MAX_AHEAD:
            raise ValueError("too many requests at once")  # which the parser takes for a fault of the request
        if self.state is State.IDLE:
            self.since = monotonic()
        self.state = State.ARRIVING
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Count what is kept of a body."""
        self._overhead -= len(body)
        if not self.cycle.response_complete:
            super().on_body(body)
            self.held += len(body)
            self._crowd.hold(self, len(body))

    def on_message_complete(self) -> None:
        """From here on, the request waits for us."""
        super().on_message_complete()
        self._overhead = 0
        if self.state is State.ARRIVING:
            self.state = State.IDLE if self.cycle.response_complete else State.ANSWERING

    def on_response_complete(self) -> None:
        """Send the answer in one piece; then wait for the next request, or for the rest of one."""
        cast("Whole", self.transport).flush()
        self._release()
        self.used, self.since = True, monotonic()
        if self.state is State.ANSWERING and not self.pipeline:
            self.state = State.IDLE
        if self.pipeline:
            super().on_response_complete()
        else:  # what is left of it: a timer for each answer, in case the connection stays idle, cost an eighth of all
            self.server_state.total_requests += 1
            if not self.transport.is_closing():
                self.flow.resume_reading()

    def look(self, now: float) -> None:
        """Close what has waited for too long."""
        waited = now - self.since
        if self.state is State.IDLE:
            if waited > KEEP_ALIVE:
                self.transport.close()
        elif waited > REQUEST_SECONDS:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT, f"the request did not arrive within {REQUEST_SECONDS:g} s")

    def refuse(self, status: HTTPStatus, text: str) -> None:
        """Say why, if nothing else is being said, and close; what was held is held no longer."""
        if self.transport.is_closing():
            return
        self._crowd.refused(status)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_answer(status, text))
        self.transport.close()
        if cycle is not None:  # the application must not wait for the other side to close as well
            cycle.disconnected = True
            cycle.message_event.set()
        self._release()

    def _release(self) -> None:
        if self.held:
            self._crowd.release(self.held)
            self.held = 0


def _answer(status: HTTPStatus, text: str) -> bytes:
    body = f"{text}\n"
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
    return f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode("ascii")
