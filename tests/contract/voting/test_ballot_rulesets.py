"""Whole rulesets on a real engine: clips in rounds, SMS by the day, a cap, and a limit that is data only."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import Season, Stage
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.server import ContestantInfo, VoteAck
from tests.support.ballots import BRISK, FakeSession, FixedClock, ballot_settings, stage_of, vote
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake
from voting.ballot.library import parse, shipped
from voting.ballot.ruleset import RulesetData

HOUR = 3_600_000
CLIPS = tuple(ContestantInfo(f"clip-{n}", n, f"Clip {n}", "", "active", category="ABC"[n % 3]) for n in range(1, 251))


class Booth:
    """One node whose stage the test moves; a voter's ballot arrives when the test says."""

    def __init__(self, client: Redis, data: RulesetData, shards: int = 1, stage: Stage | None = None) -> None:
        settings = ballot_settings(shards=shards, ruleset=data.name)
        self.gates = Gates(settings, client, {data.name: data})
        self.clock = FixedClock()
        self.stage = stage or self._stage()
        self.intake = BallotIntake(settings, self.clock, client, self.gates, lambda: self.stage)
        self.clock.now = self.opens_ms

    def _stage(self) -> Stage:
        made = stage_of(self.gates.ruleset(None), seconds=80_000, show_id="film")
        assert made.show is not None and made.window is not None
        return msgspec.structs.replace(
            made, show=msgspec.structs.replace(made.show, contestants=CLIPS, timezone="Asia/Phnom_Penh"),
            window=msgspec.structs.replace(made.window, contestants=CLIPS, round=1),
            season=Season("season-1", "film", 75, 1, 80_000),
        )

    @property
    def opens_ms(self) -> int:
        assert self.stage.window is not None
        return self.stage.window.opens_ms

    async def round(self, number: int, season: str = "season-1") -> None:
        """Another window of the same show, of this round."""
        made = self._stage()
        assert made.window is not None and made.season is not None
        window = msgspec.structs.replace(made.window, round=number, opens_ms=self.opens_ms)
        self.stage = msgspec.structs.replace(
            self.stage, window=window, season=msgspec.structs.replace(made.season, id=season, slot=number)
        )
        await self.gates.opening(self.stage)

    def put(self, session: FakeSession, clip: int, kind: str = "standard", at_ms: int = 0, **more: Any) -> None:
        ballot = vote(f"{clip}-{kind}-{at_ms}-{len(session.answers)}", f"clip-{clip}", kind, **more)
        try:
            self.intake.handle(session, ballot, self.opens_ms + at_ms)
        except Refusal as refusal:
            session.refuse(refusal)

    async def press(
        self, session: FakeSession, clip: int, kind: str = "standard", at_ms: int = 0, **more: Any
    ) -> object:
        """What is left, or the code of the refusal."""
        self.put(session, clip, kind, at_ms, **more)
        await self.intake.drain()
        answer = session.answers[-1]
        return answer.remaining if isinstance(answer, VoteAck) else answer.code

    async def tallies(self) -> dict[str, int]:
        assert self.stage.window is not None
        return await self.gates.tallies(self.stage.window.window_id)


@pytest.fixture
async def film(valkey: Redis) -> Booth:
    booth = Booth(valkey, shipped()["hybrid"])
    await booth.gates.opening(booth.stage)
    return booth


