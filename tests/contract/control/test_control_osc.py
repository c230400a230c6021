"""Real OSC packets over real UDP and TCP, to a real intake."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pythonosc import slip
from structlog.testing import capture_logs

from broadcast_sync.clock import EngineClock
from broadcast_sync.control.osc import CONNECTIONS, LATE_MS, WAITING, OscServer
from broadcast_sync.errors import StartError
from broadcast_sync.settings import Osc
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.store import StageStore
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck
from tests.support.osc import Answer, UdpDesk, answer, bundle, message

CUE = "/broadcast-sync/cue/"
SHOW_START = message(f"{CUE}SHOW_START", 1, "showId", "demo", "episode", 1)
OPEN = message(f"{CUE}VOTING_OPEN", 3, "duration", 60)
Open = Callable[..., Awaitable[OscServer]]


@pytest.fixture
async def open_port(intake: CueIntake, clock: EngineClock) -> AsyncIterator[Open]:
    """Starts OSC servers with the given `[osc]` settings, on free ports."""
    async with AsyncExitStack() as stack:

        async def start(submit: Any = intake.submit, **keys: Any) -> OscServer:
            server = OscServer(Osc(enabled=True, **{"port": 0, **keys}), submit, clock)
            await server.start()
            stack.push_async_callback(server.stop)
            return server

        yield start


@pytest.fixture
async def desk() -> AsyncIterator[Callable[..., Awaitable[UdpDesk]]]:
    desks: list[UdpDesk] = []

    async def connect(server: OscServer, local: str = "127.0.0.1") -> UdpDesk:
        desks.append(await UdpDesk.open(server.port, local))
        return desks[-1]

    yield connect
    for one in desks:
        one.close()


@contextlib.asynccontextmanager
async def connected(server: OscServer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def cut(reader: asyncio.StreamReader) -> None:
    """Until the server has ended the connection, with nothing said."""
    with contextlib.suppress(ConnectionError):  # with a reset, or without
        assert await reader.read() == b""


async def counted(server: OscServer, outcome: str, count: int) -> None:
    """Until so many have come to that end; a datagram gets no answer that could be awaited."""
    async with asyncio.timeout(10):
        while server.counts[outcome] < count:  # noqa: ASYNC110 - nothing tells when a datagram has been dropped
            await asyncio.sleep(0.005)


async def test_a_show_by_udp(open_port: Open, desk: Any, store: StageStore) -> None:
    server = await open_port()
    stack = await desk(server)
    for packet in (SHOW_START, OPEN):  # one right behind the other: they are taken in this order
        stack.send(packet)
    assert (await stack.hear())[1][:3] == ["SHOW_START#1", "taken", 1]
    assert (await stack.hear())[1][:3] == ["VOTING_OPEN#3", "taken", 2]
    refused = await stack.ask(f"{CUE}VOTING_OPEN", 4)
    assert refused[0] == "/error" and refused[1][:2] == ["VOTING_OPEN#4", "CUE_REJECTED"] and refused[1][2]
    unknown = await stack.ask(f"{CUE}VOTING_SHUT", 4)
    assert unknown[1][:2] == ["VOTING_SHUT#4", "UNSUPPORTED"]
    stage = await store.load()
    assert (stage.revision, stage.voting) == (2, "OPEN")


async def test_twelve_presses_have_one_effect(open_port: Open, desk: Any, store: StageStore) -> None:
    stack = await desk(await open_port())
    stack.send(SHOW_START)
    await stack.hear()
    for _ in range(12):
        stack.send(OPEN)
    answers = [await stack.hear() for _ in range(12)]
    assert [values[:3] for _, values in answers] == [["VOTING_OPEN#3", "taken", 2]] * 12
    assert [values[4] for _, values in answers] == [0] + [1] * 11
    assert (await store.load()).revision == 2


async def test_a_bundle_is_taken_in_order(open_port: Open, desk: Any) -> None:
    stack = await desk(await open_port())
    stack.send(bundle(0, SHOW_START, OPEN, message(f"{CUE}VOTING_CLOSE", 1)))
    assert [(await stack.hear())[1][0] for _ in range(3)] == ["SHOW_START#1", "VOTING_OPEN#3", "VOTING_CLOSE#1"]


def sized(packet: bytes) -> bytes:
    return len(packet).to_bytes(4, "big") + packet


@pytest.mark.parametrize("wrap", [sized, slip.encode])
async def test_a_show_by_tcp(wrap: Callable[[bytes], bytes], open_port: Open, store: StageStore) -> None:
    async def hear(reader: asyncio.StreamReader) -> Answer:
        if wrap is slip.encode:
            assert await reader.readexactly(1) == slip.END
            return answer(slip.decode(await reader.readuntil(slip.END)))
        return answer(await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big")))

    stream = wrap(SHOW_START) + wrap(OPEN)
    async with connected(await open_port()) as (reader, writer):
        writer.write(stream[:50])
        await writer.drain()
        writer.write(stream[50:])
        assert (await hear(reader))[1][:3] == ["SHOW_START#1", "taken", 1]
        assert (await hear(reader))[1][:3] == ["VOTING_OPEN#3", "taken", 2]
        writer.write(wrap(OPEN))
        assert (await hear(reader))[1][4] == 1
    assert (await store.load()).revision == 2


async def test_what_is_for_later_is_armed_and_can_be_cancelled(open_port: Open, desk: Any, store: StageStore) -> None:
    stack = await desk(await open_port())
    stack.send(SHOW_START)
    await stack.hear()
    blind = await stack.ask("/broadcast-sync/arm/VOTING_OPEN", 3, "20:05:00:00", "duration", 60)
    assert blind[1][:2] == ["VOTING_OPEN#3", "CUE_REJECTED"]  # the show has no timecode yet
    await stack.ask(f"{CUE}TIMECODE_SET", 1, "rate", "25", "label", "20:00:00:00")
    for label, code in (("25:61:61:45", "TIMECODE_INVALID"), ("20:05:00:25", "TIMECODE_INVALID")):
        refused = await stack.ask("/broadcast-sync/arm/VOTING_OPEN", 3, label, "duration", 60)
        assert refused[1][:2] == ["VOTING_OPEN#3", code]
    armed = await stack.ask("/broadcast-sync/arm/VOTING_OPEN", 4, "20:05:00:00", "duration", 60)
    assert armed[1][:2] == ["VOTING_OPEN#4", "armed"]
    stack.send(bundle(time.time() + 600, message(f"{CUE}SHOW_END", 1)))
    assert (await stack.hear())[1][:2] == ["SHOW_END#1", "armed"]
    first, second = (await store.load()).armed
    assert (first.cue_id, first.timecode, first.by) == ("VOTING_OPEN#4", "20:05:00:00", "osc:127.0.0.1")
    assert second.cue_id == "SHOW_END#1" and 590_000 < second.at_ms - time.time() * 1000 <= 600_000
    for event, take_no in (("VOTING_OPEN", 4), ("SHOW_END", 1)):
        assert (await stack.ask(f"/broadcast-sync/cancel/{event}", take_no))[1][1] == "cancelled"
    assert (await store.load()).armed == ()
    stack.send(bundle(time.time() - 1, message(f"{CUE}SHOW_END", 2)))
    late = await stack.hear()
    assert late[1][:2] == ["SHOW_END#2", "taken"] and late[1][3] >= 1_000


async def test_a_flood_costs_its_sender_alone(open_port: Open, desk: Any, store: StageStore) -> None:
    server = await open_port(messages_per_second=10.0)
    flooder, other = await desk(server), await desk(server, "127.0.0.2")
    with capture_logs() as lines:
        for _ in range(200):
            flooder.send(message("/nothing"))
        await counted(server, "flood", 180)
        other.send(SHOW_START)
        assert (await other.hear())[1][1] == "taken"
    heard = [flooder.answers.get_nowait()[1][1] for _ in range(flooder.answers.qsize())]
    assert heard.count("RATE_LIMIT") == 1 and heard.count("UNSUPPORTED") <= 20
    assert [line["outcome"] for line in lines if line["event"] == "osc_not_taken"] == ["flood"]


async def test_malformed_packets_are_counted_and_logged_once(open_port: Open, desk: Any, store: StageStore) -> None:
    server = await open_port()
    stack = await desk(server)
    with capture_logs() as lines:
        for packet in (b"\0", b"GET / HTTP/1.1", b"/a\0\0,s\0\0", SHOW_START[:-4], b"#bundle\0\0", b"\xff" * 1_400):
            stack.send(packet)
        await counted(server, "malformed", 6)
    assert [line["address"] for line in lines if line["event"] == "osc_not_taken"] == ["127.0.0.1"]
    stack.send(SHOW_START)
    assert (await stack.hear())[1][1] == "taken"
    assert (await store.load()).revision == 1


async def test_who_is_not_on_the_list_gets_no_answer(open_port: Open, desk: Any, store: StageStore) -> None:
    server = await open_port(allow=["127.0.0.9"])
    stranger, friend = await desk(server), await desk(server, "127.0.0.9")
    with capture_logs() as lines:
        for _ in range(5):
            stranger.send(SHOW_START)
        await counted(server, "stranger", 5)
        async with connected(server) as (reader, _):
            await cut(reader)
    assert len([line for line in lines if line["event"] == "osc_not_taken"]) == 1
    assert stranger.answers.empty() and (await store.load()).revision == 0
    friend.send(SHOW_START)
    assert (await friend.hear())[1][1] == "taken"


@pytest.mark.parametrize("bad", [b"GET / HTTP/1.1\r\n\r\n", b"\0\1\0\0", slip.END + b"x\xdb\0" + slip.END])
async def test_a_stream_that_cannot_be_read_is_cut(bad: bytes, open_port: Open) -> None:
    server = await open_port()
    async with connected(server) as (reader, writer):
        writer.write(bad)
        await cut(reader)
    assert server.counts["malformed"] == 1


async def test_connections_are_bounded(open_port: Open) -> None:
    server = await open_port()
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            await stack.enter_async_context(connected(server))
        async with connected(server) as (reader, _):
            await cut(reader)
        assert server.counts["refused"] == 1


async def test_what_waits_is_bounded_and_not_taken_late(open_port: Open, desk: Any, clock: EngineClock) -> None:
    taken: list[str] = []
    stuck = asyncio.Event()

    async def submit(cue: CueMessage, *, by: str, received_ms: int) -> CueAck:
        await stuck.wait()
        taken.append(f"{by} {cue.cue_id}")
        return CueAck(cue.cue_id or "", 1, "", 0, False)

    server = await open_port(submit, messages_per_second=1_000.0, total_per_second=1_000.0)
    stack = await desk(server)
    for number in range(WAITING + 3):
        stack.send(message(f"{CUE}SHOW_END", number))
        await asyncio.sleep(0)
    busy = await stack.hear()
    assert (busy[0], busy[1][1]) == ("/error", "BUSY")
    clock._base_ms += LATE_MS + 1
    stuck.set()
    late = [await stack.hear() for _ in range(WAITING + 2)]
    assert taken == ["osc:127.0.0.1 SHOW_END#0"]
    assert sum(values[1] == "taken" for _, values in late) == 1
    assert {values[1] for _, values in late} == {"taken", "BUSY"}


async def test_answers_may_go_to_a_port_of_their_own(open_port: Open) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener, socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM
    ) as sender:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        server = await open_port(reply_port=listener.getsockname()[1])
        sender.sendto(SHOW_START, ("127.0.0.1", server.port))
        received = await asyncio.get_running_loop().sock_recv(listener, 4_096)
    assert answer(received)[1][1] == "taken"


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_port_that_is_taken_is_said(kind: socket.SocketKind, clock: EngineClock, intake: CueIntake) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"cannot listen for OSC on 127.0.0.1 port {port}"):
            await OscServer(Osc(enabled=True, port=port), intake.submit, clock).start()
