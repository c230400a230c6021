from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as EngineConnectionError

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import EngineClock
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Control, Settings
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.store import StageStore
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck
from broadcast_sync.wire.times import iso
from tests.support.stages import FakeWindow, intake_of

START = CueMessage("SHOW_START", data={"showId": "demo", "episode": 1})


async def submit(intake: CueIntake, event: str, data: dict[str, Any] | None = None, **more: Any) -> CueAck:
    return await intake.submit(CueMessage(event, data=data, **more), by="anna", received_ms=EngineClock().now_ms())


async def refused(intake: CueIntake, event: str, data: dict[str, Any] | None = None, **more: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await submit(intake, event, data, **more)
    return caught.value


async def start(intake: CueIntake) -> None:
    await submit(intake, "SHOW_START", {"showId": "demo", "episode": 1})


async def log_of(valkey: Redis, keys: StageKeys) -> list[dict[str, Any]]:
    entries: Any = await valkey.xrange(keys.cues)
    return [msgspec.json.decode(fields[b"m"]) for _, fields in entries]


async def test_a_whole_window_by_cue(intake: CueIntake, store: StageStore, window: FakeWindow) -> None:
    await start(intake)
    ack = await submit(intake, "VOTING_OPEN", {"duration": 90}, cue_id="open")
    assert (ack.cue_id, ack.revision, ack.replayed) == ("open", 2, False)
    stage = await store.load()
    assert stage.window is not None and stage.window.closes_ms - stage.window.opens_ms == 90_000
    assert [opened.window for opened in window.opened] == [stage.window]
    await submit(intake, "VOTING_EXTEND", {"seconds": 30})
    await submit(intake, "VOTING_CLOSE")
    stage = await store.load()
    assert [told.voting for told in window.told] == ["OPEN", "CLOSING"] and window.told[-1] == stage


async def test_without_a_duration_the_settings_say(intake: CueIntake, store: StageStore) -> None:
    await start(intake)
    await submit(intake, "VOTING_OPEN")
    stage = await store.load()
    assert stage.window is not None and stage.window.closes_ms - stage.window.opens_ms == 1_800_000


async def test_the_same_cue_id_is_the_same_cue_even_when_illegal(
    intake: CueIntake, store: StageStore, valkey: Redis, keys: StageKeys
) -> None:
    await start(intake)
    first = await submit(intake, "VOTING_OPEN", {"duration": 90}, cue_id="open")
    again = await submit(intake, "VOTING_OPEN", {"duration": 90}, cue_id="open")
    assert again == msgspec.structs.replace(first, replayed=True)
    assert (await store.load()).revision == first.revision
    assert [line["cueId"] for line in await log_of(valkey, keys)].count("open") == 1
    assert "for VOTING_OPEN before" in (await refused(intake, "VOTING_CLOSE", cue_id="open")).message


async def test_the_same_cue_at_the_same_moment_is_taken_once(intake: CueIntake, store: StageStore) -> None:
    await start(intake)
    acks = await asyncio.gather(
        *(submit(intake, "VOTING_OPEN", {"duration": 90}, cue_id="open") for _ in range(5))
    )
    assert {ack.revision for ack in acks} == {2} and sum(not ack.replayed for ack in acks) == 1
    assert (await store.load()).revision == 2


async def test_a_stale_revision_is_told_the_current_one(intake: CueIntake, store: StageStore) -> None:
    await start(intake)
    await submit(intake, "PERFORMANCE_START", {"contestantId": "c01"}, expected_revision=1)
    refusal = await refused(intake, "VOTING_OPEN", expected_revision=1)
    assert (refusal.code, refusal.detail) == ("STALE_REVISION", {"revision": 2})
    assert (await store.load()).voting == "IDLE"


@pytest.mark.parametrize(
    ("event", "data", "more", "code"),
    [
        ("VOTING_CLOSE", None, {}, "CUE_REJECTED"),
        ("SHOW_START", {"showId": "demo", "episode": 1}, {}, "CUE_REJECTED"),
        ("SHOW_START", {"showId": "other", "episode": 1}, {}, "CUE_REJECTED"),
        ("VOTING_OPEN", {"duration": 0}, {}, "CUE_REJECTED"),
        ("VOTING_OPEN", {"duration": 10**9}, {}, "CUE_REJECTED"),
        ("VOTING_OPEN", {"duration": -5}, {}, "CUE_REJECTED"),
        ("VOTING_OPEN", {"duration": True}, {}, "CUE_REJECTED"),
        ("VOTING_OPEN", {"duration": 1.5}, {}, "CUE_REJECTED"),
        ("VOTING_OPEN", {"duration": "90"}, {}, "BAD_MESSAGE"),
        ("VOTING_OPEN", {"ruleset": "roulette"}, {}, "CUE_REJECTED"),
        ("VOTING_OPEN", {"contestants": ["c99"]}, {}, "CUE_REJECTED"),
        ("PERFORMANCE_START", {"contestantId": 5}, {}, "BAD_MESSAGE"),
        ("PERFORMANCE_START", {"contestantId": "a\0b"}, {}, "BAD_MESSAGE"),
        ("ADVANCE_SLOT", None, {}, "CUE_REJECTED"),
        ("ADVANCE_SLOT", {"duration": "long"}, {}, "BAD_MESSAGE"),
        ("FIREWORKS", None, {}, "UNSUPPORTED"),
        ("VOTING_OPEN", None, {"mode": "arm"}, "BAD_MESSAGE"),
        ("VOTING_OPEN", None, {"timecode": "25:00:00:00"}, "TIMECODE_INVALID"),
        ("VOTING_OPEN", None, {"timestamp": "yesterday"}, "BAD_MESSAGE"),
        ("VOTING_OPEN", None, {"timestamp": "2026-11-21T20:15:00"}, "BAD_MESSAGE"),
    ],
)
async def test_a_refused_cue_changes_nothing_and_is_logged(
    event: str, data: dict[str, Any] | None, more: dict[str, Any], code: str,
    intake: CueIntake, store: StageStore, valkey: Redis, keys: StageKeys, window: FakeWindow,
) -> None:
    await start(intake)
    before, events = await store.load(), await valkey.xlen(keys.events)
    refusal = await refused(intake, event, data, **more)
    assert refusal.code == code
    assert await store.load() == before and await valkey.xlen(keys.events) == events
    assert window.opened == []
    line = (await log_of(valkey, keys))[-1]
    assert (line["outcome"], line["event"], line["by"], line["revision"]) == (code, event, "anna", 1)
    assert line["message"] == refusal.message and line["executedMs"] is None


async def test_lateness_is_counted_from_the_control_rooms_time(
    intake: CueIntake, valkey: Redis, keys: StageKeys
) -> None:
    asked = iso(EngineClock().now_ms() - 1_500)
    ack = await submit(
        intake, "SHOW_START", {"showId": "demo", "episode": 1}, timestamp=asked, timecode="20:15:00:12"
    )
    assert 1_500 <= ack.lateness_ms < 5_000
    line = (await log_of(valkey, keys))[-1]
    assert (line["outcome"], line["timecode"], line["showId"]) == ("executed", "20:15:00:12", "demo")


@pytest.mark.parametrize(("ago_ms", "why"), [(6_000, "Too late: it was asked 6."), (-6_000, "ahead: arm it")])
async def test_a_cue_of_another_time_is_not_taken_now(
    ago_ms: int, why: str, intake: CueIntake, store: StageStore, valkey: Redis, keys: StageKeys, window: FakeWindow
) -> None:
    await start(intake)
    before = await store.load()
    asked = iso(EngineClock().now_ms() - ago_ms)
    refusal = await refused(intake, "VOTING_OPEN", {"duration": 90}, cue_id="open", timestamp=asked)
    assert refusal.code == "CUE_REJECTED" and why in refusal.message and not refusal.retryable
    assert await store.load() == before and window.opened == []
    lines = [line for line in await log_of(valkey, keys) if line["cueId"] == "open"]
    assert [(line["outcome"], line["message"]) for line in lines] == [("CUE_REJECTED", refusal.message)]
    # pressed again it is the same cue, in its time
    assert (await submit(intake, "VOTING_OPEN", {"duration": 90}, cue_id="open")).revision == 2


async def test_what_was_taken_in_time_may_be_asked_for_late(intake: CueIntake) -> None:
    await start(intake)
    first = await submit(intake, "VOTING_OPEN", {"duration": 90}, cue_id="open")
    asked = iso(EngineClock().now_ms() - 60_000)
    again = await submit(intake, "VOTING_OPEN", {"duration": 90}, cue_id="open", timestamp=asked)
    assert again == msgspec.structs.replace(first, replayed=True)


async def test_arming_and_taking_back_have_no_effect_now_and_may_be_late(intake: CueIntake, store: StageStore) -> None:
    await start(intake)
    asked = iso(EngineClock().now_ms() - 60_000)
    await submit(intake, "TIMECODE_SET", {"rate": "25", "label": "20:00:00:00"})
    await submit(intake, "VOTING_OPEN", cue_id="open", timestamp=asked, timecode="20:05:00:00")
    assert [cue.cue_id for cue in (await store.load()).armed] == ["open"]
    await submit(intake, "VOTING_OPEN", cue_id="open", timestamp=asked, mode="cancel")
    assert (await store.load()).armed == ()


async def test_too_many_cues_are_slowed_down(store: StageStore, window: FakeWindow, clock: EngineClock) -> None:
    slow = intake_of(Settings(control=Control(cues_per_second=0.01)), store, window, clock)
    await start(slow)
    refusal = await refused(slow, "SHOW_END")
    assert refusal.code == "RATE_LIMIT" and refusal.retry_after


async def test_when_the_window_cannot_be_prepared_nothing_opens(
    intake: CueIntake, store: StageStore, window: FakeWindow
) -> None:
    await start(intake)
    window.error = EngineConnectionError("shard away")
    assert (await refused(intake, "VOTING_OPEN", cue_id="open")).code == "TRY_AGAIN"
    assert (await store.load()).voting == "IDLE"
    window.error = None
    assert not (await submit(intake, "VOTING_OPEN", cue_id="open")).replayed
    assert len({opened.window.window_id for opened in window.opened if opened.window}) == 2


async def test_a_close_stands_even_if_the_window_could_not_be_told(intake: CueIntake, window: FakeWindow) -> None:
    await start(intake)
    await submit(intake, "VOTING_OPEN")
    window.error = EngineConnectionError("shard away")
    assert (await submit(intake, "VOTING_CLOSE")).revision == 3


async def test_an_engine_away_is_try_again(window: FakeWindow, keys: StageKeys, clock: EngineClock) -> None:
    client = connect("redis://127.0.0.1:1/0")
    intake = intake_of(Settings(), StageStore(client, keys, "default"), window, clock)
    assert (await refused(intake, "SHOW_END")).code == "TRY_AGAIN"
    await client.aclose()
