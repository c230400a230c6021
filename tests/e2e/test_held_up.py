"""A process is held (SIGSTOP) and goes on: what it then finds to do is done only if it is still wanted."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import AsyncIterator

import pytest

from broadcast_sync.wire.times import iso
from tests.e2e.conftest import Starter
from tests.e2e.test_failover import ticks
from tests.e2e.test_failures import engines
from tests.e2e.test_show import DEMO
from tests.support.process import ServerProcess
from tests.support.viewer import Message, Viewer

pytestmark = pytest.mark.timeout(90)
LATE_S = 1.0


@contextlib.asynccontextmanager
async def held(server: ServerProcess) -> AsyncIterator[None]:
    """The process stands still for as long as the block runs; its engines do not."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


async def logged(desk: Viewer, cue_id: str) -> list[Message]:
    """The cue log as the console has it once `cue_id` is in it."""
    for number in itertools.count(len(desk.seen("TALLY"))):
        lines: list[Message] = (await desk.expect("TALLY", after=number))["data"]["cues"]
        if any(line["cueId"] == cue_id for line in lines):
            break
    return lines


async def test_a_cue_that_lay_in_a_held_server_is_not_taken_when_it_goes_on(start_server: Starter) -> None:
    server = await asyncio.to_thread(start_server, {"control.late_cue_s": LATE_S})
    [token] = server.tokens(1, "control", "anna")
    desk = await Viewer.open(server.url, "/control/sync", token)
    server.cue("SHOW_START", DEMO)
    before = await desk.expect("STATE_UPDATE", revision=1)
    async with held(server):
        asked = iso(round(time.time() * 1000))
        await desk.send({"type": "CUE", "event": "VOTING_OPEN", "cueId": "stale", "timestamp": asked})
        await asyncio.sleep(2 * LATE_S)
        # a button that gives no time of its own is pressed when it arrives
        await desk.send({"type": "CUE", "event": "PERFORMANCE_START", "cueId": "sing", "data": {"contestantId": "c01"}})
    refused = await desk.expect("ERROR", cueId="stale")
    assert refused["data"]["code"] == "CUE_REJECTED" and "Too late: it was asked" in refused["data"]["message"]
    taken = await desk.expect("CUE_ACK", cueId="sing")
    assert taken["data"]["revision"] == before["data"]["revision"] + 1
    lines = await logged(desk, "sing")
    assert [line["outcome"] for line in lines if line["cueId"] == "stale"] == ["CUE_REJECTED"]
    assert not desk.seen("VOTING_OPEN")
    await desk.close()


@pytest.mark.soak
async def test_directors_that_were_held_do_nothing_twice(start_server: Starter) -> None:
    """One is held while an armed cue is due, its successor while the window closes."""
    first = await asyncio.to_thread(start_server)
    second = await asyncio.to_thread(start_server, {
        "engine.valkey_url": engines(first)["valkey"]["url"], "engine.postgres_url": engines(first)["postgres"]["url"],
        "control.secret_file": str(first.data / "keys" / "control.secret"),
        "auth.private_key_file": str(first.data / "keys" / "signing.pem"),
    })
    here, there = await Viewer.open(first.url), await Viewer.open(second.url)
    first.cue_at_once("SHOW_START", DEMO)
    await here.expect("STATE_UPDATE", revision=1)
    at = iso(round(time.time() * 1000) + 2_000)
    assert first.cue_at_once("VOTING_OPEN", {"duration": 8}, cueId="open", mode="arm", timestamp=at)["armed"]
    async with held(first):
        window = (await there.expect("VOTING_OPEN"))["data"]
        await there.expect("COUNTDOWN", remaining=6)
    await here.expect("COUNTDOWN", remaining=4)
    async with held(second):
        closed = await here.expect("VOTING_CLOSED")
        await here.expect("RESULTS_READY", timeout_s=30)
    await there.expect("RESULTS_READY", timeout_s=30)
    # whatever the two found still to do when they went on, they have looked at before they hear of this
    first.cue_at_once("PERFORMANCE_START", {"contestantId": "c01"})
    for viewer in (here, there):
        async with asyncio.timeout(15):
            while not viewer.seen("STATE_UPDATE")[-1]["data"]["performance"]:
                await viewer.expect("STATE_UPDATE", after=len(viewer.seen("STATE_UPDATE")))
        assert [one["data"]["windowId"] for one in viewer.seen("VOTING_OPEN")] == [window["windowId"]]
        assert [one["offset"] for one in viewer.seen("VOTING_CLOSED")] == [closed["offset"]]
        assert len(viewer.seen("RESULTS_READY")) == 1
        counted = ticks(viewer)
        assert counted == sorted(set(counted), reverse=True)
        states = [state["data"]["revision"] for state in viewer.seen("STATE_UPDATE")]
        assert states == sorted(states)
    assert (closed["data"]["reason"], closed["data"]["closedAt"]) == ("TIMER", window["closesAt"])
    assert ticks(there)[:3] == [8, 7, 6] and ticks(here)[-4:] == [4, 3, 2, 1]
    for viewer in (here, there):
        await viewer.close()
