"""Votes voided by a cue, live: two people in the control room, on a real ledger, until the certificate says so."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.e2e.test_failures import engines
from tests.e2e.test_show import DEMO
from tests.support.process import ServerProcess
from tests.support.viewer import Message, Viewer

pytestmark = pytest.mark.timeout(90)


async def says(desk: Viewer, **cue: Any) -> Message:
    """The CUE_ACK or ERROR of a cue given at `desk`."""
    before = len(desk.messages)
    await desk.send({"type": "CUE", "event": "VOID", **cue})
    while True:
        for message in desk.messages[before:]:
            if message["type"] in ("CUE_ACK", "ERROR"):
                return message
        await desk.expect("TALLY", after=len(desk.seen("TALLY")))


async def tallied(desk: Viewer, total: int) -> Message:
    """The next tally with that total and a recount that agrees with it."""
    number = len(desk.seen("TALLY"))
    while True:
        data: Message = (await desk.expect("TALLY", after=number))["data"]
        if (data["totalVotes"], data["recount"]) == (total, "EQUAL"):
            return data
        number += 1


async def test_two_people_void_a_voters_votes_and_the_result_carries_it(server: ServerProcess) -> None:
    (anna, ben), bots = server.tokens(2, "control", "desk"), server.tokens(2)
    first, second = [await Viewer.open(server.url, "/control/sync", token) for token in (anna, ben)]
    server.cue_at_once("SHOW_START", DEMO)
    server.cue_at_once("VOTING_OPEN", {"duration": 60})
    window = (await first.expect("VOTING_OPEN"))["data"]["windowId"]
    phones = [await Viewer.open(server.url, token=token) for token in bots]
    for number in range(3):
        assert (await phones[0].vote(number, "c01"))["type"] == "VOTE_ACK"
    assert (await phones[1].vote(0, "c02"))["type"] == "VOTE_ACK"
    await tallied(first, 4)

    void = {"reason": "a bot farm", "voters": ["u1"], "windowId": window}
    nobody = await says(first, cueId="v0", data={**void, "voters": ["nobody"]})
    assert (nobody["data"]["code"], nobody["data"]["cueId"]) == ("CUE_REJECTED", "v0")
    asked = await says(first, cueId="v1", data=void)
    assert asked["data"]["pending"] is True
    own = await says(first, cueId="v1", mode="confirm")
    assert own["data"]["code"] == "CUE_REJECTED" and "Another person" in own["data"]["message"]
    assert (await tallied(first, 4))["pending"][0]["by"] == "desk1"
    agreed = await says(second, cueId="v1", mode="confirm")
    assert agreed["type"] == "CUE_ACK"
    left = await tallied(second, 1)
    assert left["pending"] == []
    lines = [(line["mode"], line["outcome"], line["message"]) for line in left["cues"] if line["cueId"] == "v1"]
    assert ("void", "executed", "3 ballots voided; approved by desk2") in lines and len(lines) == 4
    assert (await phones[0].vote(9, "c03"))["type"] == "VOTE_ACK"  # a voter is not banned by it

    server.cue_at_once("VOTING_CLOSE")
    result = (await phones[0].expect("RESULTS_READY", timeout_s=30))["data"]
    counts = {row["contestantId"]: row["voteCount"] for row in result["results"] if row["voteCount"]}
    assert counts == {"c02": 1, "c03": 1}
    assert (result["certified"], result["totalVotes"], result["ledgerTotal"]) == (True, 2, 2)
    certificate = result["certificate"]
    assert (certificate["voided"], certificate["voidedBallots"]) == ({"c01": 3}, 3)
    connection = await asyncpg.connect(engines(server)["postgres"]["url"])
    kept = await connection.fetch("SELECT reason, voided_by, approved_by, votes FROM voids")
    await connection.close()
    assert [tuple(row) for row in kept] == [("a bot farm", "desk1", "desk2", 1)] * 3
    for viewer in (first, second, *phones):
        await viewer.close()
