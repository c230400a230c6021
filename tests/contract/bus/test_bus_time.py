"""The shared time and the leases under an engine whose clock is really set."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from broadcast_sync.bus import timekeeper
from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.leases import Lease
from broadcast_sync.bus.timekeeper import Timekeeper
from broadcast_sync.clock import EngineClock
from tests.support.stepped import SteppedValkey, stepped_valkey

HOUR_MS = 3_600_000
KEYS = StageKeys("default")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SteppedValkey]:
    async with stepped_valkey(tmp_path / "engine") as running:
        yield running


@pytest.fixture
async def client(engine: SteppedValkey) -> AsyncIterator[Redis]:
    made = connect(engine.url)
    yield made
    await made.aclose()


def wall_ms() -> float:
    """The time by this machine's clock, which nobody sets."""
    return time.time() * 1000


def off_ms(node: Node) -> float:
    return abs(node.clock.now_ms() - wall_ms())


class Node:
    """A clock with its keeper; `on_air` is what the stage would say."""

    def __init__(self, client: Redis, name: str) -> None:
        self.clock = EngineClock()
        self.lease = Lease(client, KEYS.director, name, ttl_ms=60_000)
        self.on_air = True
        self.steps = 0
        self.keeper = Timekeeper(client, KEYS, self.clock, self.lease, lambda: self.on_air, self._stepped)

    def _stepped(self) -> None:
        self.steps += 1

    @classmethod
    async def begun(cls, client: Redis, name: str, *, director: bool = False) -> Node:
        node = cls(client, name)
        await node.keeper.begin()
        if director:
            await node.directs()
        await node.keeper.measure()
        return node

    async def directs(self) -> None:
        """Takes the lease or renews it; one that is set forward has given it away."""
        await self.lease._take()
        assert self.lease.held


async def offset(client: Redis) -> int:
    found: Any = await client.hget(KEYS.time, "offset")
    return int(found)


@pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS])
async def test_on_air_a_step_moves_nobody_not_even_who_comes_after_it(
    engine: SteppedValkey, client: Redis, step_ms: int
) -> None:
    director = await Node.begun(client, "n1", director=True)
    other = await Node.begun(client, "n2")
    await engine.step(step_ms)
    await other.keeper.measure()
    assert off_ms(other) < 500 and other.clock.error_ms == pytest.approx(step_ms, abs=500) and not other.clock.healthy
    await director.directs()
    await director.keeper.measure()
    assert await offset(client) == pytest.approx(-step_ms, abs=500)
    for node in (director, other):
        await node.keeper.measure()
        assert off_ms(node) < 500 and node.steps == 0 and node.clock.healthy
        assert node.clock.held_ms == pytest.approx(-step_ms, abs=500)
    late = await Node.begun(client, "n3")
    assert off_ms(late) < 500
    # the director dies, and all with it; the one that is started then has the time of the show as well
    await client.delete(KEYS.director)
    successor = await Node.begun(client, "n4", director=True)
    assert off_ms(successor) < 500
    await engine.step(-step_ms)  # and the step is taken back
    await successor.directs()
    await successor.keeper.measure()
    assert off_ms(successor) < 500 and await offset(client) == pytest.approx(0, abs=500)


async def test_off_air_all_follow_the_engine_again(engine: SteppedValkey, client: Redis) -> None:
    director = await Node.begun(client, "n1", director=True)
    other = await Node.begun(client, "n2")
    await engine.step(HOUR_MS)
    await director.directs()
    await director.keeper.measure()
    director.on_air = other.on_air = False
    for _ in range(2):
        for node in (director, other):
            await node.keeper.measure()
    assert await offset(client) == 0
    for node in (director, other):
        assert node.clock.now_ms() - wall_ms() == pytest.approx(HOUR_MS, abs=500) and node.steps == 1
    await engine.step(-HOUR_MS)
    await director.keeper.measure()
    await other.keeper.measure()
    assert off_ms(director) < 500 and off_ms(other) < 500 and director.steps == 2


async def test_who_came_between_the_step_and_the_directors_word_is_set_right(
    engine: SteppedValkey, client: Redis
) -> None:
    director = await Node.begun(client, "n1", director=True)
    await engine.step(HOUR_MS)
    late = await Node.begun(client, "n2")
    assert off_ms(late) > HOUR_MS - 1_000  # nobody can tell it better yet
    await director.directs()
    await director.keeper.measure()
    await late.keeper.measure()
    assert off_ms(late) < 500 and late.steps == 1


async def test_on_air_time_does_not_go_back_over_a_restart_that_nobody_watched(
    engine: SteppedValkey, client: Redis
) -> None:
    await Node.begun(client, "n1", director=True)
    await client.delete(KEYS.director)
    await engine.step(-HOUR_MS)
    restarted = await Node.begun(client, "n2", director=True)
    assert off_ms(restarted) < 1_000
    await restarted.keeper.measure()
    later = await Node.begun(client, "n3")
    assert off_ms(later) < 1_000


async def test_only_the_director_says_what_time_it_is(
    engine: SteppedValkey, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Node.begun(client, "n1", director=True)
    asleep = await Node.begun(client, "n2")
    asleep.clock._base_ms -= 60_000  # its machine was suspended for a minute
    await asleep.keeper.measure()
    assert off_ms(asleep) > 59_000 and asleep.steps == 0
    monkeypatch.setattr(timekeeper, "PATIENCE_S", 0.0)
    await asleep.keeper.measure()
    assert off_ms(asleep) < 500 and asleep.steps == 1 and await offset(client) == 0


async def test_an_answer_that_took_long_is_no_step(
    engine: SteppedValkey, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    director = await Node.begun(client, "n1", director=True)
    other = await Node.begun(client, "n2")
    read = timekeeper.read_time

    async def held_up(client: Redis, keys: StageKeys) -> timekeeper.Reading:
        reading = await read(client, keys)
        return reading._replace(received_ns=reading.received_ns + 3_000_000_000)

    monkeypatch.setattr(timekeeper, "read_time", held_up)
    for node in (director, other):
        await node.keeper.measure()
        assert off_ms(node) < 500 and node.steps == 0
    assert await offset(client) == 0


async def test_a_dead_holders_lease_is_taken_though_the_engines_clock_was_set_back(
    engine: SteppedValkey, client: Redis
) -> None:
    dead, waiting = (Lease(client, "bs:{default}:lease:x", name, ttl_ms=300) for name in ("n1", "n2"))
    await dead._take()
    await engine.step(-HOUR_MS)
    assert await client.pttl(dead.key) > HOUR_MS
    task = asyncio.create_task(waiting.run())
    async with asyncio.timeout(10):
        await waiting.wait_held()
    assert waiting.token == dead.token + 1 and not dead.held
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_lease_that_is_renewed_stays_though_the_engines_clock_was_set(
    engine: SteppedValkey, client: Redis
) -> None:
    holder, waiting = (Lease(client, "bs:{default}:lease:x", name, ttl_ms=300) for name in ("n1", "n2"))
    await holder._take()
    tasks = [asyncio.create_task(lease.run()) for lease in (holder, waiting)]
    await engine.step(-HOUR_MS)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await waiting.wait_held()
    assert holder.held and holder.token == 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
