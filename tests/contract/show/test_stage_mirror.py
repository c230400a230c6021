from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import EngineClock
from broadcast_sync.show.machine import decide
from broadcast_sync.show.mirror import StageMirror
from broadcast_sync.show.orders import (
    Certify,
    CloseByTimer,
    Command,
    EndShow,
    ExtendVoting,
    ReleaseResults,
    StartPerformance,
    StartShow,
)
from broadcast_sync.show.store import Committed, StageStore
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import ContestantUpdate, Countdown, Envelope, VoteUpdate
from broadcast_sync.wire.times import iso
from tests.contract.show.conftest import Seen
from tests.support.deaf import deaf_proxy
from tests.support.engines import RunningEngines
from tests.support.stages import SHOW, open_voting, results_of


async def take(store: StageStore, clock: EngineClock, *commands: Command) -> None:
    for command in commands:
        stage, now_ms = await store.load(), clock.now_ms()
        assert isinstance(await store.commit(stage.revision, decide(stage, command, now_ms), now_ms), Committed)


async def until(condition: Callable[[], bool]) -> None:
    """Looks now and then, as /readyz does: a canary that falls silent tells nobody."""
    while not condition():  # noqa: ASYNC110 - there is no event to await
        await asyncio.sleep(0.02)


def json_of(message: Prepared) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(message.data_json)
    return decoded


def board_of(total: int, clock: EngineClock, window_id: str = "w1", channel: str = "results") -> bytes:
    now_ms = clock.now_ms()
    return msgspec.json.encode(
        Envelope("VOTE_UPDATE", VoteUpdate([], total), iso(now_ms), channel, window_id, now_ms)
    )


def closes_ms(mirror: StageMirror) -> int:
    return mirror.stage.window.closes_ms if mirror.stage.window else 2**62


async def cut(valkey: Redis) -> None:
    """Cuts every subscriber off."""
    await valkey.client_kill_filter(_type="pubsub")


async def test_events_arrive_in_order_and_after_their_stage(
    mirror: StageMirror, store: StageStore, clock: EngineClock, seen: Seen
) -> None:
    seen_open: list[str] = []
    deliver = mirror._on_message

    def check(message: Prepared) -> None:
        if message.type == "VOTING_OPEN":
            seen_open.append(mirror.stage.voting)
        deliver(message)

    mirror._on_message = check
    await take(store, clock, StartShow(SHOW), StartPerformance("c01"), open_voting(90))
    await seen.until(lambda: len(seen.offsets) == 4)
    assert seen.offsets == [1, 2, 3, 4] and seen_open == ["OPEN"]
    assert mirror.stage == await store.load()
    assert mirror.position("show") == (mirror.stage.epoch, 4)
    missed = mirror.replay("show", mirror.stage.epoch, 2)
    assert missed is not None and [message.type for message in missed] == ["VOTING_OPEN", "STATE_UPDATE"]
    assert mirror.replay("results", mirror.stage.epoch, 0) is None
    assert mirror.replay("show", "another", 2) is None


async def test_what_was_missed_while_cut_off_comes_once_and_in_order(
    mirror: StageMirror, store: StageStore, clock: EngineClock, seen: Seen, valkey: Redis
) -> None:
    await take(store, clock, StartShow(SHOW))
    await seen.until(lambda: seen.offsets == [1])
    for last in (4, 7, 10):
        await cut(valkey)
        await take(store, clock, StartPerformance("c01"), EndShow(), StartShow(SHOW))
        await seen.until(lambda last=last: len(seen.offsets) >= last)  # type: ignore[misc]
    assert seen.offsets == list(range(1, 11))


async def test_of_contestants_only_those_who_are_followed_are_passed_on(
    mirror: StageMirror, store: StageStore, clock: EngineClock, seen: Seen, valkey: Redis, keys: StageKeys
) -> None:
    await take(store, clock, StartShow(SHOW), open_voting(90))
    mirror._followed = lambda channel: channel != "contestant:c02"

    def envelope(name: str) -> Envelope:
        update = ContestantUpdate(name, 3, 50.0, 1, 2, "hot")
        return Envelope(update.TYPE, update, "", f"contestant:{name}", "w1", 7)

    for bundle in (b"rubbish", b'{"contestant:c01":{"type":"OF_ANOTHER_VERSION","data":{},"timestamp":""}}'):
        await valkey.publish(keys.contestants_channel, bundle)
    people = {f"contestant:{name}": envelope(name) for name in ("c01", "c02", "c03")}
    await valkey.publish(keys.contestants_channel, msgspec.json.encode(people))
    await seen.until(lambda: len(seen.of("CONTESTANT_UPDATE")) == 2)
    passed = [(one.channel, one.offset, json_of(one)["totalVotes"]) for one in seen.messages if one.epoch == "w1"]
    assert passed == [("contestant:c01", 7, 3), ("contestant:c03", 7, 3)]


