"""A window takes as many votes as JavaScript can tell apart, to the last one, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.wire.codecs import EXACT
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, brisk, stage_of, vote
from tests.support.engines import RunningEngines
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake

SHARDS = 3
MOST = EXACT // SHARDS


class Node:
    """An intake over three shards."""

    def __init__(self, client: Redis) -> None:
        settings = ballot_settings(shards=SHARDS, ruleset="brisk")
        self.client = client
        self.gates = Gates(settings, client, {"brisk": brisk()})
        self.stage = stage_of(self.gates.ruleset(None))
        assert self.stage.window is not None
        self.window = self.stage.window
        clock = FixedClock(self.window.opens_ms + 1)
        self.ballots = BallotIntake(settings, clock, client, self.gates, lambda: self.stage)

    async def fill(self, room: int) -> None:
        """Leaves the window room for so many votes in each shard."""
        for keys in self.gates.shards:
            for key, of in ((keys.tally(self.window.window_id), "c2"), (keys.types(self.window.window_id), "free")):
                await self.client.delete(key)
                await self.client.hset(key, of, str(MOST - room))

    async def cast(self, *counts: int, kind: str = "free") -> list[object]:
        """Ballots of one voter, in one batch; what each was answered: the votes left, or the refusal's code."""
        session = FakeSession()
        for number, count in enumerate(counts):
            ballot = vote(f"{kind}{number}", kind=kind, count=count)
            self.ballots.handle(session, ballot, self.window.opens_ms + 1)
        await self.ballots.drain()
        return [shown if isinstance(shown, str) else "TAKEN" for shown in session.shown]

    async def total(self) -> int:
        return sum((await self.gates.tallies(self.window.window_id)).values())


@pytest.fixture
async def node(engines: RunningEngines, valkey: Redis) -> AsyncIterator[Node]:
    client = connect(engines.valkey_url)
    made = Node(client)
    await made.gates.opening(made.stage)
    yield made
    await client.aclose()


async def test_the_last_vote_that_can_be_counted_is_and_the_next_is_refused(node: Node) -> None:
    await node.fill(room=3)
    assert await node.cast(2, 2, 1, 1) == ["TAKEN", "INVALID_VOTE_COUNT", "TAKEN", "INVALID_VOTE_COUNT"]
    assert await node.total() == MOST + 2 * (MOST - 3) <= EXACT
    assert await node.cast(2, 2, 1) == ["TAKEN", "INVALID_VOTE_COUNT", "TAKEN"]  # what was taken is answered for ever


async def test_weights_count(node: Node) -> None:
    await node.fill(room=3)
    assert await node.cast(2, 1, kind="super") == ["INVALID_VOTE_COUNT", "TAKEN"]  # super votes weigh three
    assert await node.total() == MOST + 2 * (MOST - 3)


async def test_a_refusal_for_it_takes_nothing_and_is_counted(node: Node) -> None:
    await node.fill(room=0)
    assert await node.cast(1) == ["INVALID_VOTE_COUNT"]
    await node.fill(room=100)
    assert await node.cast(6) == ["TAKEN"]  # the pace of six votes was not touched
    refused = [keys.refused(node.window.window_id) for keys in node.gates.shards]
    told = [await node.client.hget(key, "INVALID_VOTE_COUNT") for key in refused]
    assert [times for times in told if times] == [b"1"]
