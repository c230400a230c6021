"""The director is killed in the countdown: a successor within two seconds, counted in boards that did not come."""

from __future__ import annotations

import asyncio
import itertools

import pytest
import structlog

from broadcast_sync.wire.times import iso, parse_iso
from tests.e2e.conftest import Starter
from tests.e2e.test_failures import engines
from tests.e2e.test_show import DEMO
from tests.support.viewer import Viewer

pytestmark = pytest.mark.timeout(90)
SECOND_MS = 1_000


def ticks(*viewers: Viewer) -> list[int]:
    """The seconds that were counted down to somebody, in the order they came."""
    return [tick["data"]["remaining"] for viewer in viewers for tick in viewer.seen("COUNTDOWN")]


async def test_a_dead_director_costs_two_boards_at_most_and_nothing_else(start_server: Starter) -> None:
    first = await asyncio.to_thread(start_server)
    second = await asyncio.to_thread(start_server, {
        "engine.valkey_url": engines(first)["valkey"]["url"], "engine.postgres_url": engines(first)["postgres"]["url"],
        "control.secret_file": str(first.data / "keys" / "control.secret"),
    })
    watcher, stranded = await Viewer.open(second.url, "/voting/results"), await Viewer.open(first.url)
    first.cue("SHOW_START", DEMO)
    first.cue("VOTING_OPEN", {"duration": 11})
    window = (await watcher.expect("VOTING_OPEN"))["data"]
    # an armed cue whose time comes while nobody directs
    at = iso(parse_iso(window["closesAt"]) - 5_500)
    assert second.cue_at_once("PERFORMANCE_START", {"contestantId": "c01"}, mode="arm", timestamp=at)["armed"]
    await watcher.expect("COUNTDOWN", remaining=6)
    await asyncio.to_thread(first.kill)
    await stranded.closed()
    moved = await Viewer.open(second.url)
    closed = await watcher.expect("VOTING_CLOSED", timeout_s=15)
    await watcher.expect("RESULTS_READY", timeout_s=30)
    assert closed["data"]["reason"] == "TIMER" and closed["data"]["closedAt"] == window["closesAt"]
    assert ticks(watcher) == list(range(10, 0, -1))
    # who was on the dead node has missed what fell into the reconnect, and nothing came twice or out of order
    counted = ticks(stranded, moved)
    assert counted == sorted(set(counted), reverse=True) and (counted[0], counted[-1]) == (10, 1)
    structlog.get_logger().info("countdown_gap", seconds=10 - len(counted))
    assert len(watcher.seen("VOTING_OPEN")) == len(watcher.seen("VOTING_CLOSED")) == 1
    slots = sorted({board["offset"] // SECOND_MS for board in watcher.seen("LIVE_RESULTS")})
    assert max(after - before for before, after in itertools.pairwise(slots)) <= 3
    sung = [state for state in watcher.seen("STATE_UPDATE") if state["data"]["performance"]]
    assert {state["data"]["performance"]["startedAt"] for state in sung} and sung[0]["data"]["voting"] == "OPEN"
    await watcher.close()
    await moved.close()