async def test_a_contestant_is_known_before_anybody_follows_them(
    mirror: StageMirror, store: StageStore, clock: EngineClock, seen: Seen, valkey: Redis, keys: StageKeys
) -> None:
    await take(store, clock, StartShow(SHOW), open_voting(90))
    mirror._followed = lambda channel: False
    for total in (3, 4):
        update = ContestantUpdate("c01", total, 50.0, 1, 2, "hot")
        told = Envelope(update.TYPE, update, "", "contestant:c01", "w1", total)
        await valkey.publish(keys.contestants_channel, msgspec.json.encode({"contestant:c01": told}))
    await valkey.publish(keys.results_channel, board_of(4, clock))
    await seen.until(lambda: bool(seen.of("VOTE_UPDATE")))
    assert not seen.of("CONTESTANT_UPDATE")
    assert [json_of(one)["totalVotes"] for one in mirror.snapshot("contestant:c01")] == [4]
    assert mirror.snapshot("contestant:c02") == [] and mirror.snapshot("screens:contestant:c01") == []


async def test_a_node_that_comes_later_knows_contestants_from_the_engine(
    store: StageStore, clock: EngineClock, valkey: Redis, keys: StageKeys
) -> None:
    await take(store, clock, StartShow(SHOW), open_voting(90))
    await valkey.set(keys.standing, b"left by the director")
    update = ContestantUpdate("c03", 3, 50.0, 1, 2, "hot")
    told = Envelope(update.TYPE, update, "", "contestant:c03", "w1", 7)
    read: list[bytes] = []

    def contestants(standing: bytes) -> dict[str, bytes]:
        read.append(standing)
        return {"contestant:c03": msgspec.json.encode(told)}

    seen = Seen()
    late = StageMirror(valkey, keys, store, clock, "default", seen, contestants=contestants)
    running = asyncio.create_task(late.run())
    await late.wait_ready()
    assert read == [b"left by the director"]
    assert [one.offset for one in late.snapshot("contestant:c03")] == [7]
    assert not seen.of("CONTESTANT_UPDATE")  # nobody was here before
    await cut(valkey)  # who was cut off may have missed some
    await seen.until(lambda: bool(seen.of("CONTESTANT_UPDATE")))
    assert len(read) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def mute(valkey: Redis) -> StageStore:
    """A store whose events reach nobody by pub/sub."""
    keys = StageKeys("default")
    keys.channel = "nowhere"
    return StageStore(valkey, keys, "default")


async def test_what_the_bus_lost_comes_once_and_in_order(
    mirror: StageMirror, store: StageStore, mute: StageStore, clock: EngineClock, seen: Seen
) -> None:
    """Lost before another event, which shows the gap; lost as the last one, which only the canary can tell."""
    await take(store, clock, StartShow(SHOW))
    await seen.until(lambda: seen.offsets == [1])
    await take(mute, clock, StartPerformance("c01"), EndShow())
    await take(store, clock, StartShow(SHOW))
    await seen.until(lambda: seen.offsets[-1:] == [4])
    await take(mute, clock, open_voting(90))
    await seen.until(lambda: seen.offsets[-1:] == [6])
    assert seen.offsets == [1, 2, 3, 4, 5, 6]
    assert mirror.stage == await store.load() and mirror.stage.voting == "OPEN"
    assert not any(json_of(message)["degraded"] for message in seen.of("STATE_UPDATE"))


async def test_doubled_and_reordered_events_come_once_and_in_order(
    mirror: StageMirror, mute: StageStore, clock: EngineClock, seen: Seen, valkey: Redis, keys: StageKeys
) -> None:
    await take(mute, clock, StartShow(SHOW), StartPerformance("c01"), open_voting(90))
    entries: Any = await valkey.xrange(keys.events)
    events = [fields[b"m"] for _, fields in entries]
    for payload in [*reversed(events), *events, events[0], events[2], events[2]]:
        await valkey.publish(keys.channel, payload)
    await valkey.publish(keys.results_channel, board_of(1, clock))
    await seen.until(lambda: bool(seen.of("VOTE_UPDATE")))
    assert seen.offsets == [1, 2, 3, 4]


