"""Any sequence of ballots gives the same accepts, refusals and remainders on the engine as in a plain model."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from broadcast_sync.bus.connect import connect
from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import Stage
from broadcast_sync.wire.server import VoteAck
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, brisk, rows, stage_of, vote
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake

HARD_MS = 25_000


class Press(Struct, frozen=True):
    """One ballot of a sequence; `pause_ms` after the one before, `settle` if its answer is awaited."""

    voter: str
    id: str
    contestant: str
    kind: str
    count: int
    pause_ms: int
    settle: bool


presses = st.builds(
    Press,
    voter=st.sampled_from(["u1", "u2", "u3"]),
    id=st.sampled_from([f"b{number}" for number in range(12)]),
    contestant=st.sampled_from(["c1", "c1", "c1", "c2", "c2", "c3", "nobody"]),
    kind=st.sampled_from(["free"] * 6 + ["super", "super", "paid"]),
    count=st.sampled_from([1] * 6 + [2, 3, 6, 0, -1, 7, 2**63]),
    pause_ms=st.sampled_from([-1, 0, 0, 1, 600, 1666, 1667, 5000, 12_000]),
    settle=st.booleans(),
)


class Model:
    """The rules `brisk`, said once more in plain Python. Answers like FakeSession.shown, without the vote id."""

    def __init__(self) -> None:
        self.first: dict[tuple[str, str], dict[str, int]] = {}
        self.used: dict[tuple[str, str], int] = {}
        self.arrival: dict[str, float] = {}
        self.tally: dict[str, int] = {}

    def answer(self, press: Press, at_ms: int) -> object:
        before = self.first.get((press.voter, press.id))
        if at_ms <= HARD_MS:
            if refused := self._rules(press):
                return refused
        if before is not None:
            return before, True
        if at_ms < 0:
            return "VOTING_CLOSED"
        if at_ms > HARD_MS:
            return "VOTING_ENDED"
        limit, weight, code = {"free": (12, 1, "NO_FREE_VOTES"), "super": (2, 3, "SUPER_LIMIT")}[press.kind]
        arrival = max(self.arrival.get(press.voter, 0), at_ms) + press.count * 10_000 / 6
        if arrival - at_ms > 10_000.01:
            return "RATE_LIMIT"
        used = self.used.get((press.voter, press.kind), 0) + press.count
        if used > limit:
            return code
        self.arrival[press.voter] = arrival
        self.used[press.voter, press.kind] = used
        self.tally[press.contestant] = self.tally.get(press.contestant, 0) + press.count * weight
        left = {"free": 12, "super": 2}
        for kind in left:
            left[kind] -= self.used.get((press.voter, kind), 0)
        self.first[press.voter, press.id] = left
        return left, False

    def _rules(self, press: Press) -> str | None:
        if press.kind == "paid":
            return "INVALID_VOTE_TYPE"
        if press.contestant == "nobody":
            return "INVALID_CONTESTANT"
        if press.contestant == "c3":
            return "CONTESTANT_ELIMINATED"
        return None if 1 <= press.count <= 6 else "INVALID_VOTE_COUNT"


async def play(url: str, sequence: list[Press], shards: int) -> None:
    client = connect(url)
    try:
        gates = Gates(ballot_settings(shards=shards, ruleset="brisk"), client, {"brisk": brisk()})
        stage = stage_of(gates.ruleset(None), seconds=20)
        intake = BallotIntake(ballot_settings(), FixedClock(), client, gates, lambda: stage)
        await client.flushall()
        await gates.opening(stage)
        model = Model()
        expected, sessions = await press_all(intake, stage, model, sequence)
        assert [said(session) for session in sessions] == expected
        await check_books(gates, stage, model, sessions)
    finally:
        await client.aclose()


async def press_all(
    intake: BallotIntake, stage: Stage, model: Model, sequence: list[Press]
) -> tuple[list[object], list[FakeSession]]:
    assert stage.window is not None
    expected: list[object] = []
    sessions: list[FakeSession] = []
    at_ms = 0
    for press in sequence:
        at_ms += press.pause_ms
        session = FakeSession(press.voter)
        try:
            ballot = vote(press.id, press.contestant, press.kind, press.count)
            intake.handle(session, ballot, stage.window.opens_ms + at_ms)
        except Refusal as refusal:
            session.refuse(refusal)
        expected.append(model.answer(press, at_ms))
        sessions.append(session)
        if press.settle:
            await intake.drain()
    await intake.drain()
    return expected, sessions


def said(session: FakeSession) -> object:
    [answer] = session.answers
    return answer.code if isinstance(answer, Refusal) else _ack(answer)


def _ack(answer: VoteAck) -> tuple[dict[str, int], bool]:
    return answer.remaining, answer.replayed


async def check_books(gates: Gates, stage: Stage, model: Model, sessions: list[FakeSession]) -> None:
    """The tally equals the model's and the rows'; every row was acknowledged, every ack has its row."""
    assert stage.window is not None
    assert await gates.tallies(stage.window.window_id) == model.tally
    written = [row for keys in gates.shards for row in await rows(gates._client, keys, stage.window.window_id)]
    recounted: dict[str, int] = {}
    for row in written:
        recounted[row[2]] = recounted.get(row[2], 0) + row[4] * row[5]
    assert recounted == model.tally
    acked = {answer.vote_id for session in sessions for answer in session.answers if isinstance(answer, VoteAck)}
    assert acked == {str_of(row[0]) for row in written}


def str_of(vote_id: bytes) -> str:
    text = vote_id.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@pytest.mark.parametrize("shards", [1, 4])
@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sequence=st.lists(presses, min_size=1, max_size=40))
def test_the_engine_agrees_with_the_model(valkey_url: str, shards: int, sequence: list[Press]) -> None:
    asyncio.run(play(valkey_url, sequence, shards))
