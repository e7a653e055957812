"""The server: what a stranger who reaches its port can't make it keep, and who is answered meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
import uvloop

from rightarch.metrics import Metrics
from rightarch.serving import connection, load, server
from rightarch.webhook.endpoint import Endpoint
from tests.support.serving import SMALL, World, ended, served, status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Scene = Callable[[World], Awaitable[None]]
    Played = Callable[[Scene], None]


async def _answer(body: bytes, begun: float, budget: float) -> bytes:  # noqa: ARG001 - a handler's form
    return b"%d" % len(body)


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - neither a server nor a reader tells of it
            await asyncio.sleep(0.01)


def connections(world: World) -> list[connection.Connection]:
    """Those that the server has."""
    return cast("list[connection.Connection]", list(world.server.server_state.connections))


@pytest.fixture
def played(tmp_path: Path) -> Played:
    """Plays a scene before a server, in the event loop that the processes have."""

    async def play(scene: Scene) -> None:
        async with served(tmp_path, Endpoint({"/x": _answer}, 1.0, Metrics(), lambda: False)) as world:
            await scene(world)

    def run(scene: Scene) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(play(scene))

    return run


def test_requests_of_one_connection_are_answered_in_turn(played: Played) -> None:
    """It stays open in between, and ends when its client ends it."""

    async def scene(world: World) -> None:
        reader, writer = await world.open()
        for _ in range(3):
            writer.write(SMALL)
            answer = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"2")
        assert len(world.server.server_state.connections) == 1
        writer.close()

    played(scene)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /x HTTP/1.1\r\nx: " + b"y" * 1_000_000,
        b"POST /" + b"y" * 1_000_000,
        b"POST /x HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: "
        + b"y" * 10**6,
        b"POST /x HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"1\r\nx\r\n" * 10**5,
    ],
    ids=["header", "path", "trailer", "chunks of a byte"],
)
def test_what_is_no_body_is_bounded(played: Played, head: bytes) -> None:
    """Headers without an end, in whatever form, are not kept."""

    async def scene(world: World) -> None:
        reader, _ = await world.sent(head)
        assert await status(reader) in {431, 0}  # a client that goes on sending may see but the end
        assert await ended(reader)
        assert world.refused == [431]
        assert await world.status() == 200

    played(scene)


@pytest.mark.parametrize(
    "part",
    [b"POST /x HT", SMALL[:-2], SMALL[:-1], SMALL + b"POST /x"],
    ids=["head", "no body", "half a body", "second head"],
)
def test_a_request_that_does_not_arrive_is_given_up(
    played: Played, monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    """Wherever it stops."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.5)

    async def scene(world: World) -> None:
        reader, _ = await world.sent(part)
        answer = await asyncio.wait_for(reader.read(), 60)
        assert b"HTTP/1.1 408 " in answer
        assert world.refused == [408]
        await until(lambda: not world.server.server_state.tasks)

    played(scene)


def test_a_connection_that_asks_nothing_may_stay_for_a_while(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server opens some ahead; they end when others that are idle would."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.2)

    async def scene(world: World) -> None:
        reader, writer = await world.open()
        await asyncio.sleep(1.5)  # the server looks at it once a second
        writer.write(SMALL)
        assert await status(reader) == 200
        unused, _ = await world.open()
        monkeypatch.setattr(connection, "KEEP_ALIVE", 0.2)
        assert all(await asyncio.gather(ended(unused), ended(reader)))
        assert not world.refused

    played(scene)


def test_bodies_are_bounded_together(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest of those that arrive gives way, and not the small one that comes last."""
    monkeypatch.setattr(load, "MAX_HELD", 1_000_000)
    head = b"POST /x HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 600000\r\n\r\n"

    async def scene(world: World) -> None:
        (first, _), (second, _) = await world.sent(head + b" " * 500_000), await world.sent(head + b" " * 499_000)
        await until(lambda: sum(each.held for each in connections(world)) == 999_000)
        more = SMALL.replace(b"length: 2", b"length: 2000")[:-2] + b" " * 2000
        assert await world.status(more) == 200
        assert await status(first) == 503
        assert world.refused == [503]
        assert not second.at_eof()

    played(scene)


def test_what_was_answered_is_not_counted_any_more(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what a client left that went away."""
    monkeypatch.setattr(load, "MAX_HELD", 1_000_000)
    whole = b"POST /x HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 600000\r\n\r\n" + b" " * 600_000

    async def scene(world: World) -> None:
        for _ in range(5):
            assert await world.status(whole) == 200
            _, writer = await world.sent(whole[:-1])
            writer.close()
            await writer.wait_closed()
        assert not world.refused

    played(scene)


def test_connections_are_bounded(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes is served; the one that never asked for anything goes, or that which has waited longest."""
    monkeypatch.setattr(load, "MAX_CONNECTIONS", 3)

    async def scene(world: World) -> None:
        used, _ = await world.sent(SMALL)
        await used.readuntil(b"\r\n\r\n2")
        silent = [await world.open() for _ in range(6)]
        for _ in range(3):
            assert await world.status() == 200
        assert len(world.server.server_state.connections) <= 3
        assert await status(silent[0][0]) == 503
        assert not used.at_eof()

    played(scene)


def test_handshakes_are_bounded(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and does not speak TLS takes nobody's place."""
    monkeypatch.setattr(server, "MAX_HANDSHAKES", 4)
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS", 600.0)

    async def scene(world: World) -> None:
        silent = await asyncio.gather(*(world.open(tls=False) for _ in range(40)))
        assert await world.status() == 200
        await until(lambda: sum(reader.at_eof() or reader.exception() is not None for reader, _ in silent) >= 36)
        assert await world.status() == 200

    played(scene)


def test_a_handshake_takes_no_longer_than_it_may(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence ends, and nonsense at once."""
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS", 0.5)

    async def scene(world: World) -> None:
        silent, _ = await world.open(tls=False)
        nonsense, writer = await world.open(tls=False)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await ended(nonsense)
        assert await ended(silent)
        assert await world.status() == 200

    played(scene)


def test_requests_sent_ahead_are_bounded(played: Played) -> None:
    """A few are answered in turn; hundreds in one piece are not."""

    async def scene(world: World) -> None:
        reader, _ = await world.sent(SMALL * 5)
        assert [await _whole(reader) for _ in range(5)] == [200] * 5
        reader, _ = await world.sent(SMALL * 500)
        assert await ended(reader)
        assert world.refused == [400]

    played(scene)


async def _whole(reader: asyncio.StreamReader) -> int:
    answer = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1)
    return int(answer.split()[1])


def test_who_asks_for_another_protocol_is_answered_in_this_one(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    """And nobody is told to install anything."""
    upgrade = b"GET /x HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n"

    async def scene(world: World) -> None:
        reader, _ = await world.sent(upgrade)
        assert await status(reader) == 405
        assert await ended(reader)

    played(scene)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_what_is_no_http_is_refused_and_not_logged(played: Played, caplog: pytest.LogCaptureFixture) -> None:
    """It is counted: whoever sends it can't fill the log."""

    async def scene(world: World) -> None:
        assert await world.status(b"\x16nonsense\r\n\r\n") == 400
        assert world.refused == [400]

    played(scene)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
