from __future__ import annotations

import asyncio
import contextlib

import msgspec
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import EngineClock
from broadcast_sync.operations.tally import (
    DirectorReport,
    NodeReport,
    StageView,
    TallyReporter,
    last_lateness_ms,
    merge,
    report_as_director,
)
from broadcast_sync.wire.server import ClockInfo, CueLogRow, NodeInfo, Tally

KEYS = StageKeys("default")
CLOCK = EngineClock()


def line(outcome: str, lateness_ms: int) -> CueLogRow:
    return CueLogRow("q1", "VOTING_OPEN", "anna", "2026-11-21T20:15:00.123Z", outcome, 7, lateness_ms)


class Console:
    """A reporter of one node, and the tallies it made."""

    def __init__(self, client: Redis, node: str, sockets: int) -> None:
        self.tallies: asyncio.Queue[Tally] = asyncio.Queue(100)
        self.reporter = TallyReporter(
            client=client, keys=KEYS, clock=CLOCK, node=node,
            report=lambda: NodeReport(sockets, 0.5, CLOCK.now_ms(), 0.25, node == "b", 1.23),
            stage=lambda: StageView(7, "OPEN", ["VOTING_CLOSE"], False), clock_info=lambda: ClockInfo(0.5, True, 900),
            cues=lambda: [line("cancelled", 900), line("executed", 7), line("executed", 3)],
            publish=self.tallies.put_nowait,
        )


async def test_a_tally_is_made_of_all_living_nodes_and_the_director(valkey: Redis) -> None:
    stale = NodeReport(1000, 1.0, CLOCK.now_ms() - 10_000)
    gone = NodeReport(1000, 1.0, CLOCK.now_ms() - 100_000)
    await valkey.hset(KEYS.nodes, mapping={"stale": msgspec.json.encode(stale), "gone": msgspec.json.encode(gone)})
    first, second = Console(valkey, "a", 30), Console(valkey, "b", 10)
    director = DirectorReport(12.5, 345, 6, "EQUAL", CLOCK.now_ms() - 300, node="b")
    tasks = [
        asyncio.create_task(first.reporter.run()),
        asyncio.create_task(second.reporter.run()),
        asyncio.create_task(report_as_director(valkey, KEYS, CLOCK, lambda: director)),
    ]
    tally = await first.tallies.get()
    while tally.sockets != 40 or tally.total_votes != 345:
        tally = await first.tallies.get()
    assert (tally.revision, tally.state, tally.applied, tally.degraded) == (7, "OPEN", 0.5, False)
    assert (tally.acked, tally.clock, tally.last_lateness_ms) == (0.25, ClockInfo(0.5, True, 900), 7)
    assert tally.nodes == [NodeInfo("a", 30, 0.5, 0.25, False, 1.2), NodeInfo("b", 10, 0.5, 0.25, True, 1.2)]
    assert first.reporter.last is tally
    assert (tally.votes_per_second, tally.ledger_lag, tally.recount) == (12.5, 6, "EQUAL")
    assert tally.director is not None
    assert tally.director.node == "b"
    assert tally.director.age_ms >= 300
    assert await valkey.hget(KEYS.nodes, "gone") is None
    assert first.reporter.director.public_total == 345
    director = DirectorReport(12.5, 346, 6, "EQUAL", CLOCK.now_ms(), embargoed=True)  # for screens: consoles see it
    while tally.total_votes != 346:
        tally = await first.tallies.get()
    assert first.reporter.director.public_total is None
    director = DirectorReport(None, None, None, "EQUAL", CLOCK.now_ms(), embargoed=True)
    while tally.total_votes is not None:
        tally = await first.tallies.get()
    assert (tally.votes_per_second, tally.ledger_lag, tally.recount) == (None, None, "EQUAL")
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await first.reporter.leave()
    assert not await valkey.hexists(KEYS.nodes, "a")


async def test_without_the_engine_a_console_still_sees_its_own_node() -> None:
    away = connect("unix:///nonexistent.sock", timeout_s=0.2)
    console = Console(away, "a", 3)
    task = asyncio.create_task(console.reporter.run())
    tally = await console.tallies.get()
    assert (tally.sockets, tally.degraded, tally.director) == (3, True, None)
    task.cancel()
    await away.aclose()


def test_the_shares_are_weighted_by_sockets() -> None:
    assert merge([]) == (0, 1.0, 1.0)
    assert merge([NodeInfo("a", 0, 1.0, 0.0, False, 0)]) == (0, 1.0, 1.0)
    two = [NodeInfo("a", 90, 1.0, 0.5, False, 0), NodeInfo("b", 10, 0.0, 0.0, False, 0)]
    assert merge(two) == (100, 0.9, 0.45)


def test_before_any_cue_was_taken_there_is_no_lateness() -> None:
    assert last_lateness_ms([]) is last_lateness_ms([line("CUE_REJECTED", 4)]) is None