async def test_one_vote_a_clip_and_one_super_and_mega_a_round(film: Booth) -> None:
    session = FakeSession()
    assert await film.press(session, 1) == {"round": 29, "standard": 199, "super": 1, "mega": 1}
    assert await film.press(session, 1) == "ALREADY_VOTED"
    assert await film.press(session, 1, "mega") == "ALREADY_VOTED"
    assert await film.press(session, 2, "super") == {"round": 28, "standard": 198, "super": 0, "mega": 1}
    assert await film.press(session, 3, "super") == "SUPER_LIMIT"
    assert await film.press(session, 3, "mega") == {"round": 27, "standard": 197, "super": 0, "mega": 0}
    assert await film.press(session, 4, "mega") == "MEGA_LIMIT"
    assert await film.press(session, 4, count=2) == "INVALID_VOTE_COUNT"
    assert await film.press(session, 4, "free") == "INVALID_VOTE_TYPE"
    assert await film.press(session, 999) == "INVALID_CONTESTANT"
    assert await film.tallies() == {"clip-1": 1, "clip-2": 3, "clip-3": 10}
    assert session.identity is not None
    assert await film.intake.voted(session.identity) == {"clip-1", "clip-2", "clip-3"}
    assert await film.intake.voted(Identity("u2", "default", frozenset({"user"}), 2**52)) == set()
    refused = [refusal for refusal in session.answers if isinstance(refusal, Refusal)]
    assert {refusal.code: refusal.status for refusal in refused if refusal.code.endswith(("VOTED", "LIMIT"))} == {
        "ALREADY_VOTED": 409, "SUPER_LIMIT": 429, "MEGA_LIMIT": 429,
    }


async def test_thirty_clips_a_round_and_each_round_anew(film: Booth) -> None:
    session = FakeSession()
    for clip in range(1, 31):
        film.put(session, clip, "super" if clip == 1 else "standard")
    await film.intake.drain()
    assert all(isinstance(answer, VoteAck) for answer in session.answers)
    assert await film.press(session, 31) == "ROUND_LIMIT"
    assert await film.press(session, 30) == "ALREADY_VOTED"
    await film.round(2)
    assert await film.press(session, 30) == "ALREADY_VOTED"
    assert await film.press(session, 31, "super") == {"round": 29, "standard": 169, "super": 0, "mega": 1}
    await film.round(1, season="season-2")
    assert await film.press(session, 32, "super") == {"round": 29, "standard": 168, "super": 0, "mega": 1}


async def test_two_hundred_votes_a_day_of_the_show(film: Booth) -> None:
    session = FakeSession()
    midnight = 24 * HOUR - (film.opens_ms + 7 * HOUR) % (24 * HOUR)
    at_ms = midnight - 1 if midnight > 1 else midnight + 1
    for round in range(1, 8):
        if round > 1:
            await film.round(round)
        for clip in range(30 * round - 29, min(30 * round, 200) + 1):
            film.put(session, clip, at_ms=at_ms)
        await film.intake.drain()
    assert sum(isinstance(answer, VoteAck) for answer in session.answers) == 200
    assert await film.press(session, 201, at_ms=at_ms) == "DAILY_LIMIT"
    assert await film.press(session, 201, at_ms=midnight) == {"round": 9, "standard": 199, "super": 1, "mega": 1}


async def test_two_nodes_and_one_clip(film: Booth, valkey: Redis) -> None:
    other = Booth(valkey, shipped()["hybrid"], stage=film.stage)
    for number in range(20):
        sessions = [FakeSession(f"v{number}"), FakeSession(f"v{number}")]
        for booth, session, kind in zip((film, other), sessions, ("standard", "super"), strict=True):
            booth.put(session, 1, kind)
        await asyncio.gather(film.intake.drain(), other.intake.drain())
        shown = [session.shown[0] for session in sessions]
        assert shown.count("ALREADY_VOTED") == 1


async def test_sms_votes_need_a_phone_and_end_with_the_day(valkey: Redis) -> None:
    booth = Booth(valkey, shipped()["xfactor"])
    await booth.gates.opening(booth.stage)
    session = FakeSession()
    assert await booth.press(session, 1, "sms") == "PHONE_NOT_VERIFIED"
    session.identity = Identity("u1", "default", frozenset({"user"}), 2**52, phone_verified=True)
    assert await booth.press(session, 1, "sms", count=49) == {"free": 5, "sms": 1}
    assert await booth.press(session, 1, "sms", count=2) == "SMS_LIMIT"
    assert await booth.press(session, 1, "sms", at_ms=60_000) == {"free": 5, "sms": 0}
    midnight = 24 * HOUR - (booth.opens_ms + 7 * HOUR) % (24 * HOUR)
    assert await booth.press(session, 1, "sms", at_ms=midnight + 120_000) == {"free": 5, "sms": 49}


