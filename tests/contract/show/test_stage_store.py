from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from redis.asyncio import Redis

from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.show.cues import Remembered
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import Stage
from broadcast_sync.show.orders import EndShow, StartPerformance, StartShow
from broadcast_sync.show.store import Answer, Committed, Conflict, Fenced, Replayed, StageStore
from broadcast_sync.wire.server import CueAck
from tests.support.stages import NOW, SHOW, on_air, open_voting

START = decide(Stage("default"), StartShow(SHOW), NOW)


async def test_nothing_stored_is_revision_0(store: StageStore) -> None:
    assert await store.load() == Stage("default")
    stage, events = await store.load_recent(10)
    assert (stage.revision, events) == (0, [])


async def test_an_empty_stage_has_an_epoch_and_is_begun_once(store: StageStore) -> None:
    await store.begin()
    first = await store.load()
    assert first.epoch and first.revision == 0
    committed = await store.commit(0, decide(first, StartShow(SHOW), NOW), NOW)
    assert isinstance(committed, Committed) and committed.stage.epoch == first.epoch
    await store.begin()
    assert await store.load() == committed.stage


async def test_a_commit_stores_appends_and_publishes_in_order(
    store: StageStore, valkey: Redis, keys: StageKeys
) -> None:
    async with valkey.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(keys.channel)
        await pubsub.get_message(timeout=5)
        first = await store.commit(0, START, NOW)
        assert isinstance(first, Committed)
        opened = await store.commit(1, decide(first.stage, open_voting(), NOW), NOW)
        assert isinstance(opened, Committed)
        published = [(await pubsub.get_message(timeout=5) or {})["data"] for _ in range(3)]
    assert await store.load() == opened.stage
    assert (opened.stage.revision, opened.stage.offset, opened.stage.epoch) == (2, 3, first.stage.epoch)
    envelopes = [msgspec.json.decode(payload) for payload in published]
    assert [(one["type"], one["channel"], one["offset"]) for one in envelopes] == [
        ("STATE_UPDATE", "show", 1), ("VOTING_OPEN", "show", 2), ("STATE_UPDATE", "show", 3),
    ]
    assert {one["epoch"] for one in envelopes} == {opened.stage.epoch}
    stage, events = await store.load_recent(2)
    assert stage == opened.stage and [event.json for event in events] == published[1:]


async def test_of_two_racing_commits_one_wins(store: StageStore, valkey: Redis, keys: StageKeys) -> None:
    outcomes = await asyncio.gather(*(store.commit(0, START, NOW) for _ in range(20)))
    won = [outcome for outcome in outcomes if isinstance(outcome, Committed)]
    assert len(won) == 1 and sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19
    assert await store.load() == won[0].stage
    assert await valkey.xlen(keys.events) == 1


async def test_racing_nodes_lose_nothing(store: StageStore) -> None:
    await store.commit(0, START, NOW)

    async def toggle() -> int:
        done = 0
        while done < 5:
            stage = await store.load()
            command = EndShow() if stage.show else StartShow(SHOW)
            done += isinstance(await store.commit(stage.revision, decide(stage, command, NOW), NOW), Committed)
        return done

    done = await asyncio.gather(*(toggle() for _ in range(4)))
    stage, events = await store.load_recent(100)
    assert stage.revision == 1 + sum(done) == stage.offset
    assert [event.offset for event in events] == list(range(1, stage.offset + 1))


async def test_a_cue_is_answered_the_same_for_ever(store: StageStore, valkey: Redis, keys: StageKeys) -> None:
    remembered = Remembered("SHOW_START", CueAck("q1", 1, "2026-11-21T20:15:00.000Z", 3, False))
    assert isinstance(await store.commit(0, START, NOW, [Answer("demo:1:take:q1", remembered)]), Committed)
    again = await store.commit(0, START, NOW, [Answer("demo:1:take:q1", remembered)])
    assert again == Replayed(remembered)
    assert await store.first_answer("demo:1:take:q1") == remembered
    assert await store.first_answer("demo:2:take:q1") is None and (await store.load()).revision == 1
    life: Any = await valkey.ttl(f"{keys.acks}:demo:1:take:q1")
    assert 86_400 < life <= 2 * 86_400


async def test_a_conflict_leaves_everything_as_it_was(store: StageStore, valkey: Redis, keys: StageKeys) -> None:
    await store.commit(0, START, NOW)
    before: dict[Any, Any] = {key: await valkey.dump(key) for key in await valkey.keys("*")}
    decision = decide(on_air(), StartPerformance("c01"), NOW)
    remembered = Remembered("PERFORMANCE_START", CueAck("q2", 9, "", 0, False))
    assert await store.commit(8, decision, NOW, [Answer("demo:1:take:q2", remembered)]) == Conflict()
    assert {key: await valkey.dump(key) for key in await valkey.keys("*")} == before


async def test_a_director_of_an_older_fencing_number_commits_nothing(
    store: StageStore, valkey: Redis, keys: StageKeys
) -> None:
    await valkey.set(f"{keys.director}:fence", 4)
    before: dict[Any, Any] = {key: await valkey.dump(key) for key in await valkey.keys("*")}
    assert await store.commit(0, START, NOW, token=3) == Fenced()
    assert {key: await valkey.dump(key) for key in await valkey.keys("*")} == before
    assert isinstance(await store.commit(0, START, NOW, token=4), Committed)
