"""Armed cues on a real Valkey: taken once, at their instants, whoever dies; what takes two people."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.leases import Lease
from broadcast_sync.clock import EngineClock
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Control, Settings
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.mirror import StageMirror
from broadcast_sync.show.model import Stage
from broadcast_sync.show.store import StageStore
from broadcast_sync.show.taker import Taker
from broadcast_sync.show.voider import Voider
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck
from broadcast_sync.wire.times import iso
from tests.support.stages import FakeVoids, FakeWindow, intake_of, reader_of

SETTINGS = Settings(control=Control(confirm_s=1.0, late_cue_s=1.0, cues_per_second=1_000))


class Killed(BaseException):
    """The director's process is gone at this step."""


class Steps:
    """A window port whose director dies at a step: before the gates, after them, or after the commit."""

    def __init__(self) -> None:
        self.die_at = ""
        self.opened: list[str] = []

    def ruleset(self, name: str | None) -> Any:
        return FakeWindow().ruleset(name)

    async def opening(self, stage: Stage) -> None:
        if self.die_at == "before the gates":
            raise Killed
        assert stage.window is not None
        self.opened.append(stage.window.window_id)
        if self.die_at == "before the commit":
            raise Killed

    async def changed(self, stage: Stage) -> None:
        if self.die_at == "after the commit":
            raise Killed


class Room:
    """A control room and what its directors need."""

    def __init__(self, valkey: Redis, keys: StageKeys, store: StageStore, mirror: StageMirror) -> None:
        self.valkey, self.keys, self.store, self.mirror = valkey, keys, store, mirror
        self.clock, self.window, self.voids = EngineClock(), Steps(), FakeVoids()
        self.intake: CueIntake = intake_of(SETTINGS, store, self.window, self.clock, self.voids)

    async def cue(self, event: str, data: dict[str, Any] | None = None, by: str = "anna", **more: Any) -> CueAck:
        return await self.intake.submit(
            CueMessage(event, data=data, **more), by=by, received_ms=self.clock.now_ms(), roles={"control"}
        )

    async def refused(self, event: str, data: dict[str, Any] | None = None, by: str = "anna", **more: Any) -> Refusal:
        with pytest.raises(Refusal) as caught:
            await self.cue(event, data, by, **more)
        return caught.value

    async def arm(self, cue_id: str, event: str, data: dict[str, Any] | None = None, in_ms: int = 100) -> CueAck:
        return await self.cue(
            event, data, cue_id=cue_id, mode="arm", timestamp=iso(self.clock.now_ms() + in_ms)
        )

    @contextlib.asynccontextmanager
    async def directing(self, holder: str = "n1") -> AsyncIterator[asyncio.Task[None]]:
        lease = Lease(self.valkey, self.keys.director, holder, ttl_ms=300)
        running = asyncio.create_task(lease.run())
        await lease.wait_held()
        taker = Taker(
            SETTINGS, lease, Fresh(self.mirror), self.store, Execution(self.store, self.window),
            reader_of(SETTINGS, self.window, self.voids), self.clock,
        )
        voider = Voider(lease, Fresh(self.mirror), Execution(self.store, self.window), self.voids, self.clock)
        taking, voiding = asyncio.create_task(taker.run()), asyncio.create_task(voider.run())
        try:
            yield taking
        finally:
            for task in (running, taking, voiding):
                task.cancel()
            await asyncio.gather(running, taking, voiding, return_exceptions=True)

    async def until(self, revision: int) -> Stage:
        while self.mirror.stage.revision < revision:
            await self.mirror.wait_change(self.mirror.stage)
        return self.mirror.stage

    async def log(self) -> list[dict[str, Any]]:
        entries: Any = await self.valkey.xrange(self.keys.cues)
        return [msgspec.json.decode(fields[b"m"]) for _, fields in entries]


@pytest.fixture
async def room(valkey: Redis, keys: StageKeys, store: StageStore, mirror: StageMirror) -> Room:
    made = Room(valkey, keys, store, mirror)
    await made.cue("SHOW_START", {"showId": "demo", "episode": 1}, cue_id="start")
    return made


