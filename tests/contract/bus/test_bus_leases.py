from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.leases import Lease

KEY = "bs:{default}:lease:director"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def running(*leases: Lease) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(lease.run()) for lease in leases]
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_one_of_many_has_it_and_the_fence_grows(valkey: Redis) -> None:
    leases = [Lease(valkey, KEY, f"n{index}", ttl_ms=600) for index in range(5)]
    tokens = []
    async with running(*leases) as tasks:
        for _ in range(3):
            waits = [asyncio.create_task(lease.wait_held()) for lease in leases]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            holders = [lease for lease in leases if lease.held]
            assert len(holders) == 1
            tokens.append(holders[0].token)
            tasks[leases.index(holders[0])].cancel()
            await holders[0].release()
            assert not holders[0].held
    assert tokens == sorted(set(tokens))


async def test_it_is_over_for_the_holder_before_another_can_have_it(valkey: Redis) -> None:
    clock = Clock()
    lease = Lease(valkey, KEY, "n1", ttl_ms=10_000, monotonic=clock)
    await lease._take()
    assert lease.held and lease.token == 1
    clock.now += 8.99
    assert lease.held
    clock.now += 0.02
    assert not lease.held
    other = Lease(valkey, KEY, "n2", ttl_ms=10_000)
    await other._take()
    assert not other.held
    assert await valkey.pttl(KEY) > 9_000


async def test_it_is_kept_by_renewing(valkey: Redis) -> None:
    lease, other = Lease(valkey, KEY, "n1", ttl_ms=300), Lease(valkey, KEY, "n2", ttl_ms=300)
    await lease._take()
    async with running(lease, other):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await lease.wait_lost()
        assert lease.held and not other.held and lease.token == 1


async def test_a_lost_lease_is_noticed(valkey: Redis) -> None:
    lease = Lease(valkey, KEY, "n1", ttl_ms=300)
    async with running(lease):
        await lease.wait_held()
        await valkey.hset(KEY, "holder", "another")
        await lease.wait_lost()
        assert not lease.held


async def test_one_cannot_release_what_another_has(valkey: Redis) -> None:
    lease = Lease(valkey, KEY, "n1")
    await lease._take()
    await valkey.hset(KEY, "holder", "another")
    await lease.release()
    assert await valkey.hget(KEY, "holder") == b"another"
