"""An answer is one TLS record, whatever uvicorn writes it in; and nothing of it is lost or late for that."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from tests.support.serving import SMALL, World, served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from rightarch.serving import Receive, Scope, Send

    Scene = Callable[[World], Awaitable[None]]
    Played = Callable[[Scene, Any], None]

APPLICATION_DATA = 23
RECORD = 16 * 1024
"""Bytes of content that a record has at most: RFC 8446, 5.1."""
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
CLOSING = SMALL.replace(b"host: h", b"connection: close")


class Client:
    """A client that sees the records in which it is answered.

    It speaks TLS 1.2, which sends its session tickets before the first answer and not beside it.
    """

    def __init__(self, world: World) -> None:
        context = ssl.create_default_context(cafile=world.authority.certificate)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._incoming, self._outgoing, self._raw = ssl.MemoryBIO(), ssl.MemoryBIO(), b""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")
        self._socket = socket.create_connection(("127.0.0.1", world.port), timeout=10)
        self.records = 0
        while self._wants_more():
            self._exchange()
        self._exchange_out()
        self.records = 0

    def ask(self, request: bytes) -> None:
        """Send a request."""
        self._tls.write(request)
        self._exchange_out()

    def read(self, size: int) -> bytes:
        """Bytes of answers: so many, or fewer where the other side says good-bye."""
        found = b""
        while len(found) < size:
            try:
                part = self._tls.read(size - len(found))
            except ssl.SSLWantReadError:
                self._exchange_in()
            except ssl.SSLZeroReturnError:
                break
            else:
                if not part:
                    break
                found += part
        return found

    def answer(self) -> bytes:
        """The next answer, by its length."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = self.read(1)
            assert part, f"the connection ended after {head!r}"
            head += part
        [length] = [line.split()[1] for line in head.lower().splitlines() if line.startswith(b"content-length:")]
        return head + self.read(int(length))

    def at_end(self) -> bool:
        """Whether the other side says good-bye, and nothing more."""
        return self.read(1) == b""

    def close(self) -> None:
        """Go."""
        self._socket.close()

    def _wants_more(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return True
        return False

    def _exchange(self) -> None:
        self._exchange_out()
        self._exchange_in()

    def _exchange_out(self) -> None:
        self._socket.sendall(self._outgoing.read())

    def _exchange_in(self) -> None:
        """Take one record: its type, its version, its length in two bytes, and that."""
        head = self._whole(5)
        self.records += head[0] == APPLICATION_DATA
        self._incoming.write(head + self._whole(int.from_bytes(head[3:])))

    def _whole(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self._socket.recv(size - len(found))
            assert part, "the connection ended within a record, or without a good-bye"
            found += part
        return found


async def counted(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's form
    """Answer a request with the length of its body."""
    await _answer_length(receive, send, [])


async def last(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's form
    """The same, as a process does that drains."""
    await _answer_length(receive, send, [(b"connection", b"close")])


async def _answer_length(receive: Receive, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    body = b"%d" % size
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def played(tmp_path: Path) -> Played:
    """Has a client, in a thread of its own, meet an application in the event loop that the processes have."""

    async def play(scene: Scene, application: Any) -> None:  # noqa: ANN401 - ASGI
        async with served(tmp_path, application) as world:
            await scene(world)

    def run(scene: Scene, application: Any) -> None:  # noqa: ANN401 - ASGI
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(play(scene, application))

    return run


def met(world: World, talk: Callable[[Client], None]) -> Awaitable[None]:
    """Have a client talk to a server."""

    def in_a_thread() -> None:
        client = Client(world)
        try:
            talk(client)
        finally:
            client.close()

    return asyncio.to_thread(in_a_thread)


def test_each_answer_is_one_record(played: Played) -> None:
    """On a connection that is kept, and at its end."""

    def talk(client: Client) -> None:
        for count in (1, 2, 3):
            client.ask(SMALL)
            assert client.answer().startswith(b"HTTP/1.1 200 ")
            assert client.records == count
        client.ask(CLOSING)
        assert client.answer().endswith(b"\r\n\r\n2")
        assert client.at_end()
        assert client.records == 4

    played(lambda world: met(world, talk), counted)


def test_what_is_refused_is_one_record(played: Played) -> None:
    """By the server, before an application sees it."""

    def talk(client: Client) -> None:
        client.ask(b"nonsense\r\n\r\n")
        assert client.answer().startswith(b"HTTP/1.1 400 ")
        assert client.records == 1
        assert client.at_end()

    played(lambda world: met(world, talk), counted)


def test_requests_sent_ahead_are_answered_in_turn(played: Played) -> None:
    """Each answer whole, in the order of the requests, and by itself."""
    requests = [
        b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % size
        + b" " * size
        for size in range(1, 6)
    ]

    def talk(client: Client) -> None:
        client.ask(b"".join(requests))
        assert [client.answer()[-1:] for _ in requests] == [b"1", b"2", b"3", b"4", b"5"]
        assert client.records == len(requests)

    played(lambda world: met(world, talk), counted)


def test_while_it_drains_an_answer_comes_whole_before_the_end(played: Played) -> None:
    """It says that the connection closes, and then it does."""

    def talk(client: Client) -> None:
        client.ask(SMALL)
        answer = client.answer()
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\n2")
        assert client.records == 1
        assert client.at_end()

    played(lambda world: met(world, talk), last)


def test_a_large_answer_has_no_more_records_than_it_needs(played: Played) -> None:
    """Head and body are cut together, and arrive as they were."""
    body = bytes(range(256)) * 800

    async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's form
        await begin(send, len(body))
        await send({"type": "http.response.body", "body": body})

    def talk(client: Client) -> None:
        client.ask(SMALL)
        answer = client.answer()
        assert answer.endswith(b"\r\n\r\n" + body)
        assert client.records == -(-len(answer) // RECORD)

    played(lambda world: met(world, talk), application)


def test_who_waits_to_be_told_to_go_on_is_told_at_once(played: Played) -> None:
    """An interim answer does not wait for the final one, which waits for the body; and that is sent as it comes."""

    def talk_of(more: asyncio.Event, loop: asyncio.AbstractEventLoop) -> Callable[[Client], None]:
        def talk(client: Client) -> None:
            client.ask(SMALL[:-2].replace(b"host: h", b"expect: 100-continue"))
            assert client.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.ask(b"{}")
            assert client.read(len(HEAD) + 1) == HEAD + b"{"
            loop.call_soon_threadsafe(more.set)
            assert client.read(1) == b"}"
            assert client.records == 3

        return talk

    async def scene(world: World) -> None:
        await met(world, talk_of(ready, asyncio.get_running_loop()))

    async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's form
        message = await receive()
        while message["more_body"]:
            message = await receive()
        await begin(send, 2)
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        await ready.wait()
        await send({"type": "http.response.body", "body": b"}"})

    ready = asyncio.Event()
    played(scene, application)


def test_an_answer_without_a_body_is_sent(played: Played) -> None:
    """To HEAD, and where nothing is to be said; what fails before its body ends with its head."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's form
        await begin(send, 0 if scope["path"] == "/empty" else 2)
        if scope["path"] == "/failing":
            return
        await send({"type": "http.response.body", "body": b"" if scope["path"] == "/empty" else b"{}"})

    def talk(client: Client) -> None:
        client.ask(b"HEAD /x HTTP/1.1\r\nhost: h\r\n\r\n")
        assert client.read(len(HEAD)) == HEAD
        client.ask(b"GET /empty HTTP/1.1\r\nhost: h\r\n\r\n")
        assert client.answer() == HEAD.replace(b"2\r\n", b"0\r\n")
        assert client.records == 2
        client.ask(b"GET /failing HTTP/1.1\r\nhost: h\r\n\r\n")
        assert client.read(len(HEAD)) == HEAD
        assert client.at_end()

    played(lambda world: met(world, talk), application)


def test_who_writes_without_an_end_is_made_to_wait(played: Played) -> None:
    """Nothing but a head is held back: the real transport says that it has enough, as without us."""
    part, parts, sent = b"x" * 1024, 64 * 1024, 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's form
        nonlocal sent
        await begin(send, len(part) * parts)
        for number in range(parts):
            await send({"type": "http.response.body", "body": part, "more_body": number + 1 < parts})
            sent += len(part)

    async def scene(world: World) -> None:
        reader, _ = await world.sent(SMALL)
        before = -1
        while sent > before or not sent:  # until it waits
            before = sent
            await asyncio.sleep(0.2)
        assert 0 < sent < len(part) * parts / 2
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(part) * parts) == part * parts
        assert sent == len(part) * parts

    played(scene, application)


async def begin(send: Send, length: int) -> None:
    """Send the head of an answer."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % length)]})
