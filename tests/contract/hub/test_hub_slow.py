"""A client that does not read: what it costs, what it gets, when it has to go."""

from __future__ import annotations

import asyncio
import socket

import pytest

from broadcast_sync.hub.wheel import LOOKS
from broadcast_sync.wire.server import Pong, Warning_
from tests.contract.hub.conftest import Open
from tests.contract.hub.test_hub_deadlines import HANDSHAKE
from tests.support.hub import Client, Rig

ROWS = 1_500
"""Of a board that fills the kernel's buffers soon."""


async def stall(rig: Rig) -> Client:
    """A client that has stopped reading, and whose socket has no room left."""
    client = await rig.joined()
    client.connection.transport.pause_reading()
    session = rig.session(client)
    while session.ready:
        await rig.publish(rig.board(0, ROWS))
    return client


async def test_it_gets_the_newest_board_and_others_all(open_rig: Open) -> None:
    rig = await open_rig(outbox_bytes=400_000)
    slow = await stall(rig)
    healthy = await rig.joined()
    for total in range(1, 41):
        await rig.publish(rig.board(total, ROWS))
        assert (await healthy.hear())["data"]["totalVotes"] == total
    rig.emit(Warning_("closing", 0))
    await rig.publish(rig.board(41, ROWS))
    slow.connection.transport.resume_reading()
    heard = [await slow.hear()]
    while heard[-1]["data"].get("totalVotes") != 41:
        heard.append(await slow.hear())
    totals = [message["data"]["totalVotes"] for message in heard if message["type"] == "VOTE_UPDATE"]
    assert [total for total in totals if total] == [41]
    assert [message["type"] for message in heard[-2:]] == ["WARNING", "VOTE_UPDATE"]
    session = rig.session(slow)
    assert session.ready
    assert (await slow.ask({"type": "PING", "t0": 1}))["type"] == "PONG"


async def test_replies_and_events_keep_their_order(open_rig: Open) -> None:
    rig = await open_rig(outbox_bytes=400_000)
    slow = await stall(rig)
    session = rig.session(slow)
    for number in range(20):
        session.reply(Pong(number, 0, 0))
        rig.emit(Warning_("w", number))
        await rig.settled()
    slow.connection.transport.resume_reading()
    order: list[tuple[str, int]] = []
    while len(order) < 40:
        message = await slow.hear("PONG", "WARNING")
        order.append((message["type"], message["data"].get("t0", message["data"].get("remaining"))))
    assert order == [(type, number) for number in range(20) for type in ("PONG", "WARNING")]


async def test_too_much_that_must_arrive_is_4001(open_rig: Open) -> None:
    rig = await open_rig(outbox_messages=8)
    slow = await stall(rig)
    healthy = await rig.joined()
    session = rig.session(slow)
    for number in range(9):
        assert session.is_open
        rig.emit(Warning_("w", number))
        await rig.settled()
    assert not session.is_open
    slow.connection.transport.resume_reading()
    assert await slow.ended() == 4001
    for _ in range(9):
        await healthy.hear("WARNING")


async def test_one_that_takes_nothing_in_time_is_4001_too(open_rig: Open) -> None:
    rig = await open_rig(drain_timeout_s=0.4)
    slow, healthy = await stall(rig), await rig.joined()
    session = rig.session(slow)
    await rig.until(lambda: not session.is_open)
    assert session.close_code == 4001
    slow.connection.transport.resume_reading()
    assert await slow.ended() == 4001
    await rig.publish(rig.board(1))
    assert (await healthy.hear())["data"]["totalVotes"] == 1


async def test_a_slow_phone_that_takes_something_lives(open_rig: Open) -> None:
    """It needs many timeouts' time for one message, and is at no look seen to have taken nothing."""
    rig = await open_rig(drain_timeout_s=0.4)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", rig.port))
    await loop.sock_sendall(raw, HANDSHAKE)
    await rig.sockets(1)
    (session,) = rig.hub.sessions.values()
    await rig.publish(rig.board(1, 40_000))
    assert not session.ready
    for _ in range(2 * LOOKS + 1):
        seen, before = session.look_at, session.unsent()
        while session.unsent() == before:
            await loop.sock_recv(raw, 16_384)
        await rig.until(lambda: session.look_at != seen)  # noqa: B023 - awaited in this round
        assert session.is_open and session.unsent()
    await rig.until(lambda: not session.is_open)
    assert session.close_code == 4001
    raw.close()


async def test_a_session_is_one_line_of_log_however_much_it_missed(
    open_rig: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = await open_rig(outbox_messages=8)
    slow = await stall(rig)
    capsys.readouterr()
    for number in range(50):
        await rig.publish(rig.board(number, ROWS))
        rig.emit(Warning_("w", number))
        await rig.settled()
    slow.connection.transport.resume_reading()
    assert await slow.ended() == 4001
    await rig.sockets(0)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(lines) == 1 and "session_ended" in lines[0] and "4001" in lines[0]