async def test_an_armed_cue_is_taken_at_its_instant_and_never_before(room: Room) -> None:
    async with room.directing():
        armed = await room.arm("sing", "PERFORMANCE_START", {"contestantId": "c01"}, 120)
        assert armed.armed is True and (await room.store.load()).performance is None
        stage = await room.until(3)
    assert stage.performance is not None and stage.armed == ()
    line = (await room.log())[-1]
    assert (line["outcome"], line["mode"], line["by"], line["cueId"]) == ("executed", "take", "anna", "sing")
    assert line["executedMs"] >= line["dueMs"] and line["latenessMs"] >= line["executedMs"] - line["dueMs"]


async def test_repeats_get_the_first_answer_in_each_mode(room: Room) -> None:
    at = iso(room.clock.now_ms() + 60_000)
    first = await room.cue("SHOW_END", cue_id="end", mode="arm", timestamp=at)
    again = await room.cue("SHOW_END", cue_id="end", mode="arm", timestamp=at)
    assert again == msgspec.structs.replace(first, replayed=True) and again.armed
    gone = await room.cue("SHOW_END", cue_id="end", mode="cancel")
    assert await room.cue("SHOW_END", cue_id="end", mode="cancel") == msgspec.structs.replace(gone, replayed=True)
    assert "was cancelled" in (await room.refused("SHOW_END", cue_id="end")).message
    assert (await room.store.load()).show is not None and len(await room.log()) == 4


async def test_a_cue_with_a_label_to_come_is_armed_and_may_be_taken_by_hand(room: Room) -> None:
    await room.cue("TIMECODE_SET", {"rate": "25", "label": "20:00:00:00"})
    ack = await room.cue("PERFORMANCE_START", {"contestantId": "c01"}, cue_id="sing", timecode="20:01:00:00")
    again = await room.cue("PERFORMANCE_START", {"contestantId": "c01"}, cue_id="sing", timecode="20:01:00:00")
    assert ack.armed and again.armed and again.replayed
    stage = await room.store.load()
    assert stage.reference is not None and stage.armed[0].at_ms == stage.reference.at_ms + 60_000
    assert "other data" in (
        await room.refused("PERFORMANCE_START", {"contestantId": "c02"}, cue_id="sing")
    ).message
    taken = await room.cue("PERFORMANCE_START", cue_id="sing")
    assert not taken.armed and not taken.replayed and (await room.store.load()).armed == ()
    assert (await room.cue("PERFORMANCE_START", cue_id="sing")).replayed


async def test_a_cue_id_that_was_taken_is_not_armed_and_one_of_a_rundown_waits_for_its_frame(room: Room) -> None:
    await room.cue("TIMECODE_SET", {"rate": "25", "label": "20:00:00:00"}, cue_id="clock")
    await room.cue("PERFORMANCE_START", {"contestantId": "c01"}, cue_id="sing")
    at = iso(room.clock.now_ms() + 60_000)
    used = await room.refused("PERFORMANCE_START", {"contestantId": "c01"}, cue_id="sing", mode="arm", timestamp=at)
    assert "has been used" in used.message
    await room.arm("bow", "PERFORMANCE_END", None, 60_000)
    again = await room.cue("PERFORMANCE_END", cue_id="bow", timecode="20:02:00:00")
    assert again.armed and again.replayed
    await room.valkey.delete(f"{room.keys.acks}:demo:1:arm:bow")  # a rundown leaves none
    assert "is armed for" in (await room.refused("PERFORMANCE_END", cue_id="bow", timecode="20:02:00:00")).message
    assert len((await room.store.load()).armed) == 1


@pytest.mark.parametrize("step", ["before the gates", "before the commit", "after the commit"])
async def test_a_director_killed_at_any_step_takes_it_once(room: Room, step: str) -> None:
    room.window.die_at = step
    async with room.directing("n1") as dying:
        if step == "after the commit":
            await room.cue("VOTING_OPEN", {"duration": 600}, cue_id="first")
            await room.arm("q", "VOTING_CLOSE")
        else:
            await room.arm("q", "VOTING_OPEN", {"duration": 600})
        with pytest.raises(Killed):
            await dying
    room.window.die_at = ""
    stage = await room.store.load()
    async with room.directing("n2"):
        await room.until(stage.revision if step == "after the commit" else stage.revision + 1)
    stage = await room.store.load()
    assert stage.armed == () and stage.voting == ("CLOSING" if step == "after the commit" else "OPEN")
    assert stage.window is not None and stage.window.window_id in room.window.opened
    assert [line["outcome"] for line in await room.log() if line["mode"] == "take" and line["cueId"] == "q"] == [
        "executed"
    ]


