"""Every refused ballot is counted by its code, once: by the script, or by the node and reported to the engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as EngineConnectionError

from broadcast_sync.errors import Refusal
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, stage_of, vote
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake
from voting.ballot.refusals import WINDOWS_MAX, Refusals


@pytest.mark.parametrize("shards", [1, 4])
async def test_the_fence_knows_every_refusal_by_its_code(valkey: Redis, shards: int) -> None:
    settings = ballot_settings(shards=shards)
    gates = Gates(settings, valkey)
    stage = stage_of(gates.ruleset(None))
    assert stage.window is not None
    nodes = [BallotIntake(settings, FixedClock(), valkey, gates, lambda: stage) for _ in range(2)]
    await gates.opening(stage)
    opens, sessions = stage.window.opens_ms, [FakeSession(f"u{number}") for number in range(20)]
    for number, session in enumerate(sessions):
        node = nodes[number % 2]
        for ballot in (vote("a", count=5), vote("b"), vote("c", kind="paid"), vote("d", "nobody"), vote("e", "c3")):
            try:
                node.handle(session, ballot, opens)
            except Refusal as refusal:
                session.refuse(refusal)
        node.handle(session, vote("f"), opens - 1)
        node.handle(session, vote("g"), stage.window.hard_closes_ms + 1)
    for node in nodes:
        await node.drain()
    refused: Counter[str] = Counter()
    for fence in await gates.fence(stage.window.window_id):
        refused.update(fence.refused)
    assert refused == {
        "NO_FREE_VOTES": 20, "INSUFFICIENT_VOTE_BALANCE": 20, "INVALID_CONTESTANT": 20, "CONTESTANT_ELIMINATED": 20,
        "VOTING_CLOSED": 20, "VOTING_ENDED": 20,
    }
    answered = Counter(
        answer.code for session in sessions for answer in session.answers if isinstance(answer, Refusal)
    )
    assert answered == refused
    assert sum(sum(node.metrics.refused.values()) for node in nodes) == refused.total()


async def test_a_replay_is_no_refusal(valkey: Redis) -> None:
    gates = Gates(ballot_settings(), valkey)
    stage = stage_of(gates.ruleset(None))
    assert stage.window is not None
    intake = BallotIntake(ballot_settings(), FixedClock(), valkey, gates, lambda: stage)
    await gates.opening(stage)
    for _ in range(3):
        intake.handle(FakeSession(), vote(), stage.window.opens_ms)
    await intake.drain()
    [fence] = await gates.fence(stage.window.window_id)
    assert fence.refused == {}


class Deaf:
    """An engine whose answers get lost, the first `losses` times."""

    def __init__(self, client: Redis, losses: int) -> None:
        self.client = client
        self.losses = losses

    async def script_load(self, source: str) -> Any:
        return await self.client.script_load(source)

    async def evalsha(self, *arguments: Any) -> Any:
        answer = await self.client.evalsha(*arguments)
        if self.losses:
            self.losses -= 1
            raise EngineConnectionError("lost on the way")
        return answer


async def test_a_report_whose_answer_is_lost_is_added_once(valkey: Redis) -> None:
    gates = Gates(ballot_settings(), valkey)
    [keys] = gates.shards
    refusals = Refusals(Deaf(valkey, 2), keys)  # type: ignore[arg-type]  # as much of a client as is used
    for code in ("INVALID_CONTESTANT", "INVALID_CONTESTANT", "BUSY"):
        refusals.count("w", code)
    for _ in range(2):
        with pytest.raises(EngineConnectionError):
            await refusals.flush()
        refusals.count("w", "BUSY")
    await asyncio.gather(refusals.flush(), refusals.flush())
    await refusals.flush()
    assert await valkey.hgetall(keys.refused("w")) == {b"INVALID_CONTESTANT": b"2", b"BUSY": b"3"}
    assert await valkey.pttl(keys.refused("w")) > 0 and await valkey.pttl(keys.refusers("w")) > 0


async def test_windows_beyond_the_bound_are_given_up_oldest_first(valkey: Redis) -> None:
    [keys] = Gates(ballot_settings(), valkey).shards
    refusals = Refusals(valkey, keys)
    for number in range(WINDOWS_MAX + 1):
        refusals.count(f"w{number}", "BUSY")
    await refusals.flush()
    assert not await valkey.exists(keys.refused("w0"))
    assert await valkey.hgetall(keys.refused(f"w{WINDOWS_MAX}")) == {b"BUSY": b"1"}
