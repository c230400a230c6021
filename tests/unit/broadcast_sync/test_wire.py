"""The wire is fixed: names and spellings against golden messages, the same meaning in both codecs and both shapes."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.wire import client, server
from broadcast_sync.wire.codecs import JSON, MSGPACK, Codec
from broadcast_sync.wire.deflate import Deflate
from broadcast_sync.wire.delivery import DELIVERY
from broadcast_sync.wire.formats import PLAIN_JSON, PLAIN_MSGPACK, Deflated, Format
from broadcast_sync.wire.frames import BINARY, TEXT, frame
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.times import iso

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "messages.json"
NOW = 1_795_292_100_123
CONTESTANT = server.ContestantInfo(
    "c07", 7, "Nhem Bopha", "/photos/demo/c07.svg", "active", "ញឹម បុប្ផា", "Kampot", "Girls"
)
WINDOW = server.WindowInfo(
    "w1", "OPEN", iso(NOW), iso(NOW + 90_000), iso(NOW + 95_000), 1, "sha256:00", {"name": "xfactor"}, [CONTESTANT],
    contestant_count=1,
)
ROW = server.BoardRow("c07", "Nhem Bopha", "/photos/demo/c07.svg", 1234, "1.2K", 61.7, 1, 2, "rising")
MESSAGES: tuple[server.Data, ...] = (
    server.Welcome("s1", "node-1", iso(NOW), 20.0),
    server.AuthOk("u1", ["user"], "default", iso(NOW), {"free": 5}),
    server.Subscribed("show", True, "e1", 12),
    server.Unsubscribed("show"),
    server.Pong(1.5, NOW, NOW + 1),
    server.Reconnect(1500, "draining"),
    server.Error("STALE_REVISION", "The show has moved on since.", False, 0.5, "v1", "q1", 7),
    WINDOW,
    server.StateUpdate(
        server.ShowInfo("demo", 1, "Live Show 1", event=7), server.PerformanceInfo("c07", "Half a Monsoon", iso(NOW)),
        "OPEN", WINDOW, 7, False, False, [CONTESTANT], contestant_count=1,
    ),
    server.TimeUpdate(60, iso(NOW)),
    server.Warning_("1_MINUTE", 60),
    server.Countdown(10),
    server.VotingClosed("w1", iso(NOW), "TIMER"),
    server.SlotDecided(12, 75, "w1", "c07", "Nhem Bopha", 1234, "VOTERS", 13),
    server.VoteAck("v1", "id1", "queued", "c07", "free", 1, {"free": 4}, False),
    server.LiveResults([ROW], 2000, iso(NOW), 42, {"free": 1500, "paid": 500}, 420, 12),
    server.VoteUpdate([server.LeanRow("c07", 1234, 61.7, 1)], 2000, 12),
    server.ContestantUpdate("c07", 1234, 61.7, 1, 17, "rising", [server.RecentVote("so***", "free", 2, iso(NOW))]),
    server.ResultsReady("w1", [ROW], 2000, True, 2000, {"recount": "EQUAL"}, 1),
    server.CueAck("q1", 8, iso(NOW), 3, False),
    server.Tally(
        8, "OPEN", 200, 1.0, 12.5, 3, "EQUAL", ["VOTING_CLOSE"], 2000, False,
        [server.CueLogRow("q1", "VOTING_OPEN", "operator", iso(NOW), "executed", 8, 3, executed_at=iso(NOW + 3))],
        armed=[server.ArmedInfo("q2", "VOTING_CLOSE", iso(NOW + 90_000), "20:16:30:03", 90_000, "operator")],
        pending=[server.PendingInfo("q3", "VOTING_EXTEND", "operator", iso(NOW + 60_000), {"seconds": 600})],
        rundown=server.RundownInfo(
            "Live Show 1", [server.RundownItemInfo("q2", "VOTING_CLOSE", iso(NOW + 90_000), "20:16:30:03", "armed")]
        ),
        reference=server.ReferenceInfo("20:15:00:00", iso(NOW), "25"),
        acked=0.985, nodes=[server.NodeInfo("node-1", 200, 1.0, 0.985, False, 0.4)],
        clock=server.ClockInfo(0.4, True, 4_200), last_lateness_ms=3, director=server.DirectorInfo("node-1", 400),
        asks=["VOID"], due=[server.DueInfo("Live Show 2", iso(NOW + 604_800_000), 12, "operator")],
    ),
)


def test_every_message_is_spelled_as_the_protocol_has_it() -> None:
    made = {message.TYPE: json.loads(Prepared.of(message, NOW, "show").json) for message in MESSAGES}
    assert made == json.loads(GOLDEN.read_text())
    assert set(made) == set(server.SERVER_MESSAGES) == set(DELIVERY)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.TYPE)
def test_both_codecs_say_the_same_with_the_type_first(message: server.Data) -> None:
    prepared = Prepared.received(Prepared.of(message, NOW, "show").json)
    assert prepared.json.startswith(b'{"type":"' + message.TYPE.encode() + b'"')
    text, binary = prepared.frame_for(PLAIN_JSON), prepared.frame_for(PLAIN_MSGPACK)
    assert text[0] & 0x0F == TEXT and binary[0] & 0x0F == BINARY
    skip = {True: 2, False: 4}
    assert msgspec.msgpack.decode(binary[skip[len(binary) < 128] :]) == json.loads(text[skip[len(text) < 128] :])
    assert prepared.frame_for(PLAIN_JSON) is text


CLIENT_MESSAGES: list[tuple[type[client.ClientMessage], dict[str, Any]]] = [
    (client.Auth, {"token": "x.y.z"}),
    (client.Subscribe, {"channels": ["show"], "since": {"show": {"epoch": "e", "offset": 3}}}),
    (client.Unsubscribe, {"channels": ["show"]}),
    (client.Vote, {"id": "1", "contestantId": "c07", "voteCount": 2, "metadata": {"app": "1.2"}}),
    (client.Ping, {"t0": 12.5}),
    (client.RequestUpdate, {}),
    (client.CueMessage, {"cueId": "q", "event": "VOTING_OPEN", "data": {"duration": 90}, "expectedRevision": 3}),
    (client.CueMessage, {"event": "VOTING_CLOSE"}),
]


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
@pytest.mark.parametrize(("message", "fields"), CLIENT_MESSAGES)
def test_flat_and_nested_are_the_same(
    codec: Codec, message: type[client.ClientMessage], fields: dict[str, Any]
) -> None:
    spelled = {field.name: field.encode_name for field in msgspec.structs.fields(message)}

    def read(raw: dict[str, Any]) -> dict[str, Any]:
        payload = codec.encode(raw)
        head = codec.decode_head(payload)
        assert head.type == message.TYPE
        decoded = codec.decode(message, payload, head)
        return {key: getattr(decoded, snake) for snake, key in spelled.items() if key != "metadata"}

    flat = read({"type": message.TYPE, **fields})
    assert flat == read({"type": message.TYPE, "data": fields})
    assert msgspec.to_builtins({key: flat[key] for key in fields if key in flat}) == {
        key: value for key, value in fields.items() if key in flat
    }


@given(st.binary(max_size=300))
def test_rubbish_is_a_decode_error_and_nothing_else(payload: bytes) -> None:
    for codec in (JSON, MSGPACK):
        for message, _ in CLIENT_MESSAGES:
            try:
                codec.decode(message, payload, codec.decode_head(payload))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue


@given(st.integers(min_value=0, max_value=70_000))
def test_frames_carry_their_length(size: int) -> None:
    made = frame(TEXT, b"x" * size)
    header = len(made) - size
    assert made[0] == 0x81 and header == (2 if size < 126 else 4 if size < 65_536 else 10)
    length = made[1] if size < 126 else int.from_bytes(made[2:header], "big")
    assert length == size and made[1] & 0x80 == 0


class Counting(Format):
    """A format of a test's own: counts what it is asked to make."""

    made = 0

    def frame(self, prepared: Prepared) -> bytes:
        self.made += 1
        return b"data: " + prepared.json + b"\n\n"

    def reply(self, envelope: server.Envelope) -> bytes:
        return b""


def test_a_message_is_made_once_a_format() -> None:
    prepared, format = Prepared.of(server.Countdown(3), NOW), Counting(JSON)
    assert prepared.frame_for(format) is prepared.frame_for(format)
    assert format.made == 1 and prepared.frame_for(format) != prepared.frame_for(PLAIN_JSON)


def test_small_messages_are_not_compressed_and_large_ones_are() -> None:
    small = Prepared.of(server.Countdown(3), NOW)
    large = Prepared.of(server.LiveResults([ROW] * 12, 2000, iso(NOW), 42), NOW, "results")
    for plain in (PLAIN_JSON, PLAIN_MSGPACK):
        deflated = Deflated(plain, Deflate(6))
        assert small.frame_for(deflated) is small.frame_for(plain)
        made = large.frame_for(deflated)
        assert made[0] == large.frame_for(plain)[0] | 0x40
        assert len(made) < len(large.frame_for(plain)) / 3
        reader = zlib.decompressobj(-12)
        assert reader.decompress(made[4:] + b"\0\0\xff\xff") == large.payload(plain.codec)
        envelope = server.Envelope("COUNTDOWN", server.Countdown(3), iso(NOW))
        assert deflated.reply(envelope) == plain.reply(envelope)