async def test_never_more_than_a_hundred_votes_in_any_minute(valkey: Redis) -> None:
    data = parse(shipped()["xfactor"].canonical().replace(b'"limit":5,', b'"limit":5000,'), "x.json")
    booth = Booth(valkey, data)
    await booth.gates.opening(booth.stage)
    session = FakeSession()
    times = range(0, 180_000, 450)
    answers = [await booth.press(session, 1, "free", at_ms) for at_ms in times]
    taken = [at_ms for at_ms, answer in zip(times, answers, strict=True) if answer != "RATE_LIMIT"]
    assert max(sum(at <= other < at + 60_000 for other in taken) for at in taken) == 100
    assert len(taken) >= 290  # the price of the slots is small


async def test_a_pace_lets_a_burst_pass_and_then_one_at_its_time(valkey: Redis) -> None:
    text = BRISK.replace("burst = 6", "burst = 2").replace("vote_count = 6", "vote_count = 1")
    booth = Booth(valkey, parse(text, "x"))
    await booth.gates.opening(booth.stage)
    session = FakeSession()  # six in ten seconds: one each 1666 ms and two thirds
    answers = [await booth.press(session, 1, "free", at_ms) for at_ms in (0, 0, 1666, 1667, 3333, 3334)]
    assert [answer == "RATE_LIMIT" for answer in answers] == [False, False, True, False, True, False]
    refusal = session.answers[2]
    assert isinstance(refusal, Refusal) and refusal.retry_after == 0.001


@pytest.mark.parametrize("shards", [1, 4])
async def test_a_cap_holds_for_all_voters_together(valkey: Redis, shards: int) -> None:
    cap = '\n[[types.free.claims]]\nkind = "cap"\nname = "all"\nlimit = 40\nperiod_s = 60\n'
    booth = Booth(valkey, parse(BRISK.replace("[types.super]", f"{cap}[types.super]"), "x"), shards)
    await booth.gates.opening(booth.stage)
    sessions = [FakeSession(f"v{number}") for number in range(400)]
    for session in sessions:
        booth.put(session, 1, "free")
        booth.put(session, 2, "super")
    await booth.intake.drain()
    assert await booth.tallies() == {"clip-1": 40, "clip-2": 1200}
    refused = [session.answers[0] for session in sessions if isinstance(session.answers[0], Refusal)]
    assert {refusal.code for refusal in refused} == {"RATE_LIMIT"}
    assert await booth.press(sessions[-1], 1, "free", 59_999) == "RATE_LIMIT"
    assert await booth.press(sessions[-1], 1, "free", 60_000) == {"free": 11, "super": 1}


async def test_a_limit_that_nobody_thought_of_needs_no_code(valkey: Redis) -> None:
    hourly = """
[[types.free.claims]]
kind = "rate"
name = "hourly"
scope = "show"
per = "category"
limit = 3
period_s = 3600
counts = "ballots"
code = "ROUND_LIMIT"
"""
    booth = Booth(valkey, parse(BRISK.replace("[types.super]", f"{hourly}[types.super]"), "x"))
    await booth.gates.opening(booth.stage)
    session = FakeSession()
    for clip in (1, 4, 7):  # all of category B
        assert isinstance(await booth.press(session, clip, "free"), dict)
    assert await booth.press(session, 10, "free") == "ROUND_LIMIT"
    refusal = session.answers[-1]
    assert isinstance(refusal, Refusal) and refusal.retry_after == 3600.0
    assert isinstance(await booth.press(session, 2, "free", 1), dict)
    assert await booth.press(session, 13, "free", HOUR - 1) == "ROUND_LIMIT"
    assert isinstance(await booth.press(session, 13, "free", HOUR), dict)


async def test_a_node_that_does_not_ship_the_rules_takes_votes_by_the_window(valkey: Redis) -> None:
    film = Booth(valkey, parse(BRISK, "brisk"))
    await film.gates.opening(film.stage)
    other = Booth(valkey, shipped()["hybrid"], stage=film.stage)
    assert await other.press(FakeSession(), 1, "free") == {"free": 11, "super": 2}
