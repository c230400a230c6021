"""The intake on a real engine: accepts, refusals, replays, races, outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import shard_of
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Settings
from broadcast_sync.show.model import Stage, Window
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.codecs import MSGPACK
from broadcast_sync.wire.server import VoteAck
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, entries, rows, stage_of, vote
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake


class Node:
    """One node's gates and intake, and a stage that the test moves."""

    def __init__(self, client: Redis, settings: Settings | None = None, stage: Stage | None = None) -> None:
        settings = settings or ballot_settings()
        self.gates = Gates(settings, client)
        self.stage = stage or stage_of(self.gates.ruleset(None))
        self.intake = BallotIntake(settings, FixedClock(), client, self.gates, lambda: self.stage)

    @property
    def window(self) -> Window:
        assert self.stage.window is not None
        return self.stage.window

    def book(self, voter: str) -> str:
        assert self.stage.show is not None
        return self.gates.shards[0].book(f"{self.stage.show.show_id}:{self.stage.show.episode_ref}", voter)

    def put(self, session: FakeSession, ballot: Vote, received_ms: int | None = None) -> None:
        self.intake.handle(session, ballot, self.window.opens_ms if received_ms is None else received_ms)

    def refused(self, session: FakeSession, ballot: Vote, received_ms: int | None = None) -> str:
        with pytest.raises(Refusal) as caught:
            self.put(session, ballot, received_ms)
        return caught.value.code

    async def answer(self, session: FakeSession, ballot: Vote, received_ms: int | None = None) -> object:
        self.put(session, ballot, received_ms)
        await self.intake.drain()
        return session.shown[-1]


@pytest.fixture
async def node(valkey: Redis) -> Node:
    made = Node(valkey)
    await made.gates.opening(made.stage)
    return made


@pytest.fixture
async def elsewhere(valkey_url: str) -> AsyncIterator[Redis]:
    """Another node's client, impatient."""
    client = connect(valkey_url, timeout_s=0.2)
    yield client
    await client.aclose()


@pytest.fixture
async def nowhere() -> AsyncIterator[Redis]:
    client = connect("unix:///nowhere/valkey.sock", timeout_s=0.2)
    yield client
    await client.aclose()


async def test_a_vote_is_acknowledged_tallied_and_written(node: Node, valkey: Redis) -> None:
    session = FakeSession()
    node.put(session, vote("b1", count=2, metadata=msgspec.Raw(b'{"via":"phone"}')))
    assert session.answers == []
    await node.intake.drain()

    ack = session.answers[0]
    assert isinstance(ack, VoteAck)
    assert ack == VoteAck("b1", ack.vote_id, "queued", "c1", "free", 2, {"free": 3}, False)
    assert UUID(ack.vote_id).version == 7
    assert await node.gates.tallies(node.window.window_id) == {"c1": 2}
    assert await rows(valkey, node.gates.shards[0], node.window.window_id) == [
        [UUID(ack.vote_id).bytes, "u1", "c1", "free", 2, 1, "b1", node.window.opens_ms, '{"via":"phone"}']
    ]
    metrics = node.intake.metrics
    assert (metrics.accepted, metrics.votes, metrics.waiting()) == (1, 2, 0)


async def test_who_may_not_vote_is_told_so_first(node: Node) -> None:
    assert node.refused(FakeSession(None), vote(contestant="nobody")) == "UNAUTHENTICATED"
    assert node.refused(FakeSession(roles=frozenset({"control", "admin"})), vote()) == "FORBIDDEN"
    assert node.refused(FakeSession(organisation="other"), vote()) == "FORBIDDEN"
    late = FakeSession()
    late.identity = Identity("u1", "default", frozenset({"user"}), node.window.opens_ms - 5, leeway_ms=5)
    assert node.refused(late, vote()) == "TOKEN_EXPIRED"
    assert node.refused(late, vote(contestant="nobody"), node.window.opens_ms - 1) == "INVALID_CONTESTANT"
    assert node.intake.metrics.refused == {
        "UNAUTHENTICATED": 1, "FORBIDDEN": 2, "TOKEN_EXPIRED": 1, "INVALID_CONTESTANT": 1,
    }


