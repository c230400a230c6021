"""A show under churn: afterwards the server holds what it held before: no descriptor, no task, no memory is lost.

`make soak` runs it for SOAK_MINUTES (10) and prints a table; `make test` for some seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from statistics import mean
from typing import Final

import pytest
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

from tests.e2e.conftest import Starter
from tests.e2e.conftest import start_server as start_server
from tests.e2e.test_resume import Operator
from tests.e2e.test_show import DEMO
from tests.soak.churn import Churn, Sample, sample
from tests.support.flock import Flock
from tests.support.process import ServerProcess

MINUTES: Final = float(os.environ.get("SOAK_MINUTES", "10"))
POOLS: Final = 10
"""Connections to the engines that may be made when they are first needed: `[engine] postgres_pool` and two."""
SAMPLES: Final = 5
FLAT_MB: Final = 12.0
"""What the mean of the last third may be above that of the second."""


async def settled(server: ServerProcess, second: float) -> Sample:
    """The least of some samples once everybody has left: a task of a moment is no leak."""
    found: list[Sample] = []
    async with asyncio.timeout(60):
        while len(found) < SAMPLES:
            each = await asyncio.to_thread(sample, server.url, second)
            if each.sockets == 0:
                found.append(each)
            await asyncio.sleep(0.2)
    return min(found, key=lambda each: (each.tasks, each.files))


async def perform(server: ServerProcess, churn: Churn, seconds: float) -> None:
    """Members churn while the control room works."""
    done = asyncio.Event()
    token = server.run("token", "--role", "control").stdout.strip()
    async with connect(f"{server.url.replace('http', 'ws', 1)}/control/sync", compression=None) as console:
        await console.send(json.dumps({"type": "AUTH", "token": token}))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Operator(console).work(done))
            await churn.run(seconds)
            done.set()


@pytest.mark.parametrize(
    ("members", "seconds"),
    [
        pytest.param(150, 8.0, marks=pytest.mark.timeout(120)),
        pytest.param(1_500, MINUTES * 60, marks=[pytest.mark.soak, pytest.mark.timeout(MINUTES * 60 + 600)]),
    ],
)
async def test_nothing_is_lost_under_churn(
    start_server: Starter, capsys: pytest.CaptureFixture[str], members: int, seconds: float
) -> None:
    server = start_server({"hub.drain_timeout_s": 5, "log.level": "warning"})
    tokens = server.tokens(members)
    server.cue("SHOW_START", DEMO)
    server.cue("VOTING_OPEN", {"duration": 3600, "ruleset": "unlimited"})
    flock = Flock(members)
    churn = Churn(flock, server.port, tokens, seed=7)
    await perform(server, churn, 2.0)
    before = await settled(server, 0.0)
    samples: list[Sample] = []
    watching = asyncio.create_task(watch(server, samples, seconds))
    await perform(server, churn, seconds)
    watching.cancel()
    after = await settled(server, seconds)
    faults = [fault for member in flock.members for fault in member.faults]
    refused = {data["code"] for member in flock.members for type_, data in member.answers if type_ == "ERROR"}
    with capsys.disabled():
        show(before, samples, after, churn, flock)
    assert faults == []
    assert any(type_ == "VOTE_ACK" for member in flock.members for type_, _ in member.answers)
    assert refused <= {"BUSY", "TRY_AGAIN", "RATE_LIMIT"}
    assert after.tasks <= before.tasks
    assert after.files <= before.files + POOLS
    third = len(samples) // 3
    if seconds >= 60:
        grown = mean(each.resident_mb for each in samples[-third:])
        grown -= mean(each.resident_mb for each in samples[third : 2 * third])
        assert grown < FLAT_MB


async def watch(server: ServerProcess, samples: list[Sample], seconds: float) -> None:
    """About thirty samples."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        await asyncio.sleep(seconds / 30)
        samples.append(await asyncio.to_thread(sample, server.url, loop.time() - began))


def show(before: Sample, samples: Sequence[Sample], after: Sample, churn: Churn, flock: Flock) -> None:
    table = Table(title=f"{len(flock.members)} members; " + ", ".join(f"{n} {what}" for what, n in churn.done.items()))
    for heading in ("second", "sockets", "resident MB", "files", "tasks"):
        table.add_column(heading, justify="right")
    for each in (before, *samples[:: max(1, len(samples) // 10)], after):
        table.add_row(
            f"{each.second:.0f}", str(each.sockets), f"{each.resident_mb:.1f}", str(each.files), str(each.tasks)
        )
    Console(width=110).print(table)
