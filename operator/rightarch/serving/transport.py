"""A transport that sends in one piece what is written in one go.

uvicorn writes the head of an answer and its body apart. Over TLS each is a record of its own: twice the encryption and
framing here, and twice the reading at the API server, which waits for the second while it has the first.
"""

import asyncio
from typing import Any, Final

MOST: Final = 64 * 1024
"""Bytes that are held back at most. Beyond, they go to the real transport, which says when it has enough."""


class Gathering:
    """Holds back what is written until it is told that an answer is complete; all else is the transport's own.

    Nothing is held back while the event loop waits: what nobody completed goes by itself, once the loop has done what
    it is at. Order is kept, and what was written before the connection is closed is sent before it is.

    Args:
        transport: the real one.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._soon = transport, asyncio.get_running_loop().call_soon
        self._held: list[bytes] = []
        self._size = 0
        self.is_closing = transport.is_closing  # asked several times for each request

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send this, with what else is written until the next flush."""
        if not data:
            return
        if not self._held:
            self._soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST:
            self.flush()

    def flush(self) -> None:
        """Send what is held back."""
        if self._held:
            data = b"".join(self._held)
            self._held, self._size = [], 0
            if not self.is_closing():  # the other side may have gone meanwhile
                self._transport.write(data)

    def close(self) -> None:
        """Send what is held back, and close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is held back is lost with the rest."""
        self._held, self._size = [], 0
        self._transport.abort()
