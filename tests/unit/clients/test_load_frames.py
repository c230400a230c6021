from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from broadcast_sync.wire.frames import frame
from broadcast_sync.wire.server import ContestantInfo as Contestant
from broadcast_sync.wire.server import Envelope, Error, LiveResults, StateUpdate, VoteAck, Welcome, WindowInfo
from clients.load.crowd import Crowd
from clients.load.frames import (
    PING,
    TEXT,
    VoteFrame,
    bounds,
    code_of,
    masked,
    retry_after_of,
    timestamp_of,
    type_of,
)
from clients.load.target import ACCEPT
from clients.load.voices import Voice, VoiceLost

NOW = "2026-11-21T20:15:00.123Z"
GREETING = b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: " + ACCEPT + b"\r\n\r\n"


def envelope(data: Any) -> bytes:
    return msgspec.json.encode(Envelope(data.TYPE, data, NOW))


def ack(id: str) -> bytes:
    return frame(TEXT, envelope(VoteAck(id, "v", "queued", "c01", "free", 1, {"free": 4}, False)))


WELCOME = frame(TEXT, envelope(Welcome("s", "n", NOW, 20.0)))
OPEN = frame(TEXT, envelope(
    StateUpdate(
        None, None, "OPEN",
        WindowInfo("w1", "OPEN", NOW, NOW, NOW, 1, "h", {}, [
            Contestant("c01", 1, "A", "", "active"), Contestant("c02", 2, "B", "", "eliminated"),
        ]),
        1, False, False, [],
    )
))
BOARD = frame(TEXT, envelope(LiveResults([], 0, NOW, 5)))


class Wire(asyncio.Transport):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"


async def voice_of(crowd: Crowd, auth: bytes | None = None) -> tuple[Voice, Wire]:
    voice, wire = Voice(crowd, b"GET", 7, auth), Wire()
    voice.connection_made(wire)
    return voice, wire


@given(st.binary(max_size=70_000))
def test_our_frames_are_what_rfc_6455_asks_of_a_client(payload: bytes) -> None:
    server = ServerProtocol(state=State.OPEN, max_size=None)
    server.receive_data(masked(0x2, payload))
    [received] = server.events_received()
    assert (received.opcode, bytes(received.data)) == (Opcode.BINARY, payload)  # type: ignore[union-attr]


def test_a_vote_frame_holds_the_vote() -> None:
    server = ServerProtocol(state=State.OPEN)
    server.receive_data(VoteFrame("abc", "c07").numbered(255))
    [received] = server.events_received()
    assert msgspec.json.decode(received.data) == {  # type: ignore[union-attr]
        "type": "VOTE", "id": "abc000000ff", "contestantId": "c07",
    }


@given(st.integers(0, 70_000), st.integers(0, 20))
def test_bounds_finds_the_payload_or_asks_for_more(length: int, cut: int) -> None:
    data = frame(TEXT, b"x" * length)
    assert bounds(b"??" + data, 2) == (len(data) - length + 2, len(data) + 2)
    start, end = bounds(data[:cut], 0)
    assert start == 0 or end == len(data)


def test_what_is_read_of_a_message() -> None:
    refused = envelope(Error("BUSY", "m", True, 1.5, "id1"))
    assert type_of(refused, 0, len(refused)) == b"ERROR"
    assert (code_of(refused), retry_after_of(refused)) == ("BUSY", 1.5)
    assert (code_of(b"{}"), retry_after_of(b'"retryAfter":1.2.3')) == ("?", 0.0)
    spaced = b'{ "data": {}, "type" : "PONG" }'
    assert type_of(spaced, 0, len(spaced)) == b"PONG"
    assert timestamp_of(refused, len(refused)) == NOW.encode()
    assert timestamp_of(b"{}", 2) == b""


