from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.leases import Lease
from broadcast_sync.clock import EngineClock
from broadcast_sync.settings import Results, Settings, Show
from broadcast_sync.show.director import Director
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.mirror import StageMirror
from broadcast_sync.show.model import SettlePort, Stage
from broadcast_sync.show.store import StageStore
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import ResultsReady
from tests.contract.show.conftest import Seen
from tests.support.stages import FakeRounds, FakeSettle, FakeWindow, intake_of, results_of

QUICK = Settings(show=Show(grace_s=0.2, drain_s=0.1))


class Node:
    """What a director needs, and a control room beside it."""

    def __init__(
        self, valkey: Redis, keys: StageKeys, store: StageStore, mirror: StageMirror, window: FakeWindow,
        clock: EngineClock,
    ) -> None:
        self.valkey, self.keys, self.store, self.mirror = valkey, keys, store, mirror
        self.window, self.clock = window, clock
        self.rounds = FakeRounds()

    async def cue(self, event: str, settings: Settings = QUICK, **data: object) -> int:
        intake = intake_of(settings, self.store, self.window, self.clock)
        ack = await intake.submit(CueMessage(event, data=data), by="anna", received_ms=self.clock.now_ms())
        return ack.revision

    @contextlib.asynccontextmanager
    async def directing(
        self, settle: SettlePort, settings: Settings = QUICK, holder: str = "n1"
    ) -> AsyncIterator[Lease]:
        lease = Lease(self.valkey, self.keys.director, holder, ttl_ms=600)
        director = Director(
            settings, lease, Fresh(self.mirror), self.store, self.clock, self.window, settle, self.rounds,
            Execution(self.store, self.window),
        )
        tasks = [asyncio.create_task(lease.run()), asyncio.create_task(director.run())]
        try:
            yield lease
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def slot(self, slot: int) -> Stage:
        """Once the slot is open."""
        while (stage := await self.until("OPEN")).window is None or stage.window.round != slot:
            await self.mirror.wait_change(stage)
        return stage

    async def decided(self, slots: int) -> Stage:
        """Once so many slots have their winner."""
        while self.mirror.stage.season is None or len(self.mirror.stage.season.winners) < slots:
            await self.mirror.wait_change(self.mirror.stage)
        return self.mirror.stage

    async def until(self, voting: str) -> Stage:
        while self.mirror.stage.voting != voting:
            await self.mirror.wait_change(self.mirror.stage)
        return self.mirror.stage


@pytest.fixture
def node(
    valkey: Redis, keys: StageKeys, store: StageStore, mirror: StageMirror, window: FakeWindow, clock: EngineClock
) -> Node:
    return Node(valkey, keys, store, mirror, window, clock)


async def test_a_window_closes_at_its_time_and_is_settled(node: Node, seen: Seen) -> None:
    settle = FakeSettle()
    async with node.directing(settle):
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=2)
        opened = await node.until("OPEN")
        closing = await node.until("CLOSING")
        closed = await node.until("CLOSED")
    assert opened.window is not None and closing.window is not None
    assert closing.window.closes_ms == opened.window.closes_ms and closing.window.reason == "TIMER"
    assert closed.results == results_of(opened.window.window_id) and closed.released
    assert settle.calls == 1
    types = [message.type for message in seen.messages if message.offset is not None]
    assert types == [
        "STATE_UPDATE", "VOTING_OPEN", "STATE_UPDATE", "VOTING_CLOSED", "STATE_UPDATE", "RESULTS_READY", "STATE_UPDATE",
    ]
    assert node.window.told


async def test_results_can_wait_for_their_cue(node: Node) -> None:
    settings = Settings(show=QUICK.show, results=Results(release="cue"))
    async with node.directing(FakeSettle(), settings):
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=1)
        closed = await node.until("CLOSED")
        assert closed.results is not None and not closed.released
        await node.cue("RESULTS_RELEASE")
        assert (await node.store.load()).released


async def test_a_long_window_is_warned_of_at_its_minute(node: Node, seen: Seen) -> None:
    async with node.directing(FakeSettle()):
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=61)
        await seen.until(lambda: bool(seen.of("WARNING")))
        assert node.mirror.stage.window is not None and node.mirror.stage.window.warned
    assert b'"remaining":60' in seen.of("WARNING")[0].data_json


