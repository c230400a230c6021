"""A vote that was bought, from the command line to the certificate: credited, cast, refused, counted, journalled."""

from __future__ import annotations

import json
from hashlib import sha256

import asyncpg
import pytest

from tests.e2e.conftest import Starter
from tests.support.process import ServerProcess
from tests.support.viewer import Viewer

pytestmark = pytest.mark.timeout(90)


def credit(server: ServerProcess, *arguments: str) -> dict[str, object]:
    done: dict[str, object] = json.loads(server.run("wallet", "credit", "--voter", "u1", *arguments, "--json").stdout)
    return done


async def test_bought_votes_are_counted_and_journalled(start_server: Starter) -> None:
    server = start_server()
    [token] = server.tokens(1)
    first = credit(server, "--votes", "10", "--key", "order-1")
    assert credit(server, "--votes", "10", "--key", "order-1") == {**first, "replayed": True}
    credit(server, "--votes", "4", "--key", "order-2", "--type", "bundle", "--days", "1")
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    opened = server.cue("VOTING_OPEN", {"duration": 60})
    assert opened["replayed"] is False
    phone = await Viewer.open(server.url, token=token)
    assert phone.seen("AUTH_OK")[0]["data"]["remaining"] == {"free": 5, "paid": 10, "bundle": 4, "sms": 50}
    window = (await phone.expect("STATE_UPDATE", voting="OPEN"))["data"]["window"]
    answers = [
        await phone.vote(number, "c01", voteType=kind, voteCount=count)
        for number, (kind, count) in enumerate((("paid", 7), ("bundle", 4), ("free", 2), ("paid", 4), ("bundle", 1)))
    ]
    assert [answer["data"].get("remaining", answer["data"].get("code")) for answer in answers] == [
        {"free": 5, "paid": 3, "bundle": 4}, {"free": 5, "paid": 3, "bundle": 0}, {"free": 3},
        "INSUFFICIENT_VOTE_BALANCE", "INSUFFICIENT_BUNDLE_VOTES",
    ]
    server.cue("VOTING_CLOSE")
    result = (await phone.expect("RESULTS_READY", timeout_s=30))["data"]
    assert (result["totalVotes"], result["certified"]) == (13, True)
    assert result["certificate"]["refused"] == {"INSUFFICIENT_BUNDLE_VOTES": 1, "INSUFFICIENT_VOTE_BALANCE": 1}
    await phone.close()

    url = json.loads((server.data / "engines.json").read_text())["postgres"]["url"]
    connection = await asyncpg.connect(url)
    held = await connection.fetchrow("SELECT rules_text, rules_hash FROM windows")
    rows = await connection.fetch("SELECT voter, account, sum(votes)::int FROM wallet_entries GROUP BY 1, 2")
    await connection.close()
    assert sha256(held["rules_text"].encode()).hexdigest() == held["rules_hash"] == window["rulesHash"]
    assert {tuple(row)[:2]: row[2] for row in rows} == {
        ("u1", "paid"): 3, ("u1", "bundle"): 0, ("", "issued"): -14, ("", "cast"): 11
    }
    shown = json.loads(server.run("wallet", "show", "--voter", "u1", "--json").stdout)
    assert (shown["paid"], shown["bundle"], [entry["votes"] for entry in shown["entries"]]) == (3, 0, [-4, -7, 4, 10])
