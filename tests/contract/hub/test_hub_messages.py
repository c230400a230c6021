"""Bad input: each its ERROR while the socket lives; violations and floods end it with the table's code."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.server import VoteAck
from tests.contract.hub.conftest import Open
from tests.support.hub import Client, Rig


async def alive(client: Client) -> None:
    assert (await client.ask({"type": "PING", "t0": 1}))["type"] == "PONG"


def raw(connection: ClientConnection, opcode: int, data: bytes, fin: bool = True) -> None:
    """Writes one masked frame past the client's own rules."""
    connection.transport.write(Frame(Opcode(opcode), data, fin).serialize(mask=True))


@pytest.mark.parametrize(
    ("message", "code", "id"),
    [
        ('{"type":"PING"', "BAD_MESSAGE", None),
        ("", "BAD_MESSAGE", None),
        ("[" * 10_000, "BAD_MESSAGE", None),
        (b"\x00\x01", "BAD_MESSAGE", None),
        ('{"type":"PING","t0":1}'.encode("utf-16"), "BAD_MESSAGE", None),
        ({"type": "PING", "t0": "now", "id": "a"}, "BAD_MESSAGE", "a"),
        ({"type": "FLY", "id": "b"}, "UNSUPPORTED", "b"),
        ({"type": "SUBSCRIBE", "channels": "show"}, "BAD_MESSAGE", None),
        ({"type": "SUBSCRIBE", "channels": []}, "BAD_MESSAGE", None),
        ({"type": "SUBSCRIBE", "channels": ["show"] * 65}, "BAD_MESSAGE", None),
        ({"type": "SUBSCRIBE", "channels": ["show"], "since": {"show": {"offset": -1}}}, "BAD_MESSAGE", None),
        ({"type": "AUTH", "token": ""}, "BAD_MESSAGE", None),
        ({"type": "AUTH", "token": 5}, "BAD_MESSAGE", None),
        ("x" * 16_385, "TOO_LARGE", None),
        ("x" * 2**20, "TOO_LARGE", None),
        (b"x" * 2**20, "TOO_LARGE", None),
    ],
)
async def test_one_bad_message_costs_an_error(rig: Rig, message: object, code: str, id: str | None) -> None:
    client = await rig.joined()
    error = await client.ask(message)
    assert error["type"] == "ERROR"
    assert error["data"]["code"] == code
    assert error["data"]["retryable"] is False
    assert error["data"].get("id") == id
    await alive(client)


async def test_text_where_messagepack_is_due(rig: Rig) -> None:
    client = await rig.joined("/voting/sync", "broadcast-sync.v1.msgpack")
    assert (await client.ask('{"type":"PING","t0":1}'))["data"]["code"] == "BAD_MESSAGE"


async def test_too_many_bad_messages(open_rig: Open) -> None:
    rig = await open_rig(bad_messages=3)
    client = await rig.joined()
    for _ in range(3):
        assert (await client.ask("?"))["data"]["code"] == "BAD_MESSAGE"
    await alive(client)
    await client.say("?")
    assert await client.ended() == 4501
    assert rig.hub.counts.bad == 4


async def test_fragments_with_a_ping_between_them(rig: Rig) -> None:
    client = await rig.joined()
    message = '{"type":"PING","t0":1,"note":"ឃ្លា"}'.encode()
    for at in range(0, len(message), 7):
        raw(client.connection, 1 if at == 0 else 0, message[at : at + 7], at + 7 >= len(message))
        pong = await client.connection.ping()
        await pong
    assert (await client.hear())["type"] == "PONG"


async def test_many_messages_in_one_piece(rig: Rig) -> None:
    client = await rig.joined()
    frame = Frame(Opcode.TEXT, b'{"type":"PING","t0":1}').serialize(mask=True)
    client.connection.transport.write(frame * 50)
    for _ in range(50):
        assert (await client.hear())["type"] == "PONG"


@pytest.mark.parametrize("text", [b'{"type":"\xff"}', b"\xed\xa0\x80", b"caf\xc3"])
async def test_text_that_is_not_utf8_is_1007(rig: Rig, text: bytes) -> None:
    client = await rig.joined()
    raw(client.connection, 1, text)
    assert await client.ended() == 1007


async def test_a_frame_beyond_the_limit_is_1009(rig: Rig) -> None:
    client = await rig.joined()
    await client.connection.send("x" * (2**21 + 1))
    assert await client.ended() == 1009


@pytest.mark.parametrize("data", [b"\x81\x03abc", b"\xc1\x80\0\0\0\0", b"\x83\x80\0\0\0\0", b"\x80\x80\0\0\0\0"])
async def test_violations_are_1002(rig: Rig, data: bytes) -> None:
    client = await rig.joined()
    client.connection.transport.write(data)
    assert await client.ended() == 1002


async def test_a_flood_is_slowed_and_then_stopped(open_rig: Open) -> None:
    rig = await open_rig(messages_per_second=1, messages_burst=5)
    client = await rig.joined()
    for _ in range(5):
        await alive(client)
    error = await client.ask({"type": "PING", "t0": 1, "id": "mine"})
    assert error["data"]["code"] == "RATE_LIMIT"
    assert error["data"]["retryable"] is True
    assert 0 < error["data"]["retryAfter"] <= 1
    assert error["data"]["id"] == "mine"
    for _ in range(10):
        await client.say({"type": "PING", "t0": 1})
    assert await client.ended() == 4501


@pytest.mark.parametrize("opcode", [9, 10])
async def test_a_flood_of_control_frames(rig: Rig, opcode: int) -> None:
    client = await rig.joined()
    client.connection.transport.write(Frame(Opcode(opcode), b"").serialize(mask=True) * 200)
    assert await client.ended() == 4501


async def test_a_flood_of_empty_fragments(rig: Rig) -> None:
    client = await rig.joined()
    raw(client.connection, 1, b"", False)
    client.connection.transport.write(Frame(Opcode.CONT, b"", False).serialize(mask=True) * 20_000)
    assert await client.ended() == 4501


async def test_half_a_frame_and_gone(rig: Rig) -> None:
    client = await rig.joined()
    client.connection.transport.write(b"\x81\xfe\x40\x00")
    client.connection.transport.abort()
    await rig.sockets(0)
    assert rig.hub.counts.closes == {1006: 1}


async def test_a_registered_handler_answers(rig: Rig) -> None:
    def handle(session: Any, vote: Vote, received_ms: int) -> None:
        assert abs(received_ms - rig.hub.clock.now_ms()) < 5_000
        session.reply(VoteAck(vote.id, "v", "queued", vote.contestant_id, "free", 1, {"free": 4}, False))

    rig.hub.router.register(Vote, handle, roles=frozenset({"user"}))
    client = await rig.joined()
    vote = {"type": "VOTE", "id": "a", "contestantId": "c1"}
    assert (await client.ask(vote))["data"]["code"] == "UNAUTHENTICATED"
    await client.ask({"type": "AUTH", "token": rig.token("user")}, "AUTH_OK")
    ack = await client.ask(vote)
    assert list(ack) == ["type", "data", "timestamp"]
    assert ack["data"]["remaining"] == {"free": 4}
    assert {sample.name: sample.value for metric in rig.hub.metrics.collect() for sample in metric.samples
            if sample.labels == {"type": "VOTE"}} == {"broadcast_sync_hub_messages_total": 2}
