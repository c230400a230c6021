"""Any sequence of ballots, credits and windows gives the same accepts, refusals, remainders and balances on the engine
as in a plain model of the rules."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import shard_of
from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import Stage
from broadcast_sync.wire.server import VoteAck
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, entries, rows, stage_of, vote
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake
from voting.ballot.library import parse
from voting.ballot.standing import decode_lots
from voting.wallet.transfers import Account, Transfer, of_ballots, of_change, read_change
from voting.wallet.wallet import Wallet

HOUR = 3_600_000
DAY = 24 * HOUR
ZONE_MS = 7 * HOUR  # Asia/Phnom_Penh has no summer time
OPEN_MS = 8 * HOUR
GRACE_MS = 5_000
VOTERS = ["u1", "u2", "u3"]

BUSY = """
name = "busy"
text = "Every kind of claim and scope, with limits that a short run of ballots meets."
max_vote_count = 6

[[claims]]
kind = "rate"
name = "votes"
scope = "episode"
limit = 6
period_s = 10

[types.free]
[[types.free.claims]]
kind = "cap"
name = "all"
limit = 24
period_s = 20
[[types.free.claims]]
kind = "counter"
name = "free"
scope = "episode"
limit = 9
code = "NO_FREE_VOTES"
shows = "free"
[[types.free.claims]]
kind = "counter"
name = "window"
scope = "window"
limit = 5
code = "ROUND_LIMIT"

[types.super]
weight = 3
[[types.super.claims]]
kind = "once"
name = "clip"
scope = "show"
per = "contestant"
[[types.super.claims]]
kind = "counter"
name = "super"
scope = "day"
limit = 4
code = "DAILY_LIMIT"
shows = "super"

[types.paid]
[[types.paid.claims]]
kind = "debit"
name = "paid"
account = "paid"
code = "INSUFFICIENT_VOTE_BALANCE"
shows = "paid"

[types.bundle]
weight = 2
[[types.bundle.claims]]
kind = "pace"
name = "pace"
scope = "show"
limit = 4
period_s = 8
burst = 2
counts = "ballots"
[[types.bundle.claims]]
kind = "debit"
name = "bundle"
account = "bundle"
code = "INSUFFICIENT_BUNDLE_VOTES"
shows = "bundle"