async def test_what_is_found_too_late_is_refused_and_said(room: Room) -> None:
    await room.arm("late", "PERFORMANCE_START", {"contestantId": "c01"}, 20)
    await asyncio.sleep(1.1)  # nobody directs: longer than late_cue_s
    async with room.directing():
        stage = await room.until(3)
    assert stage.armed == () and stage.performance is None
    line = (await room.log())[-1]
    assert (line["outcome"], line["mode"]) == ("CUE_REJECTED", "drop") and "Too late" in line["message"]
    assert "Too late" in (await room.refused("PERFORMANCE_START", cue_id="late")).message


async def test_what_is_illegal_when_its_time_comes_is_refused_and_the_next_is_taken(room: Room) -> None:
    async with room.directing():
        await room.arm("bad", "PERFORMANCE_END", None, 60)
        await room.arm("good", "PERFORMANCE_START", {"contestantId": "c01"}, 80)
        stage = await room.until(5)
    assert stage.armed == () and stage.performance is not None
    assert [(line["cueId"], line["outcome"]) for line in (await room.log())[-2:]] == [
        ("bad", "CUE_REJECTED"), ("good", "executed")
    ]


async def test_two_directors_take_it_once(room: Room) -> None:
    async with room.directing("n1"):
        lease = Lease(room.valkey, room.keys.director, "n1", ttl_ms=300)
        await lease._take()
        taker = Taker(
            SETTINGS, lease, Fresh(room.mirror), room.store, Execution(room.store, room.window),
            reader_of(SETTINGS, room.window), room.clock,
        )
        second = asyncio.create_task(taker.run())
        for number in range(5):
            await room.arm(f"s{number}", "PERFORMANCE_START", {"contestantId": "c01"}, 60 + 20 * number)
            await room.arm(f"e{number}", "PERFORMANCE_END", None, 70 + 20 * number)
        await room.until(2 + 20 - 1)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
    outcomes = [(line["cueId"], line["outcome"]) for line in await room.log() if line["mode"] in ("take", "drop")][1:]
    assert outcomes == [(f"{kind}{number}", "executed") for number in range(5) for kind in "se"]


async def test_one_asks_and_another_confirms_both_in_the_log(room: Room) -> None:
    await room.cue("VOTING_OPEN", {"duration": 600})
    asked = await room.cue("VOTING_EXTEND", {"seconds": 900}, cue_id="more")
    assert asked.pending and asked.expires_at and (await room.store.load()).window is not None
    assert "Another person" in (await room.refused("VOTING_EXTEND", cue_id="more", mode="confirm")).message
    with pytest.raises(Refusal) as caught:
        await room.intake.submit(
            CueMessage("VOTING_EXTEND", cue_id="more", mode="confirm"), by="eve", received_ms=0
        )
    assert caught.value.code == "FORBIDDEN"
    done = await room.cue("VOTING_EXTEND", cue_id="more", mode="confirm", by="ben")
    assert done.pending is msgspec.UNSET and (await room.cue("VOTING_EXTEND", {"seconds": 900}, cue_id="more")).pending
    assert (await room.cue("VOTING_EXTEND", cue_id="more", mode="confirm", by="ben")).replayed
    window = (await room.store.load()).window
    assert window is not None and window.extended_s == 900
    told = [(line["by"], line["outcome"], line["mode"]) for line in await room.log() if line["cueId"] == "more"]
    assert told == [
        ("anna", "pending", "take"), ("anna", "CUE_REJECTED", "confirm"), ("eve", "FORBIDDEN", "confirm"),
        ("ben", "executed", "confirm"),
    ]


async def test_what_nobody_confirms_expires_and_is_logged(room: Room) -> None:
    await room.cue("VOID", {"reason": "bots", "voters": ["u1"]}, cue_id="v")
    async with room.directing():
        stage = await room.until(3)
    assert stage.pending == () and (await room.log())[-1]["outcome"] == "expired"
    assert room.voids.voided == []


