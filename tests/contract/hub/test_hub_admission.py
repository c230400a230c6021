"""Storms, strangers and the slow at the door, on raw connections; and who is inside meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from broadcast_sync.hub import door
from broadcast_sync.wire.server import Warning_
from tests.contract.hub.conftest import Open
from tests.contract.hub.test_hub_door import HANDSHAKE, raw

STORM = 2_000
AT_ONCE = 200


async def knock(port: int, request: bytes = HANDSHAKE) -> tuple[int, str]:
    """One handshake that hangs up when it is answered: the status, and its Retry-After."""
    async with raw(port) as (reader, writer):
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    return int(head.split(" ")[1]), fields.get("retry-after", "")


async def test_a_storm_at_the_door_does_not_disturb_those_inside(open_rig: Open) -> None:
    """Counted: everybody inside gets all of every message and keeps the socket; at the door, the burst comes in."""
    burst = 30
    rig = await open_rig(handshakes_per_second=0.001, handshakes_burst=50 + burst)
    inside = [await rig.joined() for _ in range(50)]
    answers: Counter[int] = Counter()
    waits: Counter[str] = Counter()
    for round_ in range(STORM // AT_ONCE):
        storm = asyncio.gather(*(knock(rig.port) for _ in range(AT_ONCE)))
        rig.emit(Warning_("w", round_))
        for client in inside:
            assert (await client.ask({"type": "PING", "t0": round_}, "PONG"))["data"]["t0"] == round_
        for status, wait in await storm:
            answers[status] += 1
            waits[wait] += 1
    assert answers == {101: burst, 503: STORM - burst}
    del waits[""]
    assert len(waits) >= 10 and all(1 <= int(wait) <= 60 for wait in waits)
    assert rig.hub.counts.refused == {503: STORM - burst}
    await rig.sockets(len(inside))
    for client in inside:
        session = rig.session(client)
        assert (session.is_open, session.channels["show"]) == (True, ("e1", STORM // AT_ONCE))


async def test_an_address_has_its_share(open_rig: Open) -> None:
    rig = await open_rig(sockets_per_address=2)
    first, _ = await rig.joined(), await rig.joined()
    with pytest.raises(InvalidStatus) as refused:
        await rig.connect()
    assert refused.value.response.status_code == 429 and refused.value.response.headers["Retry-After"]
    async with httpx.AsyncClient() as client:  # what is no socket is not counted
        assert (await client.get(f"http://127.0.0.1:{rig.port}/")).status_code == 200
        stream = await client.get(f"http://127.0.0.1:{rig.port}/voting/results/stream")
        assert (stream.status_code, stream.json()["code"]) == (429, "RATE_LIMIT")
    await first.connection.close()
    await rig.sockets(1)
    await rig.joined()


@pytest.mark.parametrize(("trusted", "address"), [(["127.0.0.0/8"], "198.51.100.7"), ([], "127.0.0.1")])
async def test_behind_a_proxy_the_client_counts(open_rig: Open, trusted: list[str], address: str) -> None:
    rig = await open_rig(trusted_proxies=trusted)
    client = await rig.joined(additional_headers={"X-Forwarded-For": "6.6.6.6, 198.51.100.7"})
    assert rig.session(client).address == address


@pytest.mark.parametrize(
    ("origin", "status"),
    [(None, 101), ("same", 101), ("https://tv.example", 101), ("https://evil.example", 403), ("null", 403)],
)
async def test_pages_of_other_origins_stay_out(open_rig: Open, origin: str | None, status: int) -> None:
    rig = await open_rig(allowed_origins=["https://tv.example"])
    named = f"http://x:{rig.port}" if origin == "same" else origin
    line = b"" if named is None else f"Origin: {named}\r\n".encode()
    request = HANDSHAKE.replace(b"Host: x\r\n", f"Host: x:{rig.port}\r\n".encode() + line)
    assert (await knock(rig.port, request))[0] == status
    stream = request.replace(b"sync", b"results/stream").replace(b"Upgrade", b"X-Not")
    assert (await knock(rig.port, stream))[0] == (200 if status == 101 else status)
    page = b"GET / HTTP/1.1\r\nHost: y\r\n" + line + b"\r\n"
    assert (await knock(rig.port, page))[0] == 200  # what a browser lets pages read of HTTP is its own affair


async def test_hosts_that_are_not_served(open_rig: Open) -> None:
    rig = await open_rig(allowed_hosts=["tv.example"])
    for request in (HANDSHAKE, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"):
        assert (await knock(rig.port, request))[0] == 421
        served = request.replace(b"1.1\r\n", b"1.1\r\nHost: TV.example:80\r\n").replace(b"Host: x\r\n", b"")
        assert (await knock(rig.port, served))[0] in (101, 200)
    assert rig.hub.counts.refused == {421: 3}


@pytest.mark.parametrize("header", [b"Content-Length: 2000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n7d0\r\n"])
async def test_a_body_has_its_bound(open_rig: Open, header: bytes) -> None:
    rig = await open_rig(request_bytes=1_024)
    async with raw(rig.port) as (reader, writer):
        writer.write(b"POST /wait HTTP/1.1\r\nHost: x\r\n" + header)
        writer.write(b"y" * 1_500)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
        assert await reader.read() == b"The body is too large.\n"


async def test_what_comes_too_slowly_costs_the_connection(open_rig: Open) -> None:
    """No byte, half a line, half the headers, half a body, blank lines for ever, and an end that does not come."""
    rig = await open_rig(handshake_timeout_s=0.3)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    for sent, drip in (
        (b"", b""), (b"GET /", b"x"), (b"GET / HTTP/1.1\r\nHost", b": "), (head, b""), (head + b"half", b""),
        (b"", b"\r\n"), (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"), (HANDSHAKE[:-2], b"X: y\r\n"),
    ):
        async with raw(rig.port) as (reader, writer):
            writer.write(sent)
            ended = asyncio.ensure_future(reader.read())
            while not ended.done():
                writer.write(drip)
                await asyncio.wait([ended], timeout=0.05)
            if ended.exception() is None:
                assert ended.result()[:12] in (b"", b"HTTP/1.1 200"), sent
            else:
                assert isinstance(ended.exception(), ConnectionResetError)
    assert rig.hub.socket_count == 0


async def test_connections_that_are_no_sockets_are_bounded(open_rig: Open) -> None:
    rig = await open_rig(max_sockets=20, max_http=8)
    inside = [await rig.joined() for _ in range(20)]
    async with AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(raw(rig.port))
        status, wait = await knock(rig.port, b"")
        assert status == 503 and 1 <= int(wait) <= 60
    for client in inside:
        assert (await client.ask({"type": "PING", "t0": 1}))["type"] == "PONG"


async def test_a_response_that_nobody_reads_is_given_up(open_rig: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "STALLED_S", 0.2)
    rig = await open_rig()
    async with raw(rig.port) as (reader, writer):
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can
        await asyncio.sleep(0.5)
        writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(64 << 20)


@pytest.mark.parametrize(
    "begun",
    [
        b"\x81", b"\x81\xfe\x00", b"\x81\x85\x00\x00\x00\x00{", b"\x01\x81\x00\x00\x00\x00{",
        b"\x89\x85\x00\x00\x00\x00",
        b"\x81\xff\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00" + b"y" * 999,
    ],
)
async def test_a_message_that_has_begun_must_be_whole_in_time(open_rig: Open, begun: bytes) -> None:
    """Half a header, half a frame, half a message, half a ping, half of one that is too large: pings between the
    fragments of a message keep nothing alive."""
    rig = await open_rig(message_timeout_s=0.5)
    neighbour = await rig.joined()
    async with raw(rig.port) as (reader, writer):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begun)
        ended = asyncio.ensure_future(reader.readuntil(b"message not complete"))
        while not ended.done():
            if begun[0] == 0x01:
                writer.write(b"\x89\x80\x00\x00\x00\x00")
            await asyncio.wait([ended], timeout=0.2)
        assert b"\x0f\xa2message not complete" in ended.result()
    assert (await neighbour.ask({"type": "PING", "t0": 1}))["type"] == "PONG"


async def test_who_sends_without_a_pause_is_not_called_slow(open_rig: Open) -> None:
    """Every read ends in the midst of a message, but no message takes long."""
    rig = await open_rig(message_timeout_s=0.3, ping_interval_s=0.5)
    ping = b'\x81\x96\x00\x00\x00\x00{"type":"PING","t0":1}'
    async with raw(rig.port) as (reader, writer):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(15):
            writer.write(ping[7:] + ping[:7] if _ else ping + ping[:7])
            await asyncio.sleep(0.05)
        assert rig.hub.socket_count == 1
        (session,) = rig.hub.sessions.values()
        assert session.is_open and session.received == 15