async def test_settling_is_tried_again_until_it_works(node: Node) -> None:
    settle = FakeSettle(failures=3)
    async with node.directing(settle):
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=1)
        await node.until("CLOSED")
    assert settle.calls == 4


async def test_even_a_bug_in_settling_does_not_stop_the_director(node: Node) -> None:
    settle = FakeSettle(failures=1, error=ValueError("a bug"))
    async with node.directing(settle):
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=1)
        await node.until("CLOSED")
    assert settle.calls == 2


class NeverSettles:
    async def settle(self, stage: Stage) -> ResultsReady:
        await asyncio.Event().wait()
        raise AssertionError


async def test_the_next_director_carries_on(node: Node) -> None:
    async with node.directing(NeverSettles(), holder="n1") as first:
        await first.wait_held()
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=1)
        await node.until("CLOSING")
    async with node.directing(FakeSettle(), holder="n2") as second:
        await node.until("CLOSED")
        assert second.token == 2


async def test_a_window_whose_data_are_lost_does_not_hold_up_the_next(node: Node) -> None:
    async with node.directing(NeverSettles()):
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=1)
        await node.until("CLOSING")
        await node.valkey.delete(node.keys.state)
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=1)
        await node.until("OPEN")
        stage = await node.until("CLOSING")
        assert stage.revision == 3


async def test_a_close_that_falls_into_an_outage_is_made_good_with_its_announced_time(node: Node) -> None:
    async with node.directing(FakeSettle()):
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=1)
        opened = await node.until("OPEN")
        await node.valkey.client_pause(2_000)
        closed = await node.until("CLOSED")
    assert opened.window is not None and closed.window is not None
    assert (closed.window.closes_ms, closed.window.reason) == (opened.window.closes_ms, "TIMER")


async def test_a_season_of_three_slots_runs_by_its_cues_alone(node: Node, seen: Seen) -> None:
    node.rounds.failures = 2
    async with node.directing(FakeSettle()):
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=60, ruleset="hybrid")
        for slot in (1, 2):
            await node.slot(slot)
            await node.cue("ADVANCE_SLOT")
        stage = await node.decided(2)
    # c01 and c02 have won, c03 is eliminated: nobody is left for the third slot, so it waits for its own cue
    assert stage.season is not None and stage.season.advance is None and not stage.season.finished
    assert [won.contestant_id for won in stage.season.winners] == ["c01", "c02"]
    assert stage.voting == "CLOSED" and stage.season.slot == 3
    types = [message.type for message in seen.messages if message.offset is not None and message.type != "STATE_UPDATE"]
    one = ["VOTING_OPEN", "VOTING_CLOSED", "RESULTS_READY", "SLOT_DECIDED"]
    assert types == one * 2
    assert {opened.window.round for opened in node.window.opened if opened.window} == {1, 2}


async def test_the_next_director_completes_an_advance(node: Node) -> None:
    async with node.directing(NeverSettles(), holder="n1") as first:
        await first.wait_held()
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=60, ruleset="hybrid")
        await node.slot(1)
        await node.cue("ADVANCE_SLOT", duration=30)
        await node.until("CLOSING")
    async with node.directing(FakeSettle(), holder="n2"):
        stage = await node.slot(2)
    assert stage.season is not None and stage.window is not None
    assert stage.window.closes_ms - stage.window.opens_ms == 30_000
    assert [won.slot for won in stage.season.winners] == [1]


async def test_a_director_killed_between_opening_and_commit_opens_once(node: Node) -> None:
    async with node.directing(FakeSettle(), holder="n1"):
        await node.cue("SHOW_START", showId="demo", episode=1)
        await node.cue("VOTING_OPEN", duration=60, ruleset="hybrid")
        await node.slot(1)
        node.window.error = ConnectionError("killed in the middle of opening")
        await node.cue("ADVANCE_SLOT")
        await node.window.prepared(2)
    assert (await node.store.load()).voting == "CLOSED"
    node.window.error = None
    async with node.directing(FakeSettle(), holder="n2"):
        stage = await node.slot(2)
    prepared = {opened.window.window_id for opened in node.window.opened if opened.window}
    assert stage.window is not None and stage.window.window_id in prepared
    assert len(prepared) == len(node.window.opened) and len(set(node.rounds.decided)) == 1