@given(st.lists(st.integers(1, 4_000), max_size=12))
async def test_frames_may_come_in_any_pieces(cuts: list[int]) -> None:
    crowd = Crowd()
    voice, wire = await voice_of(crowd, b'{"type":"AUTH","token":"t"}')
    data = GREETING + WELCOME + OPEN + frame(PING, b"hi") + BOARD + BOARD
    at = 0
    for cut in [*cuts, len(data)]:
        voice.data_received(data[at : at + cut])
        at += cut
    assert crowd.contestants == ["c01"]
    assert crowd.boards.received == 2
    assert wire.written == [b"GET", masked(TEXT, b'{"type":"AUTH","token":"t"}'), masked(0xA, b"hi")]
    assert not voice.ready.done()
    voice.data_received(frame(TEXT, b'{"type":"AUTH_OK","data":{}}'))
    assert voice.ready.done() and crowd.connected == 1


async def test_frames_split_at_every_byte() -> None:
    for cut in range(len(GREETING + WELCOME + OPEN)):
        crowd = Crowd()
        voice, _ = await voice_of(crowd)
        data = GREETING + WELCOME + OPEN
        voice.data_received(data[:cut])
        voice.data_received(data[cut:])
        assert voice.ready.done() and crowd.window_open.is_set() and crowd.connected == 1


async def test_a_voice_votes_again_when_its_own_vote_is_acked() -> None:
    crowd = Crowd()
    voice, wire = await voice_of(crowd)
    voice.data_received(GREETING + WELCOME + OPEN)
    crowd.voting = True
    voice.vote()
    first = voice.voting_id
    voice.data_received(ack("somebody-else"))
    assert (crowd.acked, crowd.mismatched, voice.voting_id) == (0, 1, first)
    voice.data_received(ack(first.decode()))
    assert (crowd.acked, crowd.sent) == (1, 2)
    assert voice.voting_id not in (b"", first) and voice.voting_id in wire.written[-1]
    crowd.voting = False
    voice.data_received(ack(voice.voting_id.decode()))
    assert (crowd.acked, voice.voting_id) == (2, b"")


async def test_a_final_refusal_ends_a_voice_and_another_one_is_obeyed() -> None:
    crowd = Crowd()
    voice, wire = await voice_of(crowd)
    voice.data_received(GREETING + WELCOME + OPEN)
    voice.vote()
    id = voice.voting_id.decode()
    written = len(wire.written)
    voice.data_received(frame(TEXT, envelope(Error("TRY_AGAIN", "m", True, id=id))))
    assert voice.voting_id.decode() == id
    voice._vote_again()
    assert wire.written[-1] == wire.written[written - 1]
    voice.data_received(frame(TEXT, envelope(Error("NO_FREE_VOTES", "m", False, id=id))))
    assert voice.voting_id == b"" and crowd.errors == {"TRY_AGAIN": 1, "NO_FREE_VOTES": 1}
    voice._vote_again()
    assert len(wire.written) == written + 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "handshake: 503"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "handshake: 101"),
        (b"\x00" * 20_000, "handshake: no HTTP"),
        (GREETING + frame(0x8, b"\x11\x94"), "closed: 4500"),
        (GREETING + frame(0x8, b""), "closed: 1005"),
        (GREETING + b"\x81\x7f\x7f" + b"\xff" * 7, "protocol: frame too long"),
        (GREETING + frame(0x2, b"x"), "protocol: a frame that was not expected"),
        (GREETING + WELCOME + frame(TEXT, envelope(Error("UNAUTHENTICATED", "m", False))), "AUTH: UNAUTHENTICATED"),
    ],
)
async def test_what_ends_a_voice_is_counted(data: bytes, reason: str) -> None:
    crowd = Crowd()
    voice, wire = await voice_of(crowd, b"{}")
    voice.data_received(data)
    assert crowd.failures == {reason: 1} and wire.ended == "aborted" and crowd.connected == 0
    with pytest.raises(VoiceLost):
        await voice.ready


async def test_a_lost_connection_is_counted_once() -> None:
    crowd = Crowd()
    voice, _ = await voice_of(crowd)
    voice.data_received(GREETING + WELCOME)
    voice.connection_lost(None)
    assert crowd.failures == {"lost: closed by the server": 1}
    voice.close()
    assert crowd.connected == 0
