"""Votes that wait for PostgreSQL: an alarm at half of the budget, TRY_AGAIN at nine tenths, over by itself."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.errors import Refusal
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, brisk, stage_of, vote
from tests.support.ledger import ORG, cast, row
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake
from voting.ledger.pressure import StreamPressure, level

WINDOW = "01a0c1f5-0000-7000-8000-000000000001"


def test_a_full_stream_stays_full_until_a_fifth_is_free() -> None:
    seen: list[str] = []
    state: Any = "OK"
    for share in (0.0, 0.49, 0.5, 0.89, 0.9, 1.3, 0.85, 0.8, 0.79, 0.6, 0.2):
        state = level(share, state)
        seen.append(state)
    assert seen == ["OK", "OK", "ALARM", "ALARM", "FULL", "FULL", "FULL", "FULL", "ALARM", "ALARM", "OK"]


async def test_streams_fill_up_alarm_refuse_and_recover(valkey: Redis) -> None:
    pressure = StreamPressure(valkey, ORG, 2, 1)
    await pressure.look()
    assert (pressure.level, pressure.share) == ("OK", 0.0)
    states = []
    with capture_logs() as logs:
        while not pressure.full:
            for shard in range(2):
                await cast(valkey, WINDOW, [row(client_id=str(n)) for n in range(400)], shard)
            await pressure.look()
            if pressure.level not in states:
                states.append(pressure.level)
        assert states[-2:] == ["ALARM", "FULL"] and 0.9 <= pressure.share < 1.2
        for shard in range(2):
            await valkey.xtrim(ShardKeys(ORG, shard).stream, maxlen=0, approximate=False)
        await pressure.look()
    assert (pressure.level, pressure.share) == ("OK", 0.0)
    assert [(line["state"], line["log_level"]) for line in logs] == [
        ("ALARM", "error"), ("FULL", "critical"), ("OK", "info"),
    ]  # fmt: skip


async def test_no_ballot_is_taken_while_full_and_none_is_lost(valkey: Redis) -> None:
    settings = ballot_settings()
    gates = Gates(settings, valkey, {**Gates(settings, valkey)._rulesets, "brisk": brisk()})
    stage = stage_of(gates.ruleset("brisk"))
    await gates.opening(stage)
    assert stage.window is not None
    clock, full = FixedClock(stage.window.opens_ms + 1), [False]
    ballots = BallotIntake(settings, clock, valkey, gates, lambda: stage, lambda: full[0])
    session = FakeSession()
    ballots.handle(session, vote("b1"), clock.now)
    await ballots.drain()
    full[0] = True
    with pytest.raises(Refusal) as refused:
        ballots.handle(session, vote("b2"), clock.now)
    assert (refused.value.code, refused.value.retryable, refused.value.retry_after) == ("TRY_AGAIN", True, 1.0)
    full[0] = False
    ballots.handle(session, vote("b2"), clock.now)
    await ballots.drain()
    assert session.ids == ["b1", "b2"]
    assert await gates.tallies(stage.window.window_id) == {"c1": 2}
