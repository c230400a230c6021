"""Gates on a real engine: open once, move while open, fence for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as EngineConnectionError

from broadcast_sync.bus.connect import connect
from broadcast_sync.show.model import Stage
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, entries, stage_of, vote
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake


@pytest.fixture(params=[1, 4])
def gates(request: pytest.FixtureRequest, valkey: Redis) -> Gates:
    return Gates(ballot_settings(shards=request.param), valkey)


def window_id_of(stage: Stage) -> str:
    assert stage.window is not None
    return stage.window.window_id


def moved(stage: Stage, seconds: int, revision: int) -> Stage:
    assert stage.window is not None
    window = msgspec.structs.replace(stage.window, hard_closes_ms=stage.window.hard_closes_ms + seconds * 1000)
    return msgspec.structs.replace(stage, window=window, revision=revision)


async def hard_closes(client: Redis, gates: Gates, window_id: str) -> set[int]:
    return {int(await client.hget(keys.gate(window_id), "hardClosesMs") or 0) for keys in gates.shards}


async def test_opening_tells_the_ledger_once_in_every_shard(gates: Gates, valkey: Redis) -> None:
    stage = stage_of(gates.ruleset(None))
    assert stage.window is not None and stage.show is not None
    await gates.opening(stage)
    await gates.opening(stage)
    for keys in gates.shards:
        [(_, fields)] = await entries(valkey, keys)
        assert (fields[b"k"], fields[b"w"].decode()) == (b"o", stage.window.window_id)
        told = msgspec.json.decode(fields[b"d"])
        assert told["showId"] == stage.show.show_id
        assert (told["episode"], told["episodeRef"]) == (1, 7)
        assert (told["opensMs"], told["closesMs"], told["hardClosesMs"]) == (
            stage.window.opens_ms, stage.window.closes_ms, stage.window.hard_closes_ms
        )
        assert (told["ruleset"], told["rulesHash"]) == ("xfactor", stage.window.ruleset.hash)
        assert told["rules"]["freeVotesPerEpisode"] == 5
        assert told["contestants"][0]["photoUrl"] == ""


async def test_times_move_while_open_and_the_newest_revision_wins(gates: Gates, valkey: Redis) -> None:
    stage = stage_of(gates.ruleset(None), revision=2)
    assert stage.window is not None
    hard, window_id = stage.window.hard_closes_ms, window_id_of(stage)
    await gates.opening(stage)
    await gates.changed(moved(stage, 30, 4))
    await gates.changed(moved(stage, 10, 3))
    assert await hard_closes(valkey, gates, window_id) == {hard + 30_000}
    await gates.changed(moved(stage, -20, 5))
    assert await hard_closes(valkey, gates, window_id) == {hard - 20_000}
    await gates.fence(window_id)
    await gates.changed(moved(stage, 600, 6))
    await gates.opening(moved(stage, 600, 7))
    assert await hard_closes(valkey, gates, window_id) == {hard - 20_000}
    assert {await valkey.hget(keys.gate(window_id), "state") for keys in gates.shards} == {b"shut"}


async def test_a_move_makes_no_gate(gates: Gates, valkey: Redis) -> None:
    await gates.changed(stage_of(gates.ruleset(None)))
    await gates.changed(Stage("default"))
    assert await valkey.dbsize() == 0


async def test_opening_needs_a_window(gates: Gates) -> None:
    with pytest.raises(ValueError, match="no window"):
        await gates.opening(Stage("default"))


async def test_nothing_is_accepted_after_the_fence_and_a_second_one_says_the_same(gates: Gates, valkey: Redis) -> None:
    stage = stage_of(gates.ruleset(None))
    assert stage.window is not None
    settings = ballot_settings(shards=len(gates.shards))
    intake = BallotIntake(settings, FixedClock(), valkey, gates, lambda: stage)
    await gates.opening(stage)
    before = [FakeSession(f"u{number}") for number in range(20)]
    after = [FakeSession(f"v{number}") for number in range(20)]
    for session in before:
        intake.handle(session, vote(count=2), stage.window.opens_ms)
    await intake.drain()
    first = await gates.fence(stage.window.window_id)
    for session in after:
        intake.handle(session, vote(), stage.window.opens_ms)
    await intake.drain()

    assert {session.shown[0] for session in after} == {"VOTING_ENDED"}
    second = await gates.fence(stage.window.window_id)
    assert [(fence.last_id, fence.tally) for fence in second] == [(fence.last_id, fence.tally) for fence in first]
    assert sum(fence.refused["VOTING_ENDED"] for fence in second if fence.refused) == 20
    assert sum(sum(fence.tally.values()) for fence in first) == 40
    for fence, keys in zip(first, gates.shards, strict=True):
        assert fence.shard == keys.shard
        [(entry, fields)] = await entries(valkey, keys, "f")
        assert entry == fence.last_id == (await entries(valkey, keys))[-1][0]
        assert msgspec.json.decode(fields[b"d"], type=dict[str, int]) == fence.tally
        assert fields[b"w"].decode() == stage.window.window_id


async def test_a_window_without_gate_or_votes_can_be_fenced(gates: Gates, valkey: Redis) -> None:
    fences = await gates.fence("0198c0de-0000-7000-8000-000000000000")
    assert [fence.tally for fence in fences] == [{}] * len(gates.shards)
    for keys in gates.shards:
        [(_, fields)] = await entries(valkey, keys)
        assert fields[b"d"] == b"{}"


async def test_odd_contestant_ids_survive_the_fence(gates: Gates, valkey: Redis) -> None:
    stage = stage_of(gates.ruleset(None))
    odd = 'វត្ត"\\1'
    keys = gates.shards[0]
    await valkey.hset(keys.tally(window_id_of(stage)), odd, 2**52)
    fences = await gates.fence(window_id_of(stage))
    assert fences[0].tally == {odd: 2**52} == await gates.tallies(window_id_of(stage))
    [(_, fields)] = await entries(valkey, keys, "f")
    assert msgspec.json.decode(fields[b"d"]) == {odd: 2**52}


@pytest.fixture
async def nowhere() -> AsyncIterator[Redis]:
    client = connect("unix:///nowhere/valkey.sock")
    yield client
    await client.aclose()


async def test_engine_errors_pass_through(nowhere: Redis) -> None:
    gates = Gates(ballot_settings(), nowhere)
    with pytest.raises(EngineConnectionError):
        await gates.opening(stage_of(gates.ruleset(None)))
    with pytest.raises(EngineConnectionError):
        await gates.fence("0198c0de-0000-7000-8000-000000000000")
