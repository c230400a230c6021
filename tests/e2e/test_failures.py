"""Parts are killed in mid-window: what was acknowledged is counted once, and the window closes at its time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.error
from typing import Any

import pytest

from broadcast_sync.wire.times import parse_iso
from tests.e2e.conftest import Starter
from tests.e2e.test_show import CONTESTANTS, DEMO, rows
from tests.support.deaf import deaf_proxy
from tests.support.process import ServerProcess
from tests.support.viewer import Viewer

pytestmark = pytest.mark.timeout(120)


def engines(server: ServerProcess) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((server.data / "engines.json").read_text())
    return found


async def acked(phone: Viewer, number: object, contestant: str) -> str:
    """Votes as an app does: the same id again until there is an answer that is not `try again`."""
    async with asyncio.timeout(20):
        while True:
            answer = await phone.vote(number, contestant)
            if answer["type"] == "VOTE_ACK":
                return str(answer["data"]["voteId"])
            assert answer["data"]["retryable"], answer
            await asyncio.sleep(0.1)


async def test_valkey_and_postgresql_killed_in_mid_window(server: ServerProcess) -> None:
    tokens = server.tokens(40)
    server.cue("SHOW_START", DEMO)
    phones = [await Viewer.open(server.url, token=token) for token in tokens]
    server.cue("VOTING_OPEN", {"duration": 12})
    window = (await phones[0].expect("VOTING_OPEN"))["data"]
    votes: list[str] = []

    async def press(voter: int, phone: Viewer) -> None:
        for number in range(5):
            votes.append(await acked(phone, number, CONTESTANTS[(voter + number) % 12]))
            await asyncio.sleep(0.4)

    async def kill(engine: str, after_votes: int) -> None:
        while len(votes) < after_votes:  # noqa: ASYNC110 - the moment is a count, not an event
            await asyncio.sleep(0.01)
        os.kill(engines(server)[engine]["pid"], signal.SIGKILL)

    await asyncio.gather(
        kill("valkey", 60), kill("postgres", 120), *(press(voter, phone) for voter, phone in enumerate(phones))
    )
    assert len(set(votes)) == 200
    for remaining in range(3, 0, -1):
        await phones[0].expect("COUNTDOWN", remaining=remaining)
    closed = await phones[0].expect("VOTING_CLOSED")
    assert parse_iso(closed["timestamp"]) - parse_iso(window["closesAt"]) < 2_000
    result = (await phones[0].expect("RESULTS_READY", timeout_s=40))["data"]
    assert (result["certified"], result["totalVotes"], result["ledgerTotal"]) == (True, 200, 200)
    assert sorted(row[0] for row in await rows(server)) == sorted(votes)
    assert {phone.seen("VOTING_CLOSED")[0]["offset"] for phone in phones} == {closed["offset"]}
    for phone in phones:
        assert len(phone.seen("VOTING_CLOSED")) == 1
        await phone.close()


async def test_two_nodes_do_one_job_and_one_may_die(start_server: Starter) -> None:
    first = start_server()
    shared = {
        "engine.valkey_url": engines(first)["valkey"]["url"],
        "engine.postgres_url": engines(first)["postgres"]["url"],
    }
    second = start_server(shared)
    # a token of either node's key must be good on both: they trust each other's key file
    second.stop()
    second.environment["BROADCAST_SYNC__AUTH__PRIVATE_KEY_FILE"] = str(first.data / "keys" / "signing.pem")
    second.start()
    tokens = first.tokens(60)
    second.cue("SHOW_START", DEMO)
    here = [await Viewer.open(first.url, token=token) for token in tokens[:30]]
    there = [await Viewer.open(second.url, token=token) for token in tokens[30:]]
    watcher = await Viewer.open(second.url, "/voting/results")
    second.cue("VOTING_OPEN", {"duration": 10})
    assert len({(await phone.expect("VOTING_OPEN"))["offset"] for phone in (*here, *there)}) == 1

    votes = [await acked(phone, 1, "c01") for phone in (*here, *there)]
    # the same voter, the same id, on the other node: the first answer again
    elsewhere = await Viewer.open(second.url, token=tokens[0])
    again = (await elsewhere.vote(1, "c01"))["data"]
    assert (again["voteId"], again["replayed"]) == (votes[0], True)

    await watcher.expect("LIVE_RESULTS", totalVotes=60)
    await asyncio.to_thread(first.kill)
    assert all([await phone.closed() for phone in here])
    votes += [await acked(phone, 2, "c02") for phone in there]
    for remaining in range(3, 0, -1):
        await watcher.expect("COUNTDOWN", remaining=remaining)
    closed = await watcher.expect("VOTING_CLOSED")
    assert closed["data"]["reason"] == "TIMER"
    result = (await watcher.expect("RESULTS_READY", timeout_s=40))["data"]
    assert (result["certified"], result["totalVotes"]) == (True, 90)
    assert len(watcher.seen("VOTING_CLOSED")) == len(watcher.seen("RESULTS_READY")) == 1
    for phone in (*there, elsewhere, watcher):
        await phone.close()
    await asyncio.to_thread(second.stop)
    await asyncio.to_thread(first.start)
    assert sorted(row[0] for row in await rows(first)) == sorted(votes)


async def readiness(server: ServerProcess, ready: bool, reason: str = "") -> None:
    """Asks /readyz until it says so, for that reason among others."""

    def says_so() -> bool:
        try:
            answer = server.get("/readyz")
        except urllib.error.HTTPError as error:
            assert error.code == 503
            answer = json.load(error)
        return answer["ready"] is ready and (not reason or reason in answer["reasons"])

    async with asyncio.timeout(20):
        while not await asyncio.to_thread(says_so):  # noqa: ASYNC110 - a balancer asks again and again as well
            await asyncio.sleep(0.1)


async def test_a_node_that_hears_nothing_is_not_ready_though_its_engine_answers(start_server: Starter) -> None:
    async with deaf_proxy(engines(await asyncio.to_thread(start_server))["valkey"]["url"]) as proxy:
        deaf = await asyncio.to_thread(start_server, {"engine.valkey_url": proxy.url})
        proxy.deaf = True
        await readiness(deaf, False, "the canary did not come back through Valkey")
        proxy.deaf = False
        await readiness(deaf, True)
        await asyncio.to_thread(deaf.stop)
