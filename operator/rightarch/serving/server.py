"""The server: accepts connections, and looks after them."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any, Final, cast

import uvicorn

from rightarch.logs import fields
from rightarch.serving.connection import Connection
from rightarch.serving.load import Load

BACKLOG: Final = 2048
MAX_HANDSHAKES: Final = 256
"""Connections that are agreeing on TLS; beyond them, the one that has been at it for the longest is given up."""
HANDSHAKE_SECONDS: Final = 10.0
GOODBYE_SECONDS: Final = 5.0
"""How long the other side may take to take what it is sent last."""
STALL: Final = 3.0
"""Seconds between two looks that tell of a process that did not run meanwhile: what came then is not read yet."""
_AT_ONCE: Final = 64
_NO_ROOM_SECONDS: Final = 0.5
_IN_FLIGHT_SECONDS: Final = 10

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """A uvicorn of bounded cost that leaves signals to us: it would close connections that the API server still uses.

    Args:
        application: in ASGI's form.
        context: for TLS; without one, plain HTTP is spoken.
        refused: called with the status of each request that is refused before the application saw it.
    """

    def __init__(
        self,
        application: Any,  # noqa: ANN401 - ASGI
        context: ssl.SSLContext | None = None,
        refused: Callable[[int], None] = lambda _: None,
    ) -> None:
        config = uvicorn.Config(
            application,
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=_IN_FLIGHT_SECONDS,
        )
        super().__init__(config)
        self.servers = []  # connections are accepted here, since uvicorn bounds neither their number nor handshakes
        self._connections = cast("set[Connection]", self.server_state.connections)
        self._load = Load(self._connections, refused)
        self._tls: dict[str, Any] = {}
        if context:
            seconds = {"ssl_handshake_timeout": HANDSHAKE_SECONDS, "ssl_shutdown_timeout": GOODBYE_SECONDS}
            self._tls = {"ssl": context, **seconds}
        self._handshakes: dict[asyncio.Task[None], socket.socket] = {}  # in the order in which they began
        self._looked = monotonic()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        for listener in sockets or ():
            listener.listen(BACKLOG)
            self._listen(listener)
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and let requests in flight be answered."""
        for listener in sockets or ():
            asyncio.get_running_loop().remove_reader(listener)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Look at all connections, once a second."""
        if counter % 10 == 0:
            now = monotonic()
            if now - self._looked < STALL:
                for connection in list(self._connections):
                    connection.look(now)
            self._looked = now
        return await super().on_tick(counter)

    def _listen(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0 and not self.should_exit:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accept what came, or some of it: requests have their turn, too."""
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # too many open files: it would be tried again without an end
                log.warning("can't accept connections", extra=fields(error=error.strerror, pause=_NO_ROOM_SECONDS))
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener)
                loop.call_later(_NO_ROOM_SECONDS, self._listen, listener)
                return
            accepted.setblocking(False)
            self._begin(accepted)

    def _begin(self, accepted: socket.socket) -> None:
        if len(self._handshakes) >= MAX_HANDSHAKES:
            oldest = next(iter(self._handshakes))
            self._handshakes.pop(oldest).close()  # as well: a task that did not begin closes nothing
            oldest.cancel()
        task = asyncio.get_running_loop().create_task(self._connect(accepted))
        self._handshakes[task] = accepted
        task.add_done_callback(lambda done: self._handshakes.pop(done, None))

    async def _connect(self, accepted: socket.socket) -> None:
        connected = asyncio.get_running_loop().connect_accepted_socket(self._connection, accepted, **self._tls)
        with suppress(OSError):  # ssl.SSLError and TimeoutError are some
            await connected

    def _connection(self) -> Connection:
        return Connection(self._load, self.config, self.server_state, {})
