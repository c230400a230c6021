"""A cue's commit in an engine that stands still, or whose clock is set: late is worse than not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import EngineClock
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Control, Settings
from broadcast_sync.show.store import StageStore
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck
from tests.support.loose_valkey import loose_valkey
from tests.support.stages import FakeWindow, intake_of
from tests.support.stepped import stepped_valkey

LATE_S = 0.3
KEYS = StageKeys("default")


class StandsStill(FakeWindow):
    """A window port after which the engine stands still: just before the commit."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def opening(self, stage: object) -> None:
        self.reached.set()
        await self.go_on.wait()


async def test_what_lay_in_a_held_engine_until_after_its_time_is_not_committed(tmp_path: Path) -> None:
    async with loose_valkey(tmp_path / "engine") as engine, engine.client() as patient:
        client, window, clock = connect(engine.url, timeout_s=LATE_S), StandsStill(), EngineClock()
        store = StageStore(client, KEYS, "default")
        intake = intake_of(Settings(control=Control(late_cue_s=LATE_S)), store, window, clock)

        async def submit(event: str, data: dict[str, object]) -> CueAck:
            cue = CueMessage(event, cue_id=event, data=data)
            return await intake.submit(cue, by="anna", received_ms=clock.now_ms())

        await submit("SHOW_START", {"showId": "demo", "episode": 1})
        opening = asyncio.create_task(submit("VOTING_OPEN", {"duration": 90}))
        await window.reached.wait()
        with engine.held():
            window.go_on.set()
            with pytest.raises(Refusal, match="TRY_AGAIN"):
                await opening
            await asyncio.sleep(LATE_S)
        stage = await StageStore(patient, KEYS, "default").load()
        assert (stage.voting, stage.revision) == ("IDLE", 1)
        # asked for again it is a cue of now
        assert (await submit("VOTING_OPEN", {"duration": 90})).revision == 2
        await client.aclose()


@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000])
async def test_a_clock_that_was_set_a_moment_ago_makes_no_cue_late(tmp_path: Path, step_ms: int) -> None:
    async with stepped_valkey(tmp_path / "engine") as engine, engine.client() as client:
        clock = EngineClock()
        store = StageStore(client, KEYS, "default")
        intake = intake_of(Settings(), store, FakeWindow(), clock)
        await engine.step(step_ms)
        cue = CueMessage("SHOW_START", data={"showId": "demo", "episode": 1})
        assert (await intake.submit(cue, by="anna", received_ms=clock.now_ms())).revision == 1