async def test_words_that_are_not_the_canarys_are_passed_over(
    mirror: StageMirror, store: StageStore, clock: EngineClock, seen: Seen, valkey: Redis
) -> None:
    await valkey.publish(mirror.canary.channel, b"\xff tweet")
    await valkey.publish(mirror.canary.channel, b'{"epoch": "", "offset": 0}')
    await take(store, clock, StartShow(SHOW))
    await seen.until(lambda: seen.offsets == [1])


async def test_a_dead_subscription_on_a_living_connection_is_replaced(
    valkey: Redis, engines: RunningEngines, keys: StageKeys, clock: EngineClock, store: StageStore, seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broadcast_sync.show.mirror.SILENCE_S", 1.5)
    monkeypatch.setattr("broadcast_sync.show.canary.LATE_MS", 2_000)
    async with deaf_proxy(engines.valkey_url) as proxy:
        client = connect(proxy.url)
        made = StageMirror(client, keys, StageStore(client, keys, "default"), clock, "default", seen)
        task = asyncio.create_task(made.run())
        await made.wait_ready()
        await until(lambda: made.canary.alive and not made.degraded)
        proxy.deaf = True
        await take(store, clock, StartShow(SHOW), StartPerformance("c01"))
        await until(lambda: not made.canary.alive)  # the connection answers its pings all the while
        await seen.until(lambda: seen.offsets == [1, 2])  # connecting anew heals, though nothing is heard yet
        proxy.deaf = False
        await until(lambda: made.canary.alive and not made.degraded)
        assert seen.offsets == [1, 2]
        task.cancel()
        await asyncio.wait([task])
        await client.aclose()


async def test_a_cut_shows_as_degraded_and_heals(mirror: StageMirror, seen: Seen, valkey: Redis) -> None:
    await cut(valkey)

    def said() -> list[bool]:
        return [msgspec.json.decode(message.data_json)["degraded"] for message in seen.of("STATE_UPDATE")]

    await seen.until(lambda: said()[-2:] == [True, False])


async def test_a_node_that_lost_its_place_shows_the_stage_as_it_is(
    mirror: StageMirror, store: StageStore, clock: EngineClock, seen: Seen, valkey: Redis, keys: StageKeys
) -> None:
    await take(store, clock, StartShow(SHOW), StartPerformance("c01"))
    await seen.until(lambda: len(seen.offsets) == 2)
    old = mirror.stage.epoch
    await valkey.flushall()
    await take(store, clock, StartShow(SHOW))
    await seen.until(lambda: mirror.stage.epoch != old and seen.messages[-1].offset is None)
    assert mirror.stage == await store.load()
    assert mirror.replay("show", old, 1) is None
    assert msgspec.json.decode(seen.messages[-1].data_json)["revision"] == 1
    await take(store, clock, EndShow())
    await seen.until(lambda: seen.messages[-1].offset == 2)


async def test_a_new_mirror_starts_level_and_can_replay(
    store: StageStore, clock: EngineClock, valkey: Redis, keys: StageKeys
) -> None:
    await take(store, clock, StartShow(SHOW), open_voting(90))
    seen = Seen()
    mirror = StageMirror(valkey, keys, store, clock, "default", seen)
    task = asyncio.create_task(mirror.run())
    await mirror.wait_ready()
    replayed = mirror.replay("show", mirror.stage.epoch, 0)
    assert replayed is not None and [message.offset for message in replayed] == [1, 2, 3]
    assert seen.offsets == []
    assert [message.type for message in mirror.snapshot("show")] == ["STATE_UPDATE", "TIME_UPDATE"]
    task.cancel()
    await asyncio.wait([task])


async def test_the_countdown_ticks_from_the_nodes_own_clock(
    mirror: StageMirror, store: StageStore, clock: EngineClock, seen: Seen
) -> None:
    await take(store, clock, StartShow(SHOW), open_voting(10))
    await seen.until(lambda: len(seen.of("COUNTDOWN")) >= 2)
    assert [msgspec.json.decode(message.data_json)["remaining"] for message in seen.of("COUNTDOWN")] == [10, 9]
    assert len(seen.of("TIME_UPDATE")) == 1
    await take(store, clock, ExtendVoting(22))
    await seen.until(lambda: len(seen.of("TIME_UPDATE")) == 2)
    assert msgspec.json.decode(seen.of("TIME_UPDATE")[-1].data_json)["remaining"] == 30


async def test_boards_pass_through_and_the_last_is_kept_for_joiners(
    mirror: StageMirror, store: StageStore, seen: Seen, valkey: Redis, keys: StageKeys, clock: EngineClock
) -> None:
    await take(store, clock, StartShow(SHOW), open_voting(90))
    for total in (1, 2):
        await valkey.publish(keys.results_channel, board_of(total, clock))
    await valkey.publish(keys.results_channel, board_of(3, clock, window_id="another"))
    await valkey.publish(keys.results_channel, b"not json")
    await valkey.publish(keys.results_channel, b'{"type":"NEW","data":{},"timestamp":""}')
    await valkey.publish(keys.control_channel, Prepared.of(Countdown(1), clock.now_ms()).json)
    await seen.until(lambda: bool(seen.of("COUNTDOWN")))
    others = [message.channel for message in seen.messages if message.channel != "show"]
    assert others == ["results", "results", "control"]
    assert [json_of(message)["totalVotes"] for message in mirror.snapshot("results")] == [2]


async def test_boards_under_an_embargo_go_beside_the_public_channel_until_the_release(
    mirror: StageMirror, store: StageStore, seen: Seen, valkey: Redis, keys: StageKeys, clock: EngineClock
) -> None:
    await take(store, clock, StartShow(SHOW), open_voting(1, grace_ms=0, visibility="screens"))
    await valkey.publish(keys.results_channel, board_of(1, clock))
    name = "contestant:c01"
    bundle = msgspec.json.encode({name: msgspec.Raw(board_of(1, clock, channel=name))})
    await valkey.publish(keys.contestants_channel, bundle)
    await seen.until(lambda: len(seen.of("VOTE_UPDATE")) == 2)
    assert [message.channel for message in seen.of("VOTE_UPDATE")] == ["screens:results", "screens:contestant:c01"]
    assert mirror.withholding and mirror.snapshot("results") == []
    assert [json_of(message)["totalVotes"] for message in mirror.snapshot("screens:results")] == [1]
    await until(lambda: clock.now_ms() >= closes_ms(mirror))
    await take(store, clock, CloseByTimer("w1"), Certify(results_of("w1"), True))
    await seen.until(lambda: mirror.stage.voting == "CLOSED")
    assert not mirror.stage.released and not seen.of("RESULTS_READY") and mirror.withholding
    await take(store, clock, ReleaseResults())
    await seen.until(lambda: bool(seen.of("RESULTS_READY")))
    assert [message.channel for message in seen.of("VOTE_UPDATE")[2:]] == ["results", "contestant:c01"]
    assert [json_of(message)["totalVotes"] for message in mirror.snapshot("results")] == [1]
    assert mirror.snapshot("screens:results") == [] and not mirror.withholding


async def test_hidden_boards_go_to_nobody_and_a_newcomer_keeps_the_last_for_the_release(
    mirror: StageMirror, store: StageStore, seen: Seen, valkey: Redis, keys: StageKeys, clock: EngineClock
) -> None:
    await take(store, clock, StartShow(SHOW), open_voting(90, visibility="hidden"))
    await valkey.publish(keys.results_channel, board_of(1, clock))
    await valkey.set(keys.board, board_of(2, clock))
    await valkey.publish(keys.control_channel, Prepared.of(Countdown(1), clock.now_ms()).json)
    await seen.until(lambda: bool(seen.of("COUNTDOWN")))
    other = Seen()
    newcomer = StageMirror(valkey, keys, store, clock, "default", other.messages.append)
    running = asyncio.create_task(newcomer.run())
    try:
        await newcomer.wait_ready()
        for node, heard in ((mirror, seen), (newcomer, other)):
            assert not heard.of("VOTE_UPDATE") and node.withholding
            assert node.snapshot("results") == node.snapshot("screens:results") == []
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_countdown_goes_on_while_the_engine_does_not_answer(
    mirror: StageMirror, store: StageStore, clock: EngineClock, seen: Seen, valkey: Redis
) -> None:
    await take(store, clock, StartShow(SHOW), open_voting(10))
    await seen.until(lambda: bool(seen.of("COUNTDOWN")))
    await valkey.client_pause(3_500)
    await seen.until(lambda: mirror.degraded)
    await seen.until(lambda: not mirror.degraded and len(seen.of("COUNTDOWN")) >= 5)
    remaining = [msgspec.json.decode(message.data_json)["remaining"] for message in seen.of("COUNTDOWN")]
    assert remaining == list(range(10, 10 - len(remaining), -1))
    await take(store, clock, StartPerformance("c01"))
    await seen.until(lambda: len(seen.offsets) == 4)
