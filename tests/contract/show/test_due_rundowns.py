"""Rundowns for a date on a real Valkey: armed by themselves, once, whoever directs by then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.leases import Lease
from broadcast_sync.clock import EngineClock
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Settings
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.mirror import StageMirror
from broadcast_sync.show.model import Stage
from broadcast_sync.show.rundown import RundownCue, RundownFile
from broadcast_sync.show.rundown_keeper import RundownKeeper
from broadcast_sync.show.rundown_loader import Load, RundownLoader
from broadcast_sync.show.scheduling import ARM_AHEAD_MS
from broadcast_sync.show.store import StageStore
from tests.support.stages import FakeWindow, reader_of

CUES = [
    RundownCue("sing", "PERFORMANCE_START", offset=5, data={"contestantId": "c01"}),
    RundownCue("bow", "SHOW_END", offset=9.5),
]


class House:
    """A loader, and directors to come."""

    def __init__(self, valkey: Redis, keys: StageKeys, store: StageStore, mirror: StageMirror) -> None:
        self.valkey, self.keys, self.store, self.mirror = valkey, keys, store, mirror
        self.clock = EngineClock()
        window = FakeWindow()
        self.loader = RundownLoader(
            valkey, keys, store, reader_of(Settings(), window), Execution(store, window), self.clock
        )

    def asked(self, in_ms: int | None, cues: list[RundownCue] | None = None, **more: Any) -> Load:
        due_ms = None if in_ms is None else self.clock.now_ms() + in_ms
        return Load(RundownFile("Saturday", cues or CUES, **more), "anna", due_ms=due_ms)

    @contextlib.asynccontextmanager
    async def directing(self, holder: str) -> AsyncIterator[None]:
        lease = Lease(self.valkey, self.keys.director, holder, ttl_ms=300)
        keeper = RundownKeeper(lease, Fresh(self.mirror), self.loader, self.clock)
        tasks = [asyncio.create_task(lease.run())]
        await lease.wait_held()
        tasks.append(asyncio.create_task(keeper.run()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await lease.release()

    async def until_none_is_due(self) -> Stage:
        while self.mirror.stage.due or not self.mirror.stage.revision:
            await self.mirror.wait_change(self.mirror.stage)
        return self.mirror.stage

    async def lines(self) -> list[tuple[str, str, str]]:
        entries: Any = await self.valkey.xrange(self.keys.cues)
        found = [msgspec.json.decode(fields[b"m"]) for _, fields in entries]
        return [(line["event"], line["outcome"], line["message"]) for line in found]

    async def bodies(self) -> int:
        return len([key async for key in self.valkey.scan_iter(match=self.keys.rundown("*").replace("{", "[{]"))])


@pytest.fixture
async def house(valkey: Redis, keys: StageKeys, store: StageStore, mirror: StageMirror) -> House:
    return House(valkey, keys, store, mirror)


async def test_it_is_armed_a_minute_before_it_is_due_and_its_offsets_begin_then(house: House) -> None:
    asked = house.asked(ARM_AHEAD_MS + 400)
    stage = await house.loader.load(asked)
    assert [one.name for one in stage.due] == ["Saturday"] and stage.armed == () and await house.bodies() == 1
    async with house.directing("n1"):
        stage = await house.until_none_is_due()
    assert asked.due_ms is not None and house.clock.now_ms() >= asked.due_ms - ARM_AHEAD_MS
    assert [(cue.cue_id, cue.at_ms - asked.due_ms, cue.by) for cue in stage.armed] == [
        ("sing", 5_000, "anna"), ("bow", 9_500, "anna")
    ]
    assert stage.rundown is not None and stage.rundown.name == "Saturday" and await house.bodies() == 0
    assert [outcome for _, outcome, _ in await house.lines()] == ["due", "armed", "armed"]


async def test_one_director_after_another_arms_it_once(house: House) -> None:
    stage = await house.loader.load(house.asked(1_000))
    [due] = stage.due
    found = await asyncio.gather(*(house.loader.arm_due(due, 0) for _ in range(4)))
    assert sum(one is not None for one in found) == 1
    assert await house.loader.arm_due(due, 0) is None
    assert [outcome for _, outcome, _ in await house.lines()].count("armed") == 2


async def test_found_overdue_it_is_armed_all_the_same(house: House) -> None:
    await house.loader.load(house.asked(200))
    await asyncio.sleep(0.3)  # nobody directs
    async with house.directing("n1"):
        stage = await house.until_none_is_due()
    assert [cue.cue_id for cue in stage.armed] == ["sing", "bow"]


async def test_the_same_name_again_replaces_it_and_a_cancelled_one_is_gone(house: House) -> None:
    await house.loader.load(house.asked(ARM_AHEAD_MS + 60_000))
    stage = await house.loader.load(house.asked(ARM_AHEAD_MS + 90_000, CUES[:1]))
    assert [one.cues for one in stage.due] == [1] and await house.bodies() == 1
    assert (await house.loader.cancel("Saturday", "ben")).due == () and await house.bodies() == 0
    with pytest.raises(Refusal, match="No rundown Saturday waits"):
        await house.loader.cancel("Saturday", "ben")


async def test_what_cannot_be_armed_when_it_is_due_is_dropped_with_the_reason(house: House) -> None:
    label = [RundownCue("open", "VOTING_OPEN", timecode="20:00:00:00")]
    await house.loader.load(house.asked(500, label, rate="25"))
    async with house.directing("n1"):
        stage = await house.until_none_is_due()
    assert stage.armed == () and stage.rundown is None
    [_, (_, code, why)] = await house.lines()
    assert code == "CUE_REJECTED" and "TIMECODE_SET first" in why


async def test_what_is_wrong_is_said_when_it_is_loaded_and_changes_nothing(house: House) -> None:
    before = await house.store.load()
    with pytest.raises(Refusal, match="no event FIREWORKS"):
        await house.loader.load(house.asked(500, [RundownCue("x", "FIREWORKS", offset=1)]))
    with pytest.raises(Refusal, match="in the past"):
        await house.loader.load(house.asked(-500))
    assert await house.store.load() == before and await house.bodies() == 0