async def test_a_void_is_carried_out_by_the_director_and_tried_again(room: Room) -> None:
    assert "no votes" in (await room.refused("VOID", {"reason": "bots", "voters": ["nobody"]})).message
    await room.cue("VOID", {"reason": "bots", "voters": ["u1", "u2"]}, cue_id="v")
    await room.cue("VOID", cue_id="v", mode="confirm", by="ben")
    room.voids.error = ConnectionError("ledger away")
    async with room.directing("n1"):
        await asyncio.sleep(0.1)
        assert (await room.store.load()).voids
        room.voids.error = None
        stage = await room.until(4)
    assert stage.voids == () and len(room.voids.voided) == 1
    line = (await room.log())[-1]
    assert (line["mode"], line["outcome"]) == ("void", "executed") and line["message"].startswith("2 ballots voided")
    assert [(void.by, void.approved_by) for void in room.voids.voided] == [("anna", "ben")]


async def test_twelve_presses_in_a_second_are_one_effect_with_clear_answers(room: Room) -> None:
    await room.cue("VOTING_OPEN", {"duration": 600})

    async def press() -> str:
        try:
            await room.cue("VOTING_EXTEND", {"seconds": 30})
        except Refusal as refusal:
            return refusal.message
        return "taken"

    answers = await asyncio.gather(*(press() for _ in range(12)))
    assert answers.count("taken") == 1 and set(answers) - {"taken"} == {
        "The window has just been extended; cue it again in a second to extend it further."
    }


@pytest.mark.parametrize(
    ("event", "data", "more", "code"),
    [
        ("VOTING_OPEN", None, {"mode": "arm"}, "BAD_MESSAGE"),
        ("VOTING_OPEN", None, {"mode": "arm", "timecode": "20:00:00:00"}, "CUE_REJECTED"),
        ("VOTING_OPEN", None, {"mode": "arm", "timestamp": "2020-01-01T00:00:00Z"}, "CUE_REJECTED"),
        ("VOTING_OPEN", None, {"mode": "arm", "timestamp": "2999-01-01T00:00:00Z"}, "CUE_REJECTED"),
        ("VOTING_OPEN", {"duration": 0}, {"mode": "arm", "timestamp": "soon"}, "CUE_REJECTED"),
        ("VOTING_EXTEND", {"seconds": 900}, {"mode": "arm", "timestamp": "soon"}, "CUE_REJECTED"),
        ("VOID", {"reason": "bots", "voters": ["u"]}, {"mode": "arm", "timestamp": "soon"}, "CUE_REJECTED"),
        ("FIREWORKS", None, {"mode": "arm", "timestamp": "soon"}, "UNSUPPORTED"),
        ("SHOW_END", None, {"mode": "cancel", "cue_id": "none"}, "CUE_REJECTED"),
        ("SHOW_END", None, {"mode": "confirm", "cue_id": "none"}, "CUE_REJECTED"),
        ("SHOW_END", None, {"show_id": "other"}, "CUE_REJECTED"),
        ("TIMECODE_SET", {"rate": "26"}, {}, "TIMECODE_INVALID"),
        ("TIMECODE_SET", {"rate": "25", "label": "20:00:00;00"}, {}, "TIMECODE_INVALID"),
        ("TIMECODE_SET", {"rate": "25", "at": "yesterday"}, {}, "BAD_MESSAGE"),
    ],
)
async def test_bad_input_is_answered_logged_once_and_changes_nothing(
    room: Room, event: str, data: dict[str, Any] | None, more: dict[str, Any], code: str
) -> None:
    before = await room.store.load()
    if more.get("timestamp") == "soon":
        more = {**more, "timestamp": iso(room.clock.now_ms() + 60_000)}
    assert (await room.refused(event, data, **more)).code == code
    assert await room.store.load() == before
    assert [line["outcome"] for line in await room.log()] == ["executed", code]


async def test_a_label_of_another_rate_is_refused(room: Room) -> None:
    await room.cue("TIMECODE_SET", {"rate": "25"})
    for mode in ("take", "arm"):
        assert (await room.refused("SHOW_END", timecode="20:00:00;00", mode=mode)).code == "TIMECODE_INVALID"
        assert (await room.refused("SHOW_END", timecode="20:00:00:25", mode=mode)).code == "TIMECODE_INVALID"
    assert (await room.store.load()).show is not None


async def test_the_same_cue_id_in_another_show_is_another_cue(room: Room) -> None:
    await room.cue("SHOW_END", cue_id="end")
    assert (await room.cue("SHOW_END", cue_id="end")).replayed
    start = await room.cue("SHOW_START", {"showId": "demo", "episode": 1, "rehearsal": True}, cue_id="start")
    assert not start.replayed
    assert not (await room.cue("SHOW_END", cue_id="end")).replayed
