from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.pubsub import Connected, Disconnected, Payload, Report, Subscription


async def read(reports: AsyncGenerator[Report, None]) -> Report:
    return await asyncio.wait_for(anext(reports), 10)


async def test_payloads_come_in_order_after_the_subscription_stands(valkey: Redis) -> None:
    async with aclosing(Subscription(valkey, ("a", "b")).reports()) as reports:
        assert isinstance(await read(reports), Connected)
        for index in range(100):
            await valkey.publish("ab"[index % 2], b"%d" % index)
        got = [await read(reports) for _ in range(100)]
    assert got == [Payload("ab"[index % 2], b"%d" % index) for index in range(100)]


async def test_a_killed_connection_is_reported_and_replaced(valkey: Redis) -> None:
    async with aclosing(Subscription(valkey, ("a",)).reports()) as reports:
        assert isinstance(await read(reports), Connected)
        await valkey.client_kill_filter(_type="pubsub")
        assert isinstance(await read(reports), Disconnected)
        assert isinstance(await read(reports), Connected)
        await valkey.publish("a", b"x")
        assert await read(reports) == Payload("a", b"x")


async def test_an_idle_connection_is_kept(valkey: Redis) -> None:
    async with aclosing(Subscription(valkey, ("a",), ping_s=0.05).reports()) as reports:
        assert isinstance(await read(reports), Connected)
        waiting = asyncio.ensure_future(anext(reports))
        done, _ = await asyncio.wait([waiting], timeout=0.5)
        assert not done
        await valkey.publish("a", b"x")
        assert await waiting == Payload("a", b"x")


async def test_a_silent_engine_is_noticed_by_ping() -> None:
    async def subscribe_then_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            if b"SUBSCRIBE" in data:
                writer.write(b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
            elif b"CLIENT" in data:
                writer.write(b"+OK\r\n" * data.count(b"CLIENT"))
        writer.close()

    server = await asyncio.start_server(subscribe_then_silence, "127.0.0.1", 0)
    client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    async with aclosing(Subscription(client, ("a",), ping_s=0.05).reports()) as reports:
        assert isinstance(await read(reports), Connected)
        lost = await read(reports)
    assert isinstance(lost, Disconnected) and "silent" in lost.reason
    await client.aclose()
    server.close()


async def test_an_engine_away_is_reported_once() -> None:
    client = connect("redis://127.0.0.1:1/0")
    async with aclosing(Subscription(client, ("a",)).reports()) as reports:
        assert isinstance(await read(reports), Disconnected)
        waiting = asyncio.ensure_future(anext(reports))
        done, _ = await asyncio.wait([waiting], timeout=0.5)
        assert not done
        waiting.cancel()
        await asyncio.wait([waiting])
    await client.aclose()
