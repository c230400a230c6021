"""Slow and oversized requests at the door, on raw connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broadcast_sync.hub.door import HEADER_BYTES
from tests.contract.hub.conftest import Open

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HANDSHAKE = (
    b"GET /voting/sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@asynccontextmanager
async def raw(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def cut_off(reader: asyncio.StreamReader) -> bool:
    """Waits for the end of the connection; True if nothing came before it."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_request_that_does_not_come_costs_the_connection(open_rig: Open) -> None:
    rig = await open_rig(handshake_timeout_s=0.2)
    for sent in (b"", b"GET /voting/sync HTTP/1.1\r\nUpgrade: webs", REQUEST[:-2]):
        async with raw(rig.port) as (reader, writer):
            writer.write(sent)
            assert await cut_off(reader)


async def test_headers_without_end_cost_the_connection(open_rig: Open) -> None:
    rig = await open_rig()
    async with raw(rig.port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"X-Long: y\r\n" * (HEADER_BYTES // 8))
        assert await cut_off(reader)


async def test_who_came_through_is_left_alone(open_rig: Open) -> None:
    rig = await open_rig(handshake_timeout_s=0.2)
    async with raw(rig.port) as (reader, writer), raw(rig.port) as (socket_reader, socket_writer):
        socket_writer.write(HANDSHAKE)
        assert b"101" in await socket_reader.readuntil(b"\r\n\r\n")
        await rig.sockets(1)
        for _ in range(3):
            writer.write(REQUEST)
            assert b"200" in await reader.readuntil(b"0\r\n\r\n")  # the last chunk
            await asyncio.sleep(0.15)  # together longer than a handshake may take
        assert rig.hub.socket_count == 1
        # a later request on the same connection is held to the bound as well
        writer.write(b"GET / HTTP/1.1\r\nHost")
        assert await cut_off(reader)
