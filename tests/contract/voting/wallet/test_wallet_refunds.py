"""A voided vote that a wallet has paid for is in the wallet again: at once in the engine, once in the journal."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from tests.support.ledger import ORG
from tests.support.wallets import HOUR_MS, House
from voting.ledger.entries import VoidReason
from voting.ledger.recount import recount, tallied
from voting.ledger.voids import find_votes, void_votes
from voting.wallet import journal
from voting.wallet.rebuild import restore_wallets
from voting.wallet.wallet import Balance


@pytest.fixture
async def house(valkey: Redis, pool: Any) -> House:
    return await House.opened(valkey, pool)


async def void(house: House, *voters: str, later_ms: int = 0) -> int:
    """Voids all the votes of some voters that the ledger has; how many were voided by this."""
    why = VoidReason("bought", "moderator", house.clock.now + later_ms)
    done, _ = await void_votes(house.client, ORG, await find_votes(house.pool, ORG, None, list(voters), None), why)
    return done


async def counts_agree(house: House) -> bool:
    tally = await tallied(house.client, ORG, house.shards, house.window.window_id)
    counted = await recount(house.pool, ORG, house.window.window_id)
    return {name: votes for name, votes in tally.items() if votes} == {
        name: votes for name, votes in counted.items() if votes
    }


async def in_journal(house: House, voter: str) -> int:
    return sum(votes for (who, _), votes in (await house.journal()).items() if who == voter)


async def test_paid_votes_come_back_once_and_free_ones_do_not(house: House) -> None:
    await house.wallet.credit("u1", "paid", 50, "order-1")
    for id, kind, count in (("a", "paid", 7), ("b", "paid", 3), ("c", "free", 1)):
        await house.press("u1", id, kind, count)
    await house.drain()
    done = await asyncio.gather(*[void(house, "u1") for _ in range(3)])
    assert sum(done) == 3
    assert await house.wallet.balance("u1") == Balance(50, 0)
    await house.drain()
    assert await void(house, "u1") == 0
    assert await house.journal() == {("u1", "paid"): 50, ("", "issued"): -50}
    back = [entry for entry in await house.wallet.entries("u1") if entry.kind == "refund"]
    spent = [entry for entry in await house.wallet.entries("u1") if entry.kind == "vote"]
    assert sorted((entry.transfer_id, entry.votes) for entry in back) == sorted(
        (entry.transfer_id, -entry.votes) for entry in spent
    )
    assert await counts_agree(house)
    assert await house.press("u1", "d", "paid", 50) == {"free": 4, "paid": 0, "bundle": 0}  # the free vote stays used


async def test_killed_between_the_engine_and_the_journal(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that ran is gone, the writer in the midst of its transaction included; the next finds the entry."""
    await house.wallet.credit("u1", "paid", 50, "order-1")
    await house.press("u1", "a", "paid", 7)
    await house.drain()
    await void(house, "u1")
    write = journal.write

    async def killed(*arguments: Any) -> int:
        await write(*arguments)
        raise asyncpg.PostgresConnectionError("killed before the commit")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "write", killed)
        for writer in house.writers:
            try:
                await writer.step()
            except asyncpg.PostgresConnectionError:
                pass
    assert await house.wallet.balance("u1") == Balance(50, 0)
    assert await in_journal(house, "u1") == 43  # nothing of it was kept
    assert not any(vote.voided for vote in await find_votes(house.pool, ORG, None, ["u1"], None))
    assert await void(house, "u1") == 0  # asked again by the next director, before the ledger knows

    successor = House(house.client, house.pool, 0, shards=house.shards)
    await successor.drain()
    assert await in_journal(house, "u1") == 50 and await counts_agree(house)
    assert await house.client.delete(*[keys.wallet("u1") for keys in house.gates.shards]) == 1
    await restore_wallets(house.client, house.pool, ORG, house.shards)
    assert await house.wallet.balance("u1") == Balance(50, 0)


async def test_votes_of_bundles_go_back_to_their_own_unless_it_has_ended(house: House) -> None:
    now = house.clock.now
    soon = await house.wallet.credit("u1", "bundle", 10, "k1", expires_ms=now + HOUR_MS)
    late = await house.wallet.credit("u1", "bundle", 20, "k2", expires_ms=now + 3 * HOUR_MS)
    await house.press("u1", "a", "bundle", 14)  # ten of the first, four of the second
    await house.drain()
    before = await house.wallet.balance("u1")
    assert [(bundle.id, bundle.votes) for bundle in before.bundles] == [(late.credit_id, 16)]
    assert await void(house, "u1") == 1
    again = await house.wallet.balance("u1")
    assert [(bundle.id, bundle.votes) for bundle in again.bundles] == [(soon.credit_id, 10), (late.credit_id, 20)]
    await house.press("u1", "b", "bundle", 12)
    await house.drain()
    assert await void(house, "u1", later_ms=2 * HOUR_MS) == 1
    await house.drain()
    assert await house.journal() == {("u1", "bundle"): 20, ("", "issued"): -30, ("", "cast"): 10}


async def test_a_broken_wallet_costs_its_own_refund_and_no_void(house: House) -> None:
    for voter in ("u1", "u2"):
        await house.wallet.credit(voter, "paid", 5, "order-1")
        await house.press(voter, "a", "paid", 2)
    await house.drain()
    for keys in house.gates.shards:
        if await house.client.exists(keys.wallet("u1")):
            await house.client.hset(keys.wallet("u1"), "lots", "rubbish")
    with capture_logs() as logs:
        assert await void(house, "u1", "u2") == 2
    assert [line["votes"] for line in logs if line["event"] == "void_not_refunded"] == [1]
    await house.drain()
    assert await house.wallet.balance("u2") == Balance(5, 0)
    assert (await in_journal(house, "u1"), await in_journal(house, "u2")) == (3, 5)
    assert await counts_agree(house)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_cast_and_voided_engine_and_journal_agree(house: House, seed: int) -> None:
    dice, now, voters = random.Random(seed), house.clock.now, ["u1", "u2", "u3"]
    bought = 0
    for step in range(60):
        voter, what = dice.choice(voters), dice.choice(["buy", "buy", "cast", "cast", "void", "write"])
        if what == "cast":
            await house.press(voter, f"b{step}", dice.choice(["paid", "bundle", "free"]), dice.randint(1, 4))
        elif what == "void":
            await void(house, voter)
        elif what == "write":
            await house.drain()
        else:
            amount, expires = dice.randint(1, 9), now + dice.randint(2, 9) * HOUR_MS
            if dice.random() < 0.5:
                await house.wallet.credit(voter, "paid", amount, f"k{step}")
            else:
                await house.wallet.credit(voter, "bundle", amount, f"k{step}", expires_ms=expires)
            bought += amount
    await house.drain()
    await void(house, *voters)
    await house.drain()
    balances = [await house.wallet.balance(voter) for voter in voters]
    assert sum(balance.paid + balance.bundle for balance in balances) == bought  # all of it is back
    told = await house.journal()
    assert [(told.get((voter, "paid"), 0), told.get((voter, "bundle"), 0)) for voter in voters] == [
        (balance.paid, balance.bundle) for balance in balances
    ]
    assert told.get(("", "cast"), 0) == 0 and await counts_agree(house)