@pytest.mark.parametrize(
    ("ballot", "code"),
    [
        (vote(""), "BAD_MESSAGE"),
        (vote("x" * 65), "BAD_MESSAGE"),
        (vote("a\nb"), "BAD_MESSAGE"),
        (vote("a\x00b"), "BAD_MESSAGE"),
        (vote(metadata=msgspec.Raw(b'"' + b"x" * 1024 + b'"')), "BAD_MESSAGE"),
        (vote(metadata=msgspec.Raw(b'"\xff"')), "BAD_MESSAGE"),
        (vote(contestant="nobody"), "INVALID_CONTESTANT"),
        (vote(contestant=""), "INVALID_CONTESTANT"),
        (vote(contestant="x" * 10_000), "INVALID_CONTESTANT"),
        (vote(contestant="c3"), "CONTESTANT_ELIMINATED"),
        (vote(kind="super"), "INVALID_VOTE_TYPE"),
        (vote(kind="x" * 10_000), "INVALID_VOTE_TYPE"),
        (vote(kind="sms"), "PHONE_NOT_VERIFIED"),
        (vote(count=0), "INVALID_VOTE_COUNT"),
        (vote(count=-1), "INVALID_VOTE_COUNT"),
        (vote(count=101), "INVALID_VOTE_COUNT"),
        (vote(count=2**63), "INVALID_VOTE_COUNT"),
        (vote(count=10**30), "INVALID_VOTE_COUNT"),
    ],
)
async def test_a_bad_ballot_is_refused_and_changes_nothing(
    node: Node, valkey: Redis, ballot: Vote, code: str
) -> None:
    before = await valkey.dbsize()
    assert node.refused(FakeSession(), ballot) == code
    assert await valkey.dbsize() == before


async def test_a_voter_that_cannot_be_written_down_costs_nobody_else(node: Node) -> None:
    odd, even = FakeSession("u\ud800"), FakeSession("u2")
    with pytest.raises(Refusal, match="BAD_MESSAGE"):
        node.put(odd, vote())
    assert await node.answer(even, vote()) != "TRY_AGAIN"


async def test_metadata_of_messagepack_clients_is_kept_as_json(node: Node, valkey: Redis) -> None:
    session = FakeSession(codec=MSGPACK)
    await node.answer(session, vote(metadata=msgspec.Raw(msgspec.msgpack.encode({"a": [1, None]}))))
    assert (await rows(valkey, node.gates.shards[0], node.window.window_id))[0][8] == '{"a":[1,null]}'
    assert node.refused(session, vote(metadata=msgspec.Raw(msgspec.msgpack.encode({(1, 2): 1})))) == "BAD_MESSAGE"


async def test_free_votes_run_out_and_other_voters_are_not_touched(node: Node) -> None:
    session, other = FakeSession("u1"), FakeSession("u2")
    assert await node.answer(session, vote("a", count=4)) == (session_id(session), {"free": 1}, False)
    assert await node.answer(session, vote("b", count=2)) == "NO_FREE_VOTES"
    assert await node.answer(session, vote("b", count=1)) == (session_id(session), {"free": 0}, False)
    assert await node.answer(session, vote("c")) == "NO_FREE_VOTES"
    assert await node.answer(other, vote("c", count=5)) == (session_id(other), {"free": 0}, False)
    assert node.intake.metrics.refused == {"NO_FREE_VOTES": 2}


def session_id(session: FakeSession) -> str:
    last = session.answers[-1]
    assert isinstance(last, VoteAck)
    return last.vote_id


async def test_remaining_is_what_the_next_ack_would_start_from(node: Node, valkey: Redis) -> None:
    session = FakeSession()
    assert session.identity is not None
    assert await node.intake.remaining(session.identity) == {"free": 5, "paid": 0, "bundle": 0, "sms": 50}
    await node.answer(session, vote(count=3))
    assert await node.intake.remaining(session.identity) == {"free": 2, "paid": 0, "bundle": 0, "sms": 50}
    await valkey.hset(node.book("u1"), "#free", "junk")
    assert await node.intake.remaining(session.identity) is None
    node.stage = msgspec.structs.replace(node.stage, window=None, voting="IDLE")
    assert await node.intake.remaining(session.identity) is None


async def test_free_votes_are_an_episodes_not_a_windows(node: Node) -> None:
    session = FakeSession()
    await node.answer(session, vote("a", count=4))
    second = stage_of(node.gates.ruleset(None), show_id=node.stage.show.show_id if node.stage.show else "")
    await node.gates.opening(second)
    node.stage = second
    assert await node.answer(session, vote("b", count=2)) == "NO_FREE_VOTES"
    assert await node.answer(session, vote("b", count=1)) == (session_id(session), {"free": 0}, False)
    # a retry that was under way while one window closed and the next one opened is still the vote it was
    assert await node.answer(session, vote("a", count=4)) == (session_id(session), {"free": 1}, True)
    assert await node.gates.tallies(second.window.window_id if second.window else "") == {"c1": 1}


