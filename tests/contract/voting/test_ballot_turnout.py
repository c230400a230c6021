"""Who has voted, and how, as the vote script adds it up: votes by type and the number of voters."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.show.model import Stage
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, brisk, stage_of, vote
from tests.support.engines import RunningEngines
from voting.ballot.gates import Gates, Turnout
from voting.ballot.intake import BallotIntake

SETTINGS = ballot_settings(shards=4, ruleset="brisk")


class Node:
    """An intake over four shards, its window open."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.gates = Gates(SETTINGS, client, {"brisk": brisk()})
        self.stage: Stage = stage_of(self.gates.ruleset(None))
        assert self.stage.window is not None
        self.window = self.stage.window
        self.ballots = BallotIntake(
            SETTINGS, FixedClock(self.window.opens_ms + 1), client, self.gates, lambda: self.stage
        )

    async def cast(self, user: str, id: str, kind: str = "free", count: int = 1) -> FakeSession:
        session = FakeSession(user)
        self.ballots.handle(session, vote(id, kind=kind, count=count), self.window.opens_ms + 1)
        await self.ballots.drain()
        return session

    async def turnout(self) -> Turnout:
        return await self.gates.turnout(self.window.window_id)


@pytest.fixture
async def node(engines: RunningEngines, valkey: Redis) -> AsyncIterator[Node]:
    client = connect(engines.valkey_url)
    made = Node(client)
    await made.gates.opening(made.stage)
    yield made
    await client.aclose()


async def test_votes_are_added_up_by_type_and_voters_count_once(node: Node) -> None:
    assert await node.turnout() == Turnout({}, 0)
    for number in range(20):
        await node.cast(f"u{number}", "a", count=2)
    await node.cast("u1", "a", count=2)  # a retry
    await node.cast("u1", "s", kind="super")
    await node.cast("u2", "b")
    assert await node.turnout() == Turnout({"free": 41, "super": 3}, 20)


async def test_who_was_refused_has_not_voted(node: Node) -> None:
    for id in ("a", "b"):
        await node.cast("u1", id, kind="super")
    assert (await node.cast("u1", "c", kind="super")).shown == ["SUPER_LIMIT"]
    assert await node.turnout() == Turnout({"super": 6}, 1)


async def test_broken_keys_of_it_cost_no_vote(node: Node) -> None:
    for keys in node.gates.shards:
        await node.client.set(keys.types(node.window.window_id), "rubbish")
        await node.client.set(keys.voters(node.window.window_id), "rubbish")
    session = await node.cast("u1", "a")
    assert not isinstance(session.shown[0], str)
    assert sum((await node.gates.tallies(node.window.window_id)).values()) == 1


async def test_it_is_forgotten_with_the_tally(node: Node) -> None:
    await node.cast("u1", "a")
    await node.cast("u1", "b", kind="super")
    for keys in node.gates.shards:
        window = node.window.window_id
        tally, types, voters = [
            await node.client.pexpiretime(key) for key in (keys.tally(window), keys.types(window), keys.voters(window))
        ]
        assert tally == types == voters
