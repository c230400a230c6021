"""Sockets come and go by reference counts alone: nothing of them waits for the garbage collector, whose work holds the
loop for as long as there are sockets to look at."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import msgspec
import pytest

from tests.contract.hub.test_hub_deadlines import HANDSHAKE
from tests.support.cable import identifier
from tests.support.hub import Rig

STREAM = b"GET /voting/results/stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
NOWHERE = HANDSHAKE.replace(b"/voting/sync", b"/nowhere")
CABLE = HANDSHAKE.replace(b"/voting/sync", b"/cable")
SUBSCRIBE = msgspec.json.encode({"command": "subscribe", "identifier": identifier(episode_id=1)})
SUBSCRIBE_AND_CLOSE = b"\x81" + bytes((0x80 | len(SUBSCRIBE),)) + b"\0\0\0\0" + SUBSCRIBE + b"\x88\x80\0\0\0\0"


@pytest.mark.parametrize(
    ("request_", "close"),
    [
        (HANDSHAKE, b""), (HANDSHAKE, b"\x88\x80\0\0\0\0"), (HANDSHAKE, b"\x81\x01a"), (STREAM, b""), (NOWHERE, b""),
        (CABLE, SUBSCRIBE_AND_CLOSE),
    ],
    ids=["hung up", "closed", "failed", "stream", "refused", "cable"],
)
async def test_a_socket_leaves_no_garbage(rig: Rig, request_: bytes, close: bytes) -> None:
    async def visit() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(request_)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(close)
        if close:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        await rig.sockets(0)

    await visit()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(5):
            await visit()
        gc.collect()
        left = Counter(type(thing).__module__ for thing in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    ours = {name: count for name, count in left.items() if name.startswith(("broadcast_sync", "uvicorn", "websockets"))}
    assert ours == {}