async def test_the_same_id_gets_the_first_answer_whatever_it_asks(node: Node) -> None:
    session = FakeSession()
    await node.answer(session, vote("a", "c1", count=2))
    await node.answer(session, vote("b", "c1", count=1))
    again = FakeSession()  # another socket of the same voter
    await node.answer(again, vote("a", "c2", count=3))
    first, replay = session.answers[0], again.answers[0]
    assert isinstance(first, VoteAck)
    assert replay == msgspec.structs.replace(first, replayed=True)
    assert await node.gates.tallies(node.window.window_id) == {"c1": 3}
    assert node.intake.metrics.replayed == 1


async def test_a_retry_after_the_close_gets_its_first_answer_and_new_ballots_do_not_count(node: Node) -> None:
    session = FakeSession()
    await node.answer(session, vote("a"))
    late = node.window.hard_closes_ms + 1
    assert await node.answer(session, vote("a"), late) == (session_id(session), {"free": 4}, True)
    assert await node.answer(session, vote("b"), late) == "VOTING_ENDED"
    await node.gates.fence(node.window.window_id)
    node.stage = msgspec.structs.replace(node.stage, voting="CLOSED")
    assert await node.answer(session, vote("a"), late) == (session_id(session), {"free": 4}, True)
    assert await node.answer(session, vote("b", contestant="nobody")) == "VOTING_ENDED"


async def test_the_close_at_the_very_millisecond(node: Node, valkey: Redis) -> None:
    window, session = node.window, FakeSession()
    assert await node.answer(session, vote("early"), window.opens_ms - 1) == "VOTING_CLOSED"
    await node.answer(session, vote("first"), window.opens_ms)
    await node.answer(session, vote("last"), window.hard_closes_ms)
    assert await node.answer(session, vote("late"), window.hard_closes_ms + 1) == "VOTING_ENDED"
    # a node that has not heard of the close is overruled by the gate
    await valkey.hset(node.gates.shards[0].gate(window.window_id), "hardClosesMs", window.closes_ms)
    assert await node.answer(session, vote("stale"), window.closes_ms + 1) == "VOTING_ENDED"
    written = await rows(valkey, node.gates.shards[0], window.window_id)
    assert [row[6] for row in written] == ["first", "last"]


async def test_no_window_or_idle_is_closed(node: Node) -> None:
    session = FakeSession()
    stage = node.stage
    node.stage = msgspec.structs.replace(stage, voting="IDLE")
    assert node.refused(session, vote(), 1) == "VOTING_CLOSED"
    node.stage = Stage("default")
    with pytest.raises(Refusal, match="VOTING_CLOSED"):
        node.intake.handle(session, vote(), 1)


async def test_when_the_engine_has_lost_an_open_window_ballots_are_to_try_again(valkey: Redis) -> None:
    node = Node(valkey)
    assert await node.answer(FakeSession(), vote()) == "TRY_AGAIN"
    assert await valkey.dbsize() == 0


async def test_two_nodes_race_for_the_last_free_vote(node: Node, elsewhere: Redis) -> None:
    other = Node(elsewhere, stage=node.stage)
    for attempt in range(20):
        sessions = [FakeSession(f"v{attempt}"), FakeSession(f"v{attempt}")]
        await node.answer(FakeSession(f"v{attempt}"), vote("first", count=4))
        node.put(sessions[0], vote("here"))
        other.put(sessions[1], vote("there"))
        await asyncio.gather(node.intake.drain(), other.intake.drain())
        shown = [session.shown[0] for session in sessions]
        assert shown.count("NO_FREE_VOTES") == 1
    assert await node.gates.tallies(node.window.window_id) == {"c1": 20 * 5}


async def test_one_id_from_two_sockets_at_once_is_one_vote(node: Node, valkey: Redis, elsewhere: Redis) -> None:
    other = Node(elsewhere, stage=node.stage)
    sessions = [FakeSession() for _ in range(4)]
    for session, at in zip(sessions, (node, node, other, other), strict=True):
        at.put(session, vote("same"))
    await asyncio.gather(node.intake.drain(), other.intake.drain())
    acks = [session.answers[0] for session in sessions]
    assert all(isinstance(ack, VoteAck) for ack in acks)
    assert sorted(ack.replayed for ack in acks if isinstance(ack, VoteAck)) == [False, True, True, True]
    assert len({ack.vote_id for ack in acks if isinstance(ack, VoteAck)}) == 1
    assert len(await rows(valkey, node.gates.shards[0], node.window.window_id)) == 1


