"""SIGTERM to a real server: who is voting goes on voting, then everybody is sent on their way."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.error
from typing import Any

import pytest

from tests.e2e.conftest import Starter
from tests.e2e.test_show import DEMO
from tests.support.process import ServerProcess
from tests.support.viewer import Viewer

pytestmark = pytest.mark.timeout(60)


def terminate(server: ServerProcess) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)


async def ended(server: ServerProcess) -> int:
    assert server.process is not None
    return await asyncio.to_thread(server.process.wait, 30)


async def logged(server: ServerProcess, words: str) -> None:
    """Until the log, which is also the terminal, has it."""
    async with asyncio.timeout(15):
        while words not in server.log.read_text():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.05)


def readiness(server: ServerProcess) -> Any:
    try:
        return server.get("/readyz")
    except urllib.error.HTTPError as error:
        return json.load(error)


async def voters(server: ServerProcess, count: int) -> list[Viewer]:
    await asyncio.to_thread(server.cue, "SHOW_START", DEMO)
    tokens = await asyncio.to_thread(server.tokens, count)
    return [await Viewer.open(server.url, token=token) for token in tokens]


async def test_sigterm_in_an_open_window_waits_for_it_and_then_drains(start_server: Starter) -> None:
    server = await asyncio.to_thread(start_server, {"server.drain_s": 2})
    phones = await voters(server, 12)
    await asyncio.to_thread(server.cue, "VOTING_OPEN", {"duration": 300})
    await phones[-1].expect("VOTING_OPEN")
    terminate(server)
    await logged(server, "drain_refused")
    await logged(server, "SIGTERM while voting is open")
    # as if nothing had been asked: votes are taken, newcomers let in, the balancer is told that all is well
    newcomer = await Viewer.open(server.url)
    await newcomer.expect("STATE_UPDATE", voting="OPEN")
    for number, phone in enumerate(phones):
        assert (await phone.vote(number, "c01"))["type"] == "VOTE_ACK"
    assert (await asyncio.to_thread(readiness, server))["ready"]
    assert not newcomer.seen("RECONNECT")

    await asyncio.to_thread(server.cue, "VOTING_CLOSE")
    slots = [(await phone.expect("RECONNECT", timeout_s=30))["data"]["afterMs"] for phone in (*phones, newcomer)]
    # settled first: everybody has the certified result, with every vote
    for phone in phones:
        assert phone.seen("RESULTS_READY", certified=True, totalVotes=12)
    assert len(set(slots)) > 6 and all(0 <= slot <= 2_000 for slot in slots) and max(slots) - min(slots) > 1_000
    assert {await phone.closed() for phone in (*phones, newcomer)} == {4000}
    assert await ended(server) == 0


async def test_a_second_sigterm_drains_at_once_and_a_third_stops(start_server: Starter) -> None:
    server = await asyncio.to_thread(start_server, {"server.drain_s": 600})
    phones = await voters(server, 3)
    await asyncio.to_thread(server.cue, "VOTING_OPEN", {"duration": 300})
    await phones[0].expect("VOTING_OPEN")
    terminate(server)
    await logged(server, "drain_refused")
    terminate(server)
    for phone in phones:
        assert (await phone.expect("RECONNECT"))["data"]["reason"] == "the server is draining"
    # each has its time until its slot ends, and is served in it
    assert (await phones[0].vote(1, "c01"))["type"] == "VOTE_ACK"
    answer = await asyncio.to_thread(readiness, server)
    assert (answer["ready"], answer["reasons"]) == (False, ["draining"])
    terminate(server)
    assert {await phone.closed() for phone in phones} == {4000}
    assert await ended(server) == 0


async def test_forced_by_the_settings(start_server: Starter) -> None:
    server = await asyncio.to_thread(start_server, {"server.drain_s": 0, "server.force_drain": "true"})
    [phone] = await voters(server, 1)
    await asyncio.to_thread(server.cue, "VOTING_OPEN", {"duration": 300})
    await phone.expect("VOTING_OPEN")
    terminate(server)
    assert await phone.closed() == 4000
    assert await ended(server) == 0
    assert "drain_refused" not in server.log.read_text()
