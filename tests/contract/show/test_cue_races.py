"""Cues repeated, reordered, delayed and raced from two consoles on two nodes, with directors that come and go: whatever
happened, the cue log alone replays to the stage that is stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.leases import Lease
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Control, Settings
from broadcast_sync.show.arming import armed_cue
from broadcast_sync.show.cues import CueRecord
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import ArmedCue, PendingCue, Stage
from broadcast_sync.show.orders import (
    Arm,
    Ask,
    Cancel,
    Command,
    Confirm,
    DropArmed,
    ExpirePending,
    OpenVoting,
    TakeArmed,
)
from broadcast_sync.show.store import StageStore
from broadcast_sync.show.taker import Taker
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.times import iso
from tests.support.stages import NOW, FakeWindow, SetClock, intake_of, reader_of

SETTINGS = Settings(control=Control(cues_per_second=1_000, late_cue_s=1.0, confirm_s=1.0, extend_limit_s=60))
EVENTS: tuple[tuple[str, dict[str, Any] | None], ...] = (
    ("SHOW_START", {"showId": "demo", "episode": 1}),
    ("SHOW_START", {"showId": "demo", "episode": 1, "rehearsal": True}),
    ("SHOW_END", None), ("PERFORMANCE_START", {"contestantId": "c01"}), ("PERFORMANCE_END", None),
    ("VOTING_OPEN", {"duration": 600}), ("VOTING_EXTEND", {"seconds": 30}), ("VOTING_EXTEND", {"seconds": 90}),
    ("VOTING_CLOSE", None), ("TIMECODE_SET", {"rate": "25", "label": "20:00:00:00"}),
)


LABELS = ("20:00:00:10", "20:00:02:00")
OPENINGS = ((0,), (0, 9), (0, 9, 5), (1, 9, 5), (9, 0, 5, 7))
"""What has been cued before, by index in EVENTS."""


class Frozen:
    """The taker's feed: the stage as of the last step."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    async def wait_change(self, seen: Stage) -> None:
        await asyncio.Event().wait()