async def test_the_rate_tells_when_to_come_back(valkey: Redis) -> None:
    settings = ballot_settings(ruleset="xfactor")
    node = Node(valkey, settings)
    await node.gates.opening(node.stage)
    at = node.window.opens_ms
    # 99 of the minute's 100 votes are used, 40 of them a while ago: one more passes, the next has to wait for those
    await valkey.hset(node.book("u1"), "#votes", msgspec.msgpack.encode([at - 50_000, 40, at, 59]))
    session = FakeSession()
    node.put(session, vote("a"))
    node.put(session, vote("b"))
    await node.intake.drain()
    refusal = session.answers[1]
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.retry_after, refusal.retryable) == ("RATE_LIMIT", 10.0, True)
    assert await node.answer(session, vote("b"), at + 9_999) == "RATE_LIMIT"
    assert await node.answer(session, vote("b"), at + 10_000) == (session_id(session), {"free": 3}, False)


async def test_voters_are_spread_over_shards_and_summed(valkey: Redis) -> None:
    node = Node(valkey, ballot_settings(shards=4))
    await node.gates.opening(node.stage)
    sessions = [FakeSession(f"u{number}") for number in range(40)]
    for number, session in enumerate(sessions):
        node.put(session, vote("x", ("c1", "c2")[number % 2], count=1 + number % 5))
    await node.intake.drain()
    assert all(isinstance(session.answers[0], VoteAck) for session in sessions)
    total = 0
    for keys in node.gates.shards:
        written = await rows(valkey, keys, node.window.window_id)
        assert written and all(shard_of(row[1], 4) == keys.shard for row in written)
        total += sum(row[4] for row in written)
    assert sum((await node.gates.tallies(node.window.window_id)).values()) == total == 120


async def test_unlimited_has_no_limits_and_nothing_remaining(valkey: Redis) -> None:
    node = Node(valkey, ballot_settings(ruleset="unlimited", batch_max=64))
    await node.gates.opening(node.stage)
    session = FakeSession()
    for number in range(300):
        node.put(session, vote(str(number), count=1000))
    await node.intake.drain()
    assert session.shown[0] == (session_id_of(session, 0), {}, False)
    assert await node.answer(session, vote("7", count=1)) == (session_id_of(session, session.ids.index("7")), {}, True)
    assert await node.gates.tallies(node.window.window_id) == {"c1": 300_000}
    assert {int(fields[b"n"]) for _, fields in await entries(valkey, node.gates.shards[0], "b")} <= set(range(1, 65))


def session_id_of(session: FakeSession, index: int) -> str:
    found = session.answers[index]
    assert isinstance(found, VoteAck)
    return found.vote_id


async def test_a_broken_key_costs_its_own_ballot_only(node: Node, valkey: Redis) -> None:
    keys, window_id = node.gates.shards[0], node.window.window_id
    await valkey.set(node.book("bad1"), "not a hash")
    await valkey.hset(node.book("bad2"), "#free", "not a number")
    await valkey.hset(node.book("bad3"), "!", "not a time")
    sessions = [FakeSession(name) for name in ("good1", "bad1", "bad2", "bad3", "good2")]
    for session in sessions:
        node.put(session, vote())
    await node.intake.drain()
    codes = [session.answers[0].code if isinstance(session.answers[0], Refusal) else "ok" for session in sessions]
    assert codes == ["ok", "TRY_AGAIN", "TRY_AGAIN", "TRY_AGAIN", "ok"]
    written = await rows(valkey, keys, window_id)
    assert [row[1] for row in written] == ["good1", "good2"]
    assert await node.gates.tallies(window_id) == {"c1": 2}


@pytest.mark.parametrize("broken", ["stream", "tally", "refused"])
async def test_a_broken_shard_refuses_the_batch_before_anything_is_written(
    node: Node, valkey: Redis, broken: str
) -> None:
    keys, window_id = node.gates.shards[0], node.window.window_id
    await valkey.delete(keys.stream)
    names = {"stream": keys.stream, "tally": keys.tally(window_id), "refused": keys.refused(window_id)}
    await valkey.set(names[broken], "junk")
    before = sorted(await valkey.keys())
    assert await node.answer(FakeSession(), vote()) == "TRY_AGAIN"
    assert sorted(await valkey.keys()) == before


async def test_a_memory_that_cannot_be_read_says_try_again(node: Node, valkey: Redis) -> None:
    await valkey.hset(node.book("u1"), "=b1", b"\x01junk")
    assert await node.answer(FakeSession(), vote("b1")) == "TRY_AGAIN"


