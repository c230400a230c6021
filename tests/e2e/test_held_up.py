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
