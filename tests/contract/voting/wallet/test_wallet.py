"""Wallets on real engines: what is credited, spent and expired is in the engine at once and in the journal once."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from broadcast_sync.errors import Refusal
from broadcast_sync.tokens import Identity
from tests.support.ballots import FakeSession, vote
from tests.support.ledger import ORG
from tests.support.wallets import HOUR_MS, House
from voting.ledger.entries import EntryError
from voting.wallet.sweep import WalletSweep
from voting.wallet.wallet import LOTS_MAX, Balance


@pytest.fixture
async def house(valkey: Redis, pool: Any) -> House:
    return await House.opened(valkey, pool)


async def test_paid_votes_are_bought_spent_and_journalled(house: House) -> None:
    assert await house.press("u1", "a", "paid") == "INSUFFICIENT_VOTE_BALANCE"
    credited = await house.wallet.credit("u1", "paid", 50, "order-1")
    assert (credited.paid, credited.bundle, credited.replayed) == (50, 0, False)
    assert await house.press("u1", "b", "paid", 7) == {"free": 5, "paid": 43, "bundle": 0}
    assert await house.press("u1", "c", "paid", 44) == "INSUFFICIENT_VOTE_BALANCE"
    assert await house.press("u1", "b", "paid", 7) == {"free": 5, "paid": 43, "bundle": 0}  # a retry pays once
    assert await house.wallet.balance("u1") == Balance(43, 0)
    assert await house.wallet.balance("nobody") == Balance(0, 0)
    identity = Identity("u1", ORG, frozenset({"user"}), 2**52)
    assert await house.intake.remaining(identity) == {"free": 5, "paid": 43, "bundle": 0, "sms": 50}

    assert await house.wallet.entries("u1") == []
    await house.drain()
    assert await house.journal() == {("u1", "paid"): 43, ("", "issued"): -50, ("", "cast"): 7}
    vote_id = await house.pool.fetchval("SELECT vote_id FROM votes")
    spent, came = await house.wallet.entries("u1")
    assert (spent.kind, spent.account, spent.votes, spent.transfer_id) == ("vote", "paid", -7, str(vote_id))
    assert (came.kind, came.account, came.votes, came.transfer_id) == ("credit", "paid", 50, credited.credit_id)
    assert await house.wallet.entries("u1", before=spent.entry_id) == [came]
    assert await house.wallet.entries("u2") == []


async def test_a_key_credits_once_whoever_remembers_it(house: House, valkey: Redis) -> None:
    first = await house.wallet.credit("u1", "paid", 50, "order-1")
    again = await asyncio.gather(*[house.wallet.credit("u1", "paid", 50, "order-1") for _ in range(5)])
    assert {(answer.credit_id, answer.paid, answer.replayed) for answer in again} == {(first.credit_id, 50, True)}
    await house.drain()
    await valkey.delete(*[key for keys in house.gates.shards async for key in valkey.scan_iter(keys.credit("*"))])
    late = await house.wallet.credit("u1", "paid", 50, "order-1")
    assert (late.credit_id, late.paid, late.replayed) == (first.credit_id, 50, True)
    with pytest.raises(Refusal, match="another credit"):
        await house.wallet.credit("u1", "paid", 51, "order-1")
    assert (await house.wallet.credit("u2", "paid", 5, "order-1")).paid == 5  # a key is one voter's
    await house.drain()
    assert await house.journal() == {("u1", "paid"): 50, ("u2", "paid"): 5, ("", "issued"): -55}


async def test_what_expires_first_is_spent_first_and_the_rest_is_journalled(house: House) -> None:
    now = house.clock.now
    late = await house.wallet.credit("u1", "bundle", 20, "k2", expires_ms=now + 5 * HOUR_MS)
    soon = await house.wallet.credit("u1", "bundle", 10, "k1", expires_ms=now + 2 * HOUR_MS)
    balance = await house.wallet.balance("u1")
    assert [bundle.id for bundle in balance.bundles] == [soon.credit_id, late.credit_id]
    assert await house.press("u1", "a", "bundle", 12) == {"free": 5, "paid": 0, "bundle": 18}
    assert await house.press("u1", "b", "bundle", 19) == "INSUFFICIENT_BUNDLE_VOTES"
    await house.wallet.credit("u1", "bundle", 4, "k3", expires_ms=now + HOUR_MS)
    assert await house.press("u1", "c", "bundle", 3) == {"free": 5, "paid": 0, "bundle": 19}

    house.clock.now = now + HOUR_MS + 60_000
    assert await house.press("u1", "d", "bundle", 1) == {"free": 5, "paid": 0, "bundle": 17}
    house.clock.now = now + 6 * HOUR_MS
    assert await house.press("u1", "e", "bundle", 1) == "INSUFFICIENT_BUNDLE_VOTES"
    assert await house.wallet.balance("u1") == Balance(0, 0)
    await house.wallet.expire("u1")
    await house.wallet.expire("u1")
    await house.drain()
    assert await house.journal() == {("", "issued"): -34, ("", "cast"): 16, ("", "expired"): 18}
    rows = await house.pool.fetch("SELECT lot, votes FROM wallet_entries WHERE voter = 'u1' AND kind = 'expiry'")
    assert sorted(row["votes"] for row in rows) == [-17, -1]


async def test_what_nobody_touches_is_swept(house: House) -> None:
    now = house.clock.now
    sweep = WalletSweep(house.wallet, house.pool, ORG, house.clock)
    for number in range(3):
        await house.wallet.credit(f"u{number}", "bundle", 10, "k", expires_ms=now + HOUR_MS)
    await house.wallet.credit("u9", "bundle", 10, "k", expires_ms=now + 9 * HOUR_MS)
    await house.press("u0", "a", "bundle", 10)
    await house.drain()
    house.clock.now = now + 2 * HOUR_MS
    assert await sweep.sweep() == 2
    await house.drain()
    assert await sweep.sweep() == 0
    assert await house.journal() == {
        ("u9", "bundle"): 10, ("", "issued"): -40, ("", "cast"): 10, ("", "expired"): 20
    }


async def test_a_ballot_that_arrived_before_the_end_of_a_bundle_may_still_use_it(house: House) -> None:
    now = house.clock.now
    await house.wallet.credit("u1", "bundle", 10, "k1", expires_ms=now + HOUR_MS)
    house.clock.now = now + HOUR_MS
    assert await house.press("u1", "late", "bundle") == "INSUFFICIENT_BUNDLE_VOTES"
    await house.wallet.expire("u1")
    house.clock.now = now + HOUR_MS - 1
    assert await house.press("u1", "in-time", "bundle") == {"free": 5, "paid": 0, "bundle": 9}


async def test_two_sockets_cannot_spend_the_last_vote_twice(house: House) -> None:
    other = House(house.client, house.pool, 0, shards=house.shards)
    other.stage = house.stage
    for number in range(10):
        voter = f"v{number}"
        await house.wallet.credit(voter, "paid", 1, "k")
        sessions = [FakeSession(voter, organisation=ORG) for _ in range(2)]
        for at, session in zip((house, other), sessions, strict=True):
            at.intake.handle(session, vote(f"b{id(session)}", kind="paid"), house.window.opens_ms)
        await asyncio.gather(house.intake.drain(), other.intake.drain())
        shown = [session.shown[0] for session in sessions]
        assert shown.count("INSUFFICIENT_VOTE_BALANCE") == 1
    await house.drain()
    assert await house.journal() == {("", "issued"): -10, ("", "cast"): 10}


@pytest.mark.parametrize(
    "asked",
    [
        {"voter": ""}, {"voter": "x" * 129}, {"voter": "a\x00b"}, {"key": ""}, {"key": "k" * 10_000}, {"key": "a\nb"},
        {"votes": 0}, {"votes": -1}, {"votes": 1.5}, {"votes": 2**63}, {"votes": True}, {"votes": "7"},
        {"account": "house"}, {"account": "issued"}, {"account": "bundle"}, {"expires_ms": 2**52},
        {"account": "bundle", "expires_ms": 1}, {"account": "bundle", "expires_ms": 2**60},
    ],
)
async def test_a_bad_credit_is_refused_and_changes_nothing(house: House, valkey: Redis, asked: dict[str, Any]) -> None:
    before = await valkey.dbsize()
    credit: dict[str, Any] = {"voter": "u1", "account": "paid", "votes": 5, "key": "k"} | asked
    with pytest.raises(Refusal, match="BAD_MESSAGE"):
        await house.wallet.credit(**credit)
    assert await valkey.dbsize() == before


async def test_a_wallet_holds_so_many_bundles_and_no_more(house: House) -> None:
    ends = house.clock.now + HOUR_MS
    for number in range(LOTS_MAX):
        await house.wallet.credit("u1", "bundle", 1, f"k{number}", expires_ms=ends + number)
    with pytest.raises(Refusal, match="BUSY"):
        await house.wallet.credit("u1", "bundle", 1, "one more", expires_ms=ends)
    assert await house.press("u1", "a", "bundle", LOTS_MAX) == {"free": 5, "paid": 0, "bundle": 0}
    assert (await house.wallet.credit("u1", "bundle", 1, "one more", expires_ms=ends)).bundle == 1
    await house.drain()
    assert await house.journal() == {
        ("u1", "bundle"): 1, ("", "issued"): -LOTS_MAX - 1, ("", "cast"): LOTS_MAX
    }


async def test_a_broken_wallet_costs_its_own_voter_only(house: House, valkey: Redis) -> None:
    for keys in house.gates.shards:
        await valkey.hset(keys.wallet("bad"), "paid", "junk")
    assert await house.press("bad", "a", "paid") == "TRY_AGAIN"
    await house.wallet.credit("good", "paid", 1, "k")
    assert await house.press("good", "a", "paid") == {"free": 5, "paid": 0, "bundle": 0}


async def test_without_the_journal_nothing_is_credited(house: House) -> None:
    await house.pool.execute("ALTER TABLE wallet_credits RENAME TO gone")
    with pytest.raises(asyncpg.PostgresError):
        await house.wallet.credit("u1", "paid", 50, "k")
    assert await house.wallet.balance("u1") == Balance(0, 0)


async def test_the_journal_takes_no_one_sided_or_second_transfer_and_no_change(house: House) -> None:
    await house.wallet.credit("u1", "paid", 50, "k")
    await house.drain()
    columns = "kind, voter, account, lot, votes, moved_at"
    insert = f"INSERT INTO wallet_entries (org_id, transfer_id, {columns})"
    for statement in (
        f"{insert} SELECT org_id, gen_random_uuid(), {columns} FROM wallet_entries WHERE votes > 0",
        f"{insert} SELECT org_id, transfer_id, {columns} FROM wallet_entries",
        "UPDATE wallet_entries SET votes = 1000", "DELETE FROM wallet_entries", "DELETE FROM wallet_credits",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await house.pool.execute(statement)
    assert await house.journal() == {("u1", "paid"): 50, ("", "issued"): -50}


@pytest.mark.parametrize("fields", [
    {"d": b"{}"}, {"d": b'{"voter":"u1","atMs":1}', "x": b"\x01"},
    {"d": b'{"voter":"u1","atMs":1}', "x": b"\x92\xa1a\x01"},
    {"d": b'{"voter":"u1","atMs":1,"credit":{"creditId":"x","key":"k","account":"paid","votes":1}}'}, {},
])
async def test_an_entry_that_is_not_understood_stops_the_shard_there(
    house: House, valkey: Redis, fields: dict[Any, Any]
) -> None:
    await valkey.xadd(house.gates.shards[0].stream, {"k": "c"} | fields)
    with pytest.raises(EntryError):
        await house.drain()
    assert await house.journal() == {}