async def test_an_engine_out_of_memory_keeps_nothing_of_the_batch(node: Node, valkey: Redis) -> None:
    before = sorted(await valkey.keys())
    await valkey.config_set("maxmemory", 1)
    try:
        assert await node.answer(FakeSession(), vote()) == "TRY_AGAIN"
        assert sorted(await valkey.keys()) == before
    finally:
        await valkey.config_set("maxmemory", 0)
    assert await node.answer(FakeSession(), vote()) != "TRY_AGAIN"


async def test_no_engine_means_try_again_and_never_an_ack(nowhere: Redis) -> None:
    node = Node(nowhere)
    session = FakeSession()
    for number in range(3):
        node.put(session, vote(str(number)))
    await node.intake.drain()
    assert session.shown == ["TRY_AGAIN"] * 3
    refusal = session.answers[0]
    assert isinstance(refusal, Refusal) and refusal.retryable and refusal.retry_after == 1.0
    assert session.identity is not None
    assert await node.intake.remaining(session.identity) is None


async def test_a_paused_engine_means_try_again_then_the_first_answer_or_a_vote(
    valkey: Redis, elsewhere: Redis
) -> None:
    node = Node(elsewhere, ballot_settings(queue_max=2))
    await node.gates.opening(node.stage)
    session = FakeSession()
    await valkey.client_pause(10_000, all=False)
    try:
        node.put(session, vote("a"))
        node.put(session, vote("b"))
        assert node.refused(session, vote("c")) == "BUSY"
        await node.intake.drain()
    finally:
        await valkey.client_unpause()
    assert session.shown == ["TRY_AGAIN", "TRY_AGAIN"]
    await node.answer(session, vote("a"))
    await node.answer(session, vote("b"))
    assert await node.gates.tallies(node.window.window_id) == {"c1": 2}
    assert len(await rows(valkey, node.gates.shards[0], node.window.window_id)) == 2


async def test_a_node_without_the_windows_rules_takes_nothing(node: Node) -> None:
    held = msgspec.structs.replace(node.window.ruleset, hash="0" * 64)
    node.stage = msgspec.structs.replace(node.stage, window=msgspec.structs.replace(node.window, ruleset=held))
    assert node.refused(FakeSession(), vote()) == "BUSY"


async def test_one_sessions_fault_leaves_the_others_their_answers(node: Node) -> None:
    class Broken(FakeSession):
        def reply(self, data: object) -> None:
            raise RuntimeError("gone")

    broken, whole = Broken("u1"), FakeSession("u2")
    node.put(broken, vote())
    node.put(whole, vote())
    await node.intake.drain()
    assert isinstance(whole.answers[0], VoteAck)


async def test_memory_of_a_window_ends(node: Node, valkey: Redis) -> None:
    await node.answer(FakeSession(), vote())
    assert await node.answer(FakeSession(), vote("b", count=5)) == "NO_FREE_VOTES"
    await node.gates.fence(node.window.window_id)
    stream = node.gates.shards[0].stream.encode()
    ttls = {key: await valkey.pttl(key) for key in await valkey.keys() if key != stream}
    assert len(ttls) == 6
    assert all(ttl > 0 for ttl in ttls.values()), ttls


async def test_a_book_is_kept_for_the_last_window_its_voter_voted_in(node: Node, valkey: Redis) -> None:
    week = 7 * 86_400_000
    await node.answer(FakeSession(), vote("a"))
    assert await valkey.hget(node.book("u1"), "!") == str(node.window.hard_closes_ms + week).encode()
    window = msgspec.structs.replace(node.window, hard_closes_ms=node.window.hard_closes_ms + 60_000)
    node.stage = msgspec.structs.replace(node.stage, window=window)
    await node.answer(FakeSession(), vote("b"))
    assert await valkey.hget(node.book("u1"), "!") == str(window.hard_closes_ms + week).encode()
    left = await valkey.pttl(node.book("u1"))
    assert week < left < week + 2 * 3_600_000


async def test_one_voter_may_fill_a_whole_batch(valkey: Redis) -> None:
    node = Node(valkey, ballot_settings(ruleset="unlimited", batch_max=2000))
    await node.gates.opening(node.stage)
    session = FakeSession()
    for number in range(1500):
        node.put(session, vote(str(number)))
    await node.intake.drain()
    assert await node.gates.tallies(node.window.window_id) == {"c1": 1500}
    assert await node.answer(session, vote("1499")) == (session_id_of(session, session.ids.index("1499")), {}, True)