[types.sms]
requires = "phone_verified"
"""


class Press(Struct, frozen=True):
    """One ballot; `pause_ms` after what came before, `settle` if its answer is awaited."""

    voter: str
    id: str
    contestant: str
    kind: str
    count: int
    pause_ms: int
    settle: bool


class Give(Struct, frozen=True):
    """A credit; a bundle lasts `lasts_ms`, 0 stands for paid votes."""

    voter: str
    key: str
    votes: int
    lasts_ms: int


class NextWindow(Struct, frozen=True):
    """The window is fenced, and another one of the same episode opens."""


presses = st.builds(
    Press,
    voter=st.sampled_from(VOTERS),
    id=st.sampled_from([f"b{number}" for number in range(60)]),
    contestant=st.sampled_from(["c1"] * 12 + ["c2"] * 6 + ["c3", "nobody"]),
    kind=st.sampled_from(["free"] * 18 + ["super"] * 6 + ["paid"] * 10 + ["bundle"] * 16 + ["mega", "sms"]),
    count=st.sampled_from([1] * 40 + [2] * 12 + [3, 3, 4, 4, 6, 0, -1, 7, 2**63]),
    pause_ms=st.sampled_from(
        [0] * 60 + [-1, 1, 400, 1000, 2000, 3000, 5000, 10_000, 10_000] * 4 + [61_000, 90_000, HOUR, 5 * HOUR]
    ),
    settle=st.booleans(),
)
gives = st.builds(
    Give,
    voter=st.sampled_from(VOTERS),
    key=st.sampled_from([f"k{number}" for number in range(6)]),
    votes=st.sampled_from([3, 10, 40]),
    lasts_ms=st.sampled_from([0, 0, 3_000, 10_000, 90_000, 8 * HOUR, DAY]),
)
steps = st.integers(0, 23).flatmap(lambda n: st.just(NextWindow()) if n == 0 else gives if n < 5 else presses)


class Model:
    """The rules of BUSY, said once more in plain Python. Times are ms since the first window opened at `start`."""

    def __init__(self, start: int, shards: int) -> None:
        self.start, self.shards = start, shards
        self.window, self.opens, self.hard = 0, 0, OPEN_MS + GRACE_MS
        self.first: dict[tuple[str, str], dict[str, int]] = {}
        self.used: Counter[tuple[object, ...]] = Counter()
        self.logs: dict[tuple[object, ...], list[list[int]]] = {}
        self.arrival: dict[str, float] = {}
        self.paid: Counter[str] = Counter()
        self.lots: dict[str, list[list[int]]] = {voter: [] for voter in VOTERS}
        self.keys: dict[tuple[str, str], tuple[int, bool]] = {}
        self.tally: dict[int, Counter[str]] = {0: Counter()}
        self.refused: dict[int, Counter[str]] = {0: Counter()}

    def next_window(self, at: int) -> None:
        self.window += 1
        self.opens, self.hard = at, at + OPEN_MS + GRACE_MS
        self.tally[self.window], self.refused[self.window] = Counter(), Counter()

    def give(self, give: Give, at: int) -> str:
        before = self.keys.get((give.voter, give.key))
        if before is not None:
            return "replayed" if before == (give.votes, bool(give.lasts_ms)) else "BAD_MESSAGE"
        self.keys[give.voter, give.key] = give.votes, bool(give.lasts_ms)
        if give.lasts_ms:
            self.lots[give.voter].append([at + give.lasts_ms, give.votes])
            self.lots[give.voter].sort(key=lambda lot: lot[0])
        else:
            self.paid[give.voter] += give.votes
        return "given"

    def bundle(self, voter: str, at: int) -> int:
        return sum(votes for expiry, votes in self.lots[voter] if expiry > at)

    def answer(self, press: Press, at: int) -> object:
        said = self._answer(press, at)
        if isinstance(said, str):
            self.refused[self.window][said] += 1
        return said

    def _answer(self, press: Press, at: int) -> object:
        if at <= self.hard and (code := self._rules(press)):
            return code
        before = self.first.get((press.voter, press.id))
        if before is not None:
            return before, True
        if at < self.opens:
            return "VOTING_CLOSED"
        if at > self.hard:
            return "VOTING_ENDED"
        taken: list[Callable[[], None]] = []
        for claim in (self._rate, *{
            "free": (self._cap, self._free, self._in_window), "super": (self._once, self._super),
            "paid": (self._paid,), "bundle": (self._pace, self._bundle),
        }[press.kind]):
            found = claim(press, at)
            if isinstance(found, str):
                return found
            taken.append(found)
        for take in taken:
            take()
        weight = {"super": 3, "bundle": 2}.get(press.kind, 1)
        self.tally[self.window][press.contestant] += press.count * weight
        left = self.first[press.voter, press.id] = self._left(press, at)
        return left, False

    def _rules(self, press: Press) -> str | None:
        if press.kind == "mega":
            return "INVALID_VOTE_TYPE"
        if press.contestant == "nobody":
            return "INVALID_CONTESTANT"
        if press.contestant == "c3":
            return "CONTESTANT_ELIMINATED"
        if not 1 <= press.count <= 6:
            return "INVALID_VOTE_COUNT"
        return "PHONE_NOT_VERIFIED" if press.kind == "sms" else None

    def _left(self, press: Press, at: int) -> dict[str, int]:
        left = {"free": 9 - self.used[press.voter, "free"]}
        if press.kind == "super":
            left["super"] = 4 - self.used[press.voter, "super", self._day(at)]
        if press.kind in ("paid", "bundle"):
            left |= {"paid": self.paid[press.voter], "bundle": self.bundle(press.voter, at)}
        return left

    def _day(self, at: int) -> int:
        return (self.start + at + ZONE_MS) // DAY

    def _count(self, key: tuple[object, ...], cost: int, limit: int, code: str) -> str | Callable[[], None]:
        return code if self.used[key] + cost > limit else lambda: self.used.update({key: cost})

    def _free(self, press: Press, at: int) -> str | Callable[[], None]:
        return self._count((press.voter, "free"), press.count, 9, "NO_FREE_VOTES")

    def _in_window(self, press: Press, at: int) -> str | Callable[[], None]:
        return self._count((press.voter, "window", self.window), press.count, 5, "ROUND_LIMIT")

    def _once(self, press: Press, at: int) -> str | Callable[[], None]:
        return self._count((press.voter, "clip", press.contestant), 1, 1, "ALREADY_VOTED")

    def _super(self, press: Press, at: int) -> str | Callable[[], None]:
        return self._count((press.voter, "super", self._day(at)), press.count, 4, "DAILY_LIMIT")

    def _rate(self, press: Press, at: int) -> str | Callable[[], None]:
        return self._log((press.voter, "rate"), press.count, at, 6, 10_000)

    def _cap(self, press: Press, at: int) -> str | Callable[[], None]:
        key = "cap", self.window, shard_of(press.voter, self.shards), press.contestant
        return self._log(key, press.count, at, 24 // self.shards, 20_000)

    def _log(self, key: tuple[object, ...], cost: int, at: int, limit: int, period: int) -> str | Callable[[], None]:
        """Never more than `limit` in any `period`, by slots of a twentieth that count until their last vote is out."""
        live = [list(slot) for slot in self.logs.get(key, []) if slot[0] > at - period]
        if sum(votes for _, votes in live) + cost > limit:
            return "RATE_LIMIT"
        slot = period // 20
        now = self.start + at
        if live and now // slot <= (self.start + live[-1][0]) // slot:
            live[-1] = [max(live[-1][0], at), live[-1][1] + cost]
        else:
            live.append([at, cost])
        return lambda: self.logs.update({key: live})

    def _pace(self, press: Press, at: int) -> str | Callable[[], None]:
        arrival = max(self.arrival.get(press.voter, -(2.0**60)), at) + 2_000
        return "RATE_LIMIT" if arrival - at > 4_000 else lambda: self.arrival.update({press.voter: arrival})

    def _paid(self, press: Press, at: int) -> str | Callable[[], None]:
        if self.paid[press.voter] < press.count:
            return "INSUFFICIENT_VOTE_BALANCE"
        return lambda: self.paid.subtract({press.voter: press.count})

    def _bundle(self, press: Press, at: int) -> str | Callable[[], None]:
        if self.bundle(press.voter, at) < press.count:
            return "INSUFFICIENT_BUNDLE_VOTES"
        return lambda: self._spend(press.voter, press.count, at)

    def _spend(self, voter: str, want: int, at: int) -> None:
        for lot in self.lots[voter]:
            if lot[0] > at:
                taken = min(want, lot[1])
                lot[1] -= taken
                want -= taken


class Journalless:
    """A journal that remembers no key: the engine's memory alone is asked."""

    async def fetchrow(self, *_: object) -> None:
        return None