@st.composite
def scripts(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Steps: cues sent now or again later, by one console or by several at once; what waits is taken, cancelled or
    confirmed; time passes; directors come."""
    label, soon = st.sampled_from([None, *LABELS]), st.sampled_from([50, 400, 3_000])
    event, cue_id = st.sampled_from(EVENTS), st.sampled_from([f"q{number}" for number in range(12)])
    who = st.sampled_from(["anna", "ben"])
    cue = st.one_of(
        st.tuples(event, st.just("take"), cue_id, who, label, soon),
        st.tuples(event, st.just("arm"), cue_id, who, label, soon),
    )
    step = st.one_of(
        st.tuples(st.just("cues"), st.lists(cue, min_size=1, max_size=3)),
        st.tuples(st.just("again"), st.integers(0, 20)),
        st.tuples(st.just("armed"), st.sampled_from(["take", "cancel"])),
        st.tuples(st.just("pending"), st.sampled_from(["confirm", "confirm", "cancel"])),
        st.tuples(st.just("time"), st.sampled_from([1, 200, 1_000, 4_000])),
        st.tuples(st.just("director"), st.booleans()),
    )
    before = draw(st.sampled_from(OPENINGS))
    opening = [("cues", [(EVENTS[index], "take", f"o{index}", "anna", None, 0)]) for index in before]
    return [*opening, *draw(st.lists(step, min_size=5, max_size=30))]


class House:
    """Two nodes on one engine, and one clock for both."""

    def __init__(self, clients: Sequence[Redis]) -> None:
        self.keys, self.clock, self.window = StageKeys("default"), SetClock(NOW), FakeWindow()
        self.client = clients[0]
        self.stores = [StageStore(client, self.keys, "default") for client in clients]
        self.intakes = [intake_of(SETTINGS, store, self.window, self.clock) for store in self.stores]
        self.sent: list[tuple[CueMessage, str]] = []
        self.token = 0

    async def send(self, node: int, cue: CueMessage, by: str) -> None:
        with contextlib.suppress(Refusal):
            await self.intakes[node].submit(cue, by=by, received_ms=self.clock.now_ms(), roles={"control"})

    async def play(self, step: tuple[Any, ...]) -> None:
        kind, what = step
        if kind == "time":
            self.clock.ms += what
        elif kind == "again" and self.sent:
            cue, by = self.sent[what % len(self.sent)]
            await asyncio.gather(self.send(0, cue, by), self.send(1, cue, by))
        elif kind == "cues":
            made = [(self.message(*cue), cue[3]) for cue in what]
            self.sent += made
            await asyncio.gather(*(self.send(number % 2, cue, by) for number, (cue, by) in enumerate(made)))
        elif kind in ("armed", "pending"):
            stage = await self.stores[0].load()
            waiting: Sequence[ArmedCue | PendingCue] = stage.armed if kind == "armed" else stage.pending
            if waiting:
                cue = CueMessage(waiting[0].event, waiting[0].cue_id, mode=what)
                await asyncio.gather(self.send(0, cue, "anna"), self.send(1, cue, "ben"))
        elif kind == "director":
            await self.direct(twice=what)

    def message(
        self, event: tuple[str, dict[str, Any] | None], mode: Any, cue_id: str, by: str, label: str | None, in_ms: int
    ) -> CueMessage:
        at = iso(self.clock.now_ms() + in_ms) if mode == "arm" else None
        data = event[1] if mode in ("take", "arm") else None
        return CueMessage(event[0], cue_id, at, label, data, None, mode)

    async def direct(self, *, twice: bool) -> None:
        """A new director, or two that both believe in their lease, until nothing is due."""
        self.token += 1
        await self.client.set(f"{self.keys.director}:fence", self.token)
        takers = [self._taker(number, await self.stores[number].load()) for number in range(1 + twice)]
        for _ in range(20):
            stage = await self.stores[0].load()
            due = [taker for taker in takers if taker._next_ms(stage) <= self.clock.now_ms()]
            if not due:
                return
            await asyncio.gather(*(taker._act(stage) for taker in due))
            for taker in takers:
                taker._fresh = Fresh(Frozen(await self.stores[0].load()))
        raise AssertionError("the director comes to no end")

    def _taker(self, number: int, stage: Stage) -> Taker:
        lease = Lease(self.client, self.keys.director, f"n{number}")
        lease._token = self.token
        store = self.stores[number]
        return Taker(
            SETTINGS, lease, Fresh(Frozen(stage)), store, Execution(store, self.window),
            reader_of(SETTINGS, self.window), self.clock,
        )

    async def windows(self) -> list[str]:
        """The ids of the windows that have opened; others were prepared and never committed."""
        entries: Any = await self.client.xrange(self.keys.events)
        events = [msgspec.json.decode(fields[b"m"]) for _, fields in entries]
        return [event["data"]["windowId"] for event in events if event["type"] == "VOTING_OPEN"]

    async def log(self) -> Iterator[CueRecord]:
        entries: Any = await self.client.xrange(self.keys.cues)
        return (msgspec.json.decode(fields[b"m"], type=CueRecord) for _, fields in entries)


async def replayed(log: Iterator[CueRecord], windows: list[str]) -> Stage:
    """The stage that the lines of the log make of an empty one; `windows` are the ids of those that opened."""
    stage, reader = Stage("default"), reader_of(SETTINGS, FakeWindow())

    async def command(event: str, data: dict[str, Any], cue_id: str, by: str, at_ms: int) -> Command:
        made = (await reader.read(event, data, cue_id, by))(stage, at_ms)
        return replace(made, window_id=windows.pop(0)) if isinstance(made, OpenVoting) else made

    for line in log:
        if line.executed_ms is None:
            continue
        data, at_ms = msgspec.json.decode(line.data), line.executed_ms
        assert line.revision == stage.revision + 1
        done: Command
        if line.outcome == "armed":
            assert line.due_ms is not None
            done = Arm((ArmedCue(line.cue_id, line.event, line.due_ms, line.by, line.asked_ms, line.timecode, data),))
        elif line.outcome == "pending":
            expires_ms = at_ms + round(SETTINGS.control.confirm_s * 1000)
            waiting = PendingCue(line.cue_id, line.event, line.by, at_ms, expires_ms, data)
            done = Ask(waiting, await command(line.event, data, line.cue_id, line.by, at_ms))
        elif line.outcome == "cancelled":
            done = Cancel(line.cue_id)
        elif line.mode in ("drop", "expire"):
            done = DropArmed(line.cue_id) if line.mode == "drop" else ExpirePending(line.cue_id)
        else:
            done = await command(line.event, data, line.cue_id, line.by, at_ms)
            if line.mode == "confirm":
                done = Confirm(line.cue_id, line.by, done)
            elif armed_cue(stage, line.cue_id) is not None:
                done = TakeArmed(line.cue_id, done)
        stage = decide(stage, done, at_ms).stage
    return stage


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=scripts())
def test_the_log_replays_to_the_same_stage(script: list[tuple[Any, ...]], valkey_url: str) -> None:
    asyncio.run(run(script, valkey_url))


async def run(script: list[tuple[Any, ...]], valkey_url: str) -> None:
    clients = [connect(valkey_url), connect(valkey_url)]
    try:
        await clients[0].flushall()
        house = House(clients)
        for step in script:
            await house.play(step)
        stored = await house.stores[0].load()
        lines = list(await house.log())
        changed = [line.revision for line in lines if line.executed_ms is not None]
        assert changed == list(range(1, stored.revision + 1))
        made = await replayed(iter(lines), await house.windows())
        assert replace(made, epoch=stored.epoch, offset=stored.offset) == stored
    finally:
        for client in clients:
            await client.aclose()
