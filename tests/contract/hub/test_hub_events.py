"""Server-sent events on raw connections: what is said, resuming, slow and silent clients, and refusals."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

import msgspec
import pytest

from broadcast_sync.hub.events import UNASKED_BYTES, EventStream
from broadcast_sync.wire.server import Warning_
from tests.contract.hub.conftest import Open
from tests.support.events import connection
from tests.support.hub import EPOCH, Rig


async def test_a_stream_begins_with_all_that_a_joiner_is_told(rig: Rig) -> None:
    rig.emit(Warning_("1_MINUTE", 60))
    async with connection(rig.port) as stream:
        await stream.ask()
        assert stream.status == 200
        headers = stream.headers
        assert (headers["content-type"], headers["cache-control"]) == ("text/event-stream", "no-store")
        assert (headers["x-accel-buffering"], headers["connection"]) == ("no", "close")
        assert 1_000 <= ((await stream.block()).retry or 0) <= 5_000
        assert (await stream.hear())["type"] == "WELCOME"
        subscribed = (await stream.hear())["data"]
        assert subscribed == {"channel": "show", "recovered": False, "epoch": EPOCH, "offset": 1}
        snapshot = await stream.event()
        assert snapshot.message is not None and snapshot.message["data"]["code"] == "snapshot"
        # only behind the snapshot may the client say that it has been here
        behind = await stream.block()
        assert (behind.message, behind.raw) == (None, b"id: e1:1\n\n")
        assert (await stream.hear())["data"]["channel"] == "results"
        assert (await stream.hear())["type"] == "VOTE_UPDATE"

        rig.emit(Warning_("1_MINUTE", 59))
        assert (await stream.event()).id == "e1:2"
        rig.tick(9)
        tick = await stream.event()
        assert tick.id is None and tick.message is not None and tick.message["type"] == "COUNTDOWN"
        assert tick.raw.startswith(b'data: {"type":"COUNTDOWN"')
        assert rig.hub.channels.counts() == {"show": 1, "results": 1}
    await rig.sockets(0)


async def test_a_stream_gets_the_bytes_that_all_streams_get(rig: Rig) -> None:
    async with connection(rig.port) as one, connection(rig.port) as two:
        for stream in (one, two):
            await (await stream.ask("?channels=results")).hear("VOTE_UPDATE")
        board = rig.board(7, rows=12)
        await rig.publish(board)
        assert len(board._frames) == 1
        (made,) = board._frames.values()
        assert (await one.block()).raw == (await two.block()).raw == made


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_client_that_comes_back_gets_what_it_missed(rig: Rig, by: str) -> None:
    for remaining in (60, 59, 58):
        rig.emit(Warning_("1_MINUTE", remaining))
    query, headers = ("", ["Last-Event-ID: e1:1"]) if by == "header" else ("?lastEventId=e1:1", [])
    async with connection(rig.port) as stream:
        await stream.ask(query, *headers)
        assert (await stream.hear("SUBSCRIBED"))["data"]["recovered"] is True
        missed = [await stream.event(), await stream.event()]
        assert [(event.id, (event.message or {})["data"]["remaining"]) for event in missed] == [
            ("e1:2", 59), ("e1:3", 58)
        ]
        rig.emit(Warning_("1_MINUTE", 57))
        assert (await stream.event("WARNING")).id == "e1:4"


UNKNOWN_IDS = [
    "", "x", ":", "e1:", ":3", "e1:-1", "e1:1.5", "e1:\u00b2", "e1: 1", "e1:1:2", "%00:1", "\u00ff\u00fe:1",
    f"e1:{2**53}", f"e1:{'9' * 5000}", f"{'e' * 65}:1",
    "e0:1",  # of another epoch
    "e1:4",  # of the future
    "e1:0",  # too long ago
]


@pytest.mark.parametrize("last", UNKNOWN_IDS, ids=lambda last: last[:12])
async def test_a_last_event_id_that_is_not_known_brings_a_snapshot(rig: Rig, last: str) -> None:
    for remaining in (60, 59, 58):
        rig.emit(Warning_("1_MINUTE", remaining))
    rig.oldest = 1  # what came before is no longer to be had
    async with connection(rig.port) as stream:
        await stream.ask("", f"Last-Event-ID: {last}")
        assert stream.status == 200
        assert (await stream.hear("SUBSCRIBED"))["data"] == {
            "channel": "show", "recovered": False, "epoch": EPOCH, "offset": 3
        }
        assert (await stream.hear())["data"]["code"] == "snapshot"
        assert (await stream.block()).id == "e1:3"


async def test_channels_may_be_chosen(rig: Rig) -> None:
    async with connection(rig.port) as stream:
        await stream.ask("?utm=x&channels=contestant:c01,results,results")
        assert [(await stream.hear("SUBSCRIBED"))["data"]["channel"] for _ in range(2)] == ["contestant:c01", "results"]
        rig.tick(3)  # channel show: not for this one
        await rig.publish(rig.board(5))
        assert (await stream.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 0  # the snapshot
        assert (await stream.hear())["data"]["totalVotes"] == 5


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("?channels=control", [], 400, "UNSUPPORTED"),
        ("?channels=show,,results", [], 400, "UNSUPPORTED"),
        ("?channels=contestant:", [], 400, "UNSUPPORTED"),
        ("?channels=" + ",".join(f"contestant:c{n}" for n in range(65)), [], 400, "UNSUPPORTED"),
        ("?" + "&".join(f"a{n}=1" for n in range(17)), [], 400, "BAD_MESSAGE"),
        ("", ["Accept: text/html, application/json"], 406, "UNSUPPORTED"),
        ("", ["Accept: text/event-stream;q=0"], 406, "UNSUPPORTED"),
    ],
)
async def test_what_cannot_be_had_is_said(rig: Rig, query: str, headers: list[str], status: int, code: str) -> None:
    async with connection(rig.port) as stream:
        await stream.ask(query, *headers)
        assert (stream.status, stream.headers["cache-control"]) == (status, "no-store")
        answer = msgspec.json.decode(await stream.rest())
        assert answer["code"] == code
    assert rig.hub.counts.refused == {status: 1} and rig.hub.socket_count == 0


async def test_accept_that_leaves_room(rig: Rig) -> None:
    for accept in ("text/event-stream", "*/*", "text/html, TEXT/*;q=0.1"):
        async with connection(rig.port) as stream:
            await (await stream.ask("", f"Accept: {accept}")).hear("WELCOME")


async def test_pages_of_other_origins_need_to_be_allowed(open_rig: Open) -> None:
    rig = await open_rig(allowed_origins=["https://tv.example"])
    for origin, status, allowed in (
        ("https://tv.example", 200, "https://tv.example"), ("http://x", 200, "http://x"),  # Host: x
        ("https://evil.example", 403, None), ("null", 403, None),
    ):
        async with connection(rig.port) as stream:
            await stream.ask("", f"Origin: {origin}")
            assert (stream.status, stream.headers.get("access-control-allow-origin")) == (status, allowed)
            assert status != 200 or stream.headers["vary"] == "Origin"
    async with connection(rig.port) as stream:
        assert "access-control-allow-origin" not in (await stream.ask()).headers


async def test_a_full_house_refuses_streams_as_it_does_sockets(open_rig: Open) -> None:
    rig = await open_rig(max_sockets=1)
    async with connection(rig.port) as first, connection(rig.port) as second:
        await (await first.ask()).hear("WELCOME")
        await second.ask()
        assert second.status == 503 and 1 <= int(second.headers["retry-after"]) <= 5
        assert msgspec.json.decode(await second.rest())["code"] == "BUSY"
    assert rig.hub.counts.refused == {503: 1}


async def test_head_has_the_headers_and_no_stream(rig: Rig) -> None:
    async with connection(rig.port) as stream:
        await stream.ask(method="HEAD")
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert await stream.rest() == b""
    assert rig.hub.socket_count == 0


async def test_other_requests_go_their_own_way(rig: Rig) -> None:
    """Other methods and paths are the application's, an upgrade the socket endpoint's, which has no such path."""
    async with connection(rig.port) as stream:
        assert (await stream.ask(method="POST")).status == 200  # the rig's application says hello to everything
    async with connection(rig.port) as stream:
        assert (await stream.ask("/more")).status == 200
        assert "text/event-stream" not in stream.head.decode()
    async with connection(rig.port) as stream:
        await stream.ask("", "Connection: Upgrade", "Upgrade: websocket")
        assert stream.status in {400, 404}
    assert rig.hub.socket_count == 0


async def test_a_stream_after_another_request_of_the_connection(rig: Rig) -> None:
    async with connection(rig.port) as stream:
        stream.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await stream.reader.readuntil(b"0\r\n\r\n")
        await (await stream.ask()).hear("WELCOME")
        rig.tick(3)
        await stream.hear("COUNTDOWN")


async def test_what_is_sent_behind_the_request_is_ignored_and_bounded(rig: Rig) -> None:
    async with connection(rig.port) as stream:
        stream.writer.write(
            b"GET /voting/results/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            b"GET /voting/results/stream?channels=control HTTP/1.1\r\nLast-Event-ID: e1:0\r\n\r\n"
        )
        stream.head = await stream.reader.readuntil(b"\r\n\r\n")
        assert stream.status == 200
        assert (await stream.hear("SUBSCRIBED"))["data"]["recovered"] is False
        await rig.sockets(1)
        stream.writer.write(b"x" * (UNASKED_BYTES + 1))
        await stream.rest()
    await rig.sockets(0)


async def test_heartbeats_are_comments_and_ask_for_no_answer(open_rig: Open) -> None:
    rig = await open_rig(ping_interval_s=0.5)
    async with connection(rig.port) as stream:
        await (await stream.ask("?channels=results")).hear("VOTE_UPDATE")
        for _ in range(4):  # a socket that answers none is closed after two
            assert (await stream.block()).raw == b":\n\n"
        (session,) = rig.hub.sessions.values()
        assert (session.is_open, session.unanswered) == (True, 0)


async def test_the_kernel_gives_up_a_client_that_vanished(open_rig: Open) -> None:
    rig = await open_rig(ping_interval_s=15)
    async with connection(rig.port) as stream:
        await (await stream.ask()).hear("WELCOME")
        (session,) = rig.hub.sessions.values()
        assert isinstance(session._endpoint, EventStream)
        server_side = session._endpoint._transport.get_extra_info("socket")
        assert server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


async def test_a_slow_stream_keeps_the_newest_board_and_every_event(rig: Rig) -> None:
    async with connection(rig.port) as stream:
        await (await stream.ask()).hear("VOTE_UPDATE")
        (session,) = rig.hub.sessions.values()
        total = 0
        while session.ready:  # until the kernel takes no more
            total += 1
            await rig.publish(rig.board(total, rows=500))
        rig.emit(Warning_("1_MINUTE", 60))
        for _ in range(50):
            total += 1
            await rig.publish(rig.board(total, rows=500))
        await rig.settled()
        seen: list[int] = []
        ids: list[str] = []
        while not seen or seen[-1] != total or not ids:
            event = await stream.event()
            message = event.message or {}
            if message["type"] == "VOTE_UPDATE":
                seen.append(message["data"]["totalVotes"])
            else:
                ids.append(event.id or "")
        assert ids == ["e1:1"]
        assert len(seen) < total - 40  # the old boards were never sent


async def test_a_stream_that_takes_nothing_is_ended_and_resumes(open_rig: Open) -> None:
    rig = await open_rig(outbox_messages=8)
    async with connection(rig.port) as stream:
        await (await stream.ask()).hear("VOTE_UPDATE")
        (session,) = rig.hub.sessions.values()
        while session.ready:
            await rig.publish(rig.board(1, rows=500))
        for remaining in range(9):
            rig.emit(Warning_("1_MINUTE", remaining))
        await rig.settled()
        assert (session.is_open, session.close_code) == (False, 4001)
        rest = await stream.rest()
        ids = [line for line in rest.split(b"\n") if line.startswith(b"id: ")]
        last = ids[-1][4:].decode() if ids else "e1:0"
    await rig.sockets(0)
    async with connection(rig.port) as stream:
        await stream.ask("", f"Last-Event-ID: {last}")
        assert (await stream.hear("SUBSCRIBED"))["data"]["recovered"] is True
        missed = [(await stream.event("WARNING")).id for _ in range(9 - int(last.partition(":")[2]))]
        assert missed[-1] == "e1:9"


async def test_a_client_that_hangs_up_is_gone_at_once(rig: Rig) -> None:
    async with connection(rig.port) as stream:
        await (await stream.ask()).hear("VOTE_UPDATE")
        stream.writer.write_eof()
        await rig.sockets(0)
        assert rig.hub.channels.counts() == {}


async def test_a_stop_sends_streams_away_with_a_time_of_their_own(rig: Rig) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(connection(rig.port)) for _ in range(3)]
        for stream in streams:
            await (await stream.ask()).hear("VOTE_UPDATE")
        stopping = asyncio.create_task(rig.hub.stop("deploy"))
        for stream in streams:
            event = await stream.event("RECONNECT")
            assert event.message is not None and event.message["data"]["reason"] == "deploy"
            assert event.retry == event.message["data"]["afterMs"]
            assert await stream.rest() == b""
        await stopping
