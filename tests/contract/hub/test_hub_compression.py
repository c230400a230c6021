"""permessage-deflate between the server and the real client: what is agreed, who shares what, and bombs."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from broadcast_sync.wire.formats import PLAIN_JSON, PLAIN_MSGPACK
from tests.contract.hub.conftest import Open
from tests.support.hub import Client, Rig

AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"
MSGPACK = "broadcast-sync.v1.msgpack"


def offer(**parameters: Any) -> dict[str, Any]:
    return {"extensions": [ClientPerMessageDeflateFactory(**parameters)]}


def agreed(client: Client) -> str | None:
    response = client.connection.response
    assert response is not None
    return response.headers.get("Sec-WebSocket-Extensions")


@pytest.mark.parametrize(
    "parameters",
    [{}, {"server_max_window_bits": 12}, {"server_max_window_bits": 15}, {"server_no_context_takeover": True},
     {"client_max_window_bits": None}],
)
async def test_one_agreement_whatever_permits_it(rig: Rig, parameters: dict[str, Any]) -> None:
    client = await rig.joined(**offer(**parameters))
    assert agreed(client) == AGREED
    rig.hub.publish(rig.board(1, 100))
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 1
    for number in range(3):  # the client compresses what it says: messages that do not lean on each other
        pong = await client.ask({"type": "PING", "t0": number, "data": {"t0": number, "x": "x" * 1000}}, "PONG")
        assert pong["data"]["t0"] == number


@pytest.mark.parametrize("bits", [8, 9, 11])
async def test_a_smaller_window_gets_plain_frames(rig: Rig, bits: int) -> None:
    client = await rig.joined(**offer(server_max_window_bits=bits))
    assert agreed(client) is None
    rig.hub.publish(rig.board(1, 100))
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 1


async def test_the_offer_that_permits_it_is_taken_among_several(rig: Rig) -> None:
    small, large = ClientPerMessageDeflateFactory(server_max_window_bits=9), ClientPerMessageDeflateFactory()
    client = await rig.joined(extensions=[small, large])
    assert agreed(client) == AGREED


async def test_none_is_agreed_when_it_is_off(open_rig: Open) -> None:
    rig = await open_rig(deflate=0)
    client = await rig.joined(**offer())
    assert agreed(client) is None
    assert rig.session(client).format is PLAIN_JSON


async def test_sockets_of_a_kind_share_their_bytes(rig: Rig) -> None:
    clients = [
        await rig.joined("/voting/results", *protocols, **options)
        for protocols in ((), (MSGPACK,)) for options in ({}, offer()) for _ in range(3)
    ]
    formats = [rig.session(client).format for client in clients]
    assert len(set(formats)) == 4 and formats[0] is PLAIN_JSON and formats[6] is PLAIN_MSGPACK
    board = rig.board(7, 200)
    await rig.publish(board)
    heard = [await client.hear("VOTE_UPDATE") for client in clients]
    assert all(message == heard[0] for message in heard)
    sizes = [len(board.frame_for(format)) for format in (formats[0], formats[3], formats[6], formats[9])]
    assert sizes[1] < sizes[0] / 10 and sizes[3] < sizes[2] / 10
    assert len(board._frames) == 4


@pytest.mark.parametrize("size", [300_000, 100_000_000])
async def test_a_bomb_closes_its_own_socket(rig: Rig, size: int) -> None:
    client, other = await rig.joined(**offer()), await rig.joined()
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = (compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    frame = bytearray(Frame(Opcode.TEXT, bomb).serialize(mask=True))
    frame[0] |= 0x40
    client.connection.transport.write(bytes(frame))
    assert await client.ended() == 1009
    assert (await other.ask({"type": "PING", "t0": 1}, "PONG"))["data"]["t0"] == 1


async def test_a_large_compressed_message_is_only_refused(rig: Rig) -> None:
    client = await rig.joined(**offer())
    assert (await client.ask("x" * 20_000, "ERROR"))["data"]["code"] == "TOO_LARGE"
    assert (await client.ask({"type": "PING", "t0": 1}, "PONG"))["data"]["t0"] == 1


@pytest.mark.parametrize(
    "offered",
    ["permessage-deflate; server_max_window_bits=7", "permessage-deflate; x=1", "x-webkit-deflate-frame",
     "permessage-deflate; server_no_context_takeover=yes"],
)
async def test_an_offer_that_cannot_be_is_declined(rig: Rig, offered: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(
        b"GET /voting/sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Extensions: " + offered.encode() + b"\r\n\r\n"
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101") and b"xtensions" not in answer
    assert b"WELCOME" in await reader.read(100)
    writer.close()
