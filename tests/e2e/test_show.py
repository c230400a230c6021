"""The whole main job in one process: a cue to every screen, a press to the ledger, exact counts out."""

from __future__ import annotations

import asyncio
import collections
import json
import random

import asyncpg
import pytest

from tests.e2e.conftest import Starter
from tests.support.process import ServerProcess
from tests.support.viewer import Viewer

CONTESTANTS = [f"c{number:02d}" for number in range(1, 13)]
DEMO = {"showId": "demo", "episode": 1}


async def rows(server: ServerProcess) -> list[tuple[str, str, str]]:
    """(vote id, voter, contestant) of every row of the ledger, read past the server."""
    url = json.loads((server.data / "engines.json").read_text())["postgres"]["url"]
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch("SELECT vote_id, voter, contestant_id FROM votes ORDER BY vote_id")
    finally:
        await connection.close()
    return [(str(row["vote_id"]), row["voter"], row["contestant_id"]) for row in found]


@pytest.mark.timeout(120)
async def test_five_hundred_sockets_and_exact_counts(server: ServerProcess) -> None:
    voters = 480
    tokens = server.tokens(voters)
    assert server.cue("SHOW_START", DEMO)["revision"] == 1
    phones = await asyncio.gather(*(Viewer.open(server.url, token=token) for token in tokens))
    screens = await asyncio.gather(*(Viewer.open(server.url, "/voting/results") for _ in range(20)))
    everybody = [*phones, *screens]
    opened = server.cue("VOTING_OPEN", {"duration": 8})
    windows = await asyncio.gather(*(viewer.expect("VOTING_OPEN") for viewer in everybody))
    assert {window["offset"] for window in windows} == {windows[0]["offset"]}
    assert opened["replayed"] is False

    dice = random.Random(1255)
    cast: collections.Counter[str] = collections.Counter()
    acked: set[str] = set()

    async def voter(phone: Viewer) -> None:
        for number in range(5):
            choice = dice.choice(CONTESTANTS)
            answer = await phone.vote(number, choice)
            assert answer["type"] == "VOTE_ACK", answer
            assert answer["data"]["remaining"] == {"free": 4 - number}
            cast[choice] += 1
            acked.add(answer["data"]["voteId"])
        refused = await phone.vote("sixth", dice.choice(CONTESTANTS))
        assert refused["data"]["code"] == "NO_FREE_VOTES"

    await asyncio.gather(*(voter(phone) for phone in phones))
    assert len(acked) == 5 * voters
    for remaining in range(5, 0, -1):
        await screens[0].expect("COUNTDOWN", remaining=remaining)
    closed = await asyncio.gather(*(viewer.expect("VOTING_CLOSED") for viewer in everybody))
    assert {message["data"]["reason"] for message in closed} == {"TIMER"}
    late = await phones[0].vote("late", "c01")
    assert late["type"] == "ERROR"
    results = await asyncio.gather(*(viewer.expect("RESULTS_READY") for viewer in everybody))
    data = results[0]["data"]
    assert all(result["data"] == data for result in results)
    assert data["certified"] is True
    assert data["totalVotes"] == data["ledgerTotal"] == 5 * voters
    assert {row["contestantId"]: row["voteCount"] for row in data["results"]} == {
        contestant: cast[contestant] for contestant in CONTESTANTS
    }
    assert sum(round(row["percentage"] * 10) for row in data["results"]) == 1000
    boards = screens[0].seen("LIVE_RESULTS")
    assert len(boards) >= 5
    assert boards[-1]["data"]["totalVotes"] == 5 * voters
    assert {row[0] for row in await rows(server)} == acked
    recount = json.loads(server.run("recount", "--json").stdout)
    assert recount["outcome"] == "EQUAL"
    await asyncio.gather(*(viewer.close() for viewer in everybody))
    assert server.stop() < 5


@pytest.mark.timeout(120)
async def test_killed_in_mid_window_and_every_acked_vote_counted_once(start_server: Starter) -> None:
    server = start_server({"hub.message_bytes": 16384})
    tokens = server.tokens(60)
    server.cue("SHOW_START", DEMO)
    server.cue("VOTING_OPEN", {"duration": 14})
    phones = [await Viewer.open(server.url, token=token) for token in tokens]
    window = (await phones[0].expect("STATE_UPDATE", voting="OPEN"))["data"]["window"]
    acked: dict[tuple[int, int], str] = {}
    killed = asyncio.Event()

    async def press(voter: int, phone: Viewer) -> None:
        for number in range(5):
            try:
                answer = await phone.vote(number, CONTESTANTS[(voter + number) % 12])
            except Exception as error:  # whatever the client makes of a server that was killed
                assert killed.is_set(), error
                return
            if answer["type"] == "VOTE_ACK":
                acked[voter, number] = answer["data"]["voteId"]
            if len(acked) > 120 and not killed.is_set():
                killed.set()
                await asyncio.to_thread(server.kill)

    await asyncio.gather(*(press(voter, phone) for voter, phone in enumerate(phones)))
    assert killed.is_set()
    await asyncio.to_thread(server.start)

    again = [await Viewer.open(server.url, token=token) for token in tokens]
    state = (await again[0].expect("STATE_UPDATE"))["data"]
    assert (state["voting"], state["window"]["closesAt"]) == ("OPEN", window["closesAt"])
    for voter, phone in enumerate(again):
        for number in range(5):
            answer = await phone.vote(number, CONTESTANTS[(voter + number) % 12])
            assert answer["type"] == "VOTE_ACK", answer
            if (voter, number) in acked:
                assert answer["data"]["replayed"] is True
                assert answer["data"]["voteId"] == acked[voter, number]
            acked[voter, number] = answer["data"]["voteId"]
    result = (await again[0].expect("RESULTS_READY", timeout_s=40))["data"]
    assert result["certified"] is True
    assert result["totalVotes"] == 300
    ledger = await rows(server)
    assert sorted(row[0] for row in ledger) == sorted(acked.values())
    assert len(again[0].seen("VOTING_CLOSED")) == 1
    await asyncio.gather(*(phone.close() for phone in again))


@pytest.mark.timeout(60)
async def test_a_second_start_finds_the_data_of_the_first(start_server: Starter) -> None:
    server = start_server()
    [token] = server.tokens(1)
    server.cue("SHOW_START", DEMO)
    server.cue("VOTING_OPEN", {"duration": 60})
    phone = await Viewer.open(server.url, token=token)
    first = await phone.vote("once", "c07")
    assert server.stop() < 5
    assert await phone.closed() == 4000
    server.start()
    phone = await Viewer.open(server.url, token=token)
    again = await phone.vote("once", "c07")
    assert again["data"] == {**first["data"], "replayed": True}
    server.cue("VOTING_CLOSE")
    result = (await phone.expect("RESULTS_READY"))["data"]
    assert (result["totalVotes"], result["certified"]) == (1, True)
    await phone.close()
    assert server.stop() < 5