class Game:
    """The engine's side of a sequence."""

    def __init__(self, client: Redis, shards: int) -> None:
        voting = ballot_settings(shards=shards, ruleset="busy")
        self.client, self.clock = client, FixedClock()
        self.gates = Gates(voting, client, {"busy": parse(BUSY, "busy")})
        stage = stage_of(self.gates.ruleset(None), seconds=OPEN_MS // 1000, show_id="busy")
        assert stage.show is not None and stage.window is not None
        self.stage: Stage = msgspec.structs.replace(
            stage, show=msgspec.structs.replace(stage.show, timezone="Asia/Phnom_Penh")
        )
        self.start, self.windows = stage.window.opens_ms, [stage.window.window_id]
        self.clock.now = self.start
        self.intake = BallotIntake(voting, self.clock, client, self.gates, lambda: self.stage)
        self.wallet = Wallet(client, Journalless(), "default", shards, self.clock)
        self.model = Model(self.start, shards)
        self.sessions: list[FakeSession] = []
        self.expected: list[object] = []

    async def play(self, sequence: list[Press | Give | NextWindow]) -> None:
        at = 0
        for step in sequence:
            if isinstance(step, Press):
                at += step.pause_ms
                self.clock.now = self.start + at
                self._press(step, at)
                if step.settle:
                    await self.intake.drain()
                continue
            await self.intake.drain()
            if isinstance(step, NextWindow):
                await self._next_window(at)
            else:
                assert await self._give(step) == self.model.give(step, at)
        await self.intake.drain()

    def _press(self, press: Press, at: int) -> None:
        session = FakeSession(press.voter)
        try:
            ballot = vote(press.id, press.contestant, press.kind, press.count)
            self.intake.handle(session, ballot, self.start + at)
        except Refusal as refusal:
            session.refuse(refusal)
        self.expected.append(self.model.answer(press, at))
        self.sessions.append(session)

    async def _give(self, give: Give) -> str:
        account: Account = "bundle" if give.lasts_ms else "paid"
        ends = self.clock.now + give.lasts_ms if give.lasts_ms else None
        try:
            done = await self.wallet.credit(give.voter, account, give.votes, give.key, expires_ms=ends)
        except Refusal as refusal:
            return refusal.code
        return "replayed" if done.replayed else "given"

    async def _next_window(self, at: int) -> None:
        await self.gates.fence(self.windows[-1])
        window = stage_of(self.gates.ruleset(None), opens_ms=self.start + at, seconds=OPEN_MS // 1000).window
        assert window is not None
        self.stage = msgspec.structs.replace(self.stage, window=window)
        self.windows.append(window.window_id)
        await self.gates.opening(self.stage)
        self.model.next_window(at)

    # --- what must hold at the end ------------------------------------------------------------------------

    async def check(self) -> None:
        assert [said(session) for session in self.sessions] == self.expected
        for number, window_id in enumerate(self.windows):
            assert await self.gates.tallies(window_id) == +self.model.tally[number]
            refused: Counter[str] = Counter()
            for fence in await self.gates.fence(window_id):
                refused.update(fence.refused)
            assert refused == self.model.refused[number]
        await self._check_rows()
        await self._check_wallets()

    async def _check_rows(self) -> None:
        """Every row was acknowledged, every ack has its row, and the rows add up to the tally."""
        written = [
            (window_id, row) for window_id in self.windows for keys in self.gates.shards
            for row in await rows(self.client, keys, window_id)
        ]
        for number, window_id in enumerate(self.windows):
            recounted: Counter[str] = Counter()
            for of, row in written:
                if of == window_id:
                    recounted[row[2]] += row[4] * row[5]
            assert recounted == +self.model.tally[number]
        answers = [answer for session in self.sessions for answer in session.answers]
        acked = {answer.vote_id for answer in answers if isinstance(answer, VoteAck)}
        assert acked == {str_of(row[0]) for _, row in written}
        assert len(acked) == len(written)

    async def _check_wallets(self) -> None:
        """Balances are the model's, and what each wallet holds is what the stream says has come and gone."""
        moved: Counter[tuple[str, str]] = Counter()
        for keys in self.gates.shards:
            for _, fields in await entries(self.client, keys):
                for transfer in transfers(fields):
                    moved[transfer.voter, transfer.account] += transfer.votes
        for voter in VOTERS:
            balance = await self.wallet.balance(voter)
            at = self.clock.now - self.start
            assert (balance.paid, balance.bundle) == (self.model.paid[voter], self.model.bundle(voter, at))
            wallet: Any = self.client.hmget(
                self.gates.shards[shard_of(voter, len(self.gates.shards))].wallet(voter), ["paid", "lots"]
            )
            paid, lots = await wallet
            assert int(paid or 0) == moved[voter, "paid"]
            assert sum(decode_lots(lots)[2::3] if lots else ()) == moved[voter, "bundle"]


def transfers(fields: dict[bytes, bytes]) -> list[Transfer]:
    if fields[b"k"] == b"c":
        return of_change(read_change(fields[b"d"]), fields.get(b"x", b""))
    if fields[b"k"] == b"b" and b"j" in fields:
        return list(of_ballots(msgspec.msgpack.decode(fields[b"v"]), fields[b"j"]))
    return []


def said(session: FakeSession) -> object:
    [answer] = session.answers
    return answer.code if isinstance(answer, Refusal) else (answer.remaining, answer.replayed)


def str_of(vote_id: bytes) -> str:
    text = vote_id.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


async def play(url: str, sequence: list[Press | Give | NextWindow], shards: int) -> None:
    client = connect(url)
    try:
        await client.flushall()
        game = Game(client, shards)
        await game.gates.opening(game.stage)
        await game.play(sequence)
        await game.check()
    finally:
        await client.aclose()


@pytest.mark.parametrize("shards", [1, 4])
@settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sequence=st.lists(steps, min_size=40, max_size=80))
def test_the_engine_agrees_with_the_model(
    valkey_url: str, shards: int, sequence: list[Press | Give | NextWindow]
) -> None:
    asyncio.run(play(valkey_url, sequence, shards))
