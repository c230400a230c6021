"""A voter's wallet: balances in the engine, credits with an idempotency key, history from the journal."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys, shard_of
from broadcast_sync.bus.scripts import Script
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.wire.times import iso
from voting.ballot.standing import decode_lots, live
from voting.ledger.store import Pool, statement
from voting.wallet.journal import PACKAGE, JournalEntry, history
from voting.wallet.transfers import Account, Change, Credit, read_change

VOTES_MAX: Final = 1_000_000_000
"""The most votes of one credit."""
BALANCE_MAX: Final = 2**52
"""The most votes that never expire in one wallet: what the engine's numbers hold exactly."""
LOTS_MAX: Final = 64
"""The most bundles in one wallet; beyond it a credit is refused until one has been used up or has expired."""
KEY_MEMORY_MS: Final = 30 * 86_400_000
"""How long the engine knows a key; long before that the journal does, and for ever."""
PAGE_MAX: Final = 100


class Bundle(Struct, frozen=True, rename="camel"):
    """What is left of a bundle; it is gone at `expires_at`."""

    id: str
    votes: int
    expires_at: str


class Balance(Struct, frozen=True, rename="camel"):
    """Votes in a wallet now: `paid` never expire; `bundle` is the sum of `bundles`, the soonest to expire first."""

    paid: int
    bundle: int
    bundles: tuple[Bundle, ...] = ()


class Credited(Struct, frozen=True, rename="camel"):
    """A credit and the balances after it. `replayed`: the key had been used, and nothing was changed now."""

    credit_id: str
    voter: str
    account: str
    votes: int
    paid: int
    bundle: int
    replayed: bool


class Wallet:
    """The wallets of an organisation. Client and pool are the caller's; engine errors pass through: a credit fails
    closed, and asking again with its key is safe."""

    def __init__(self, client: Redis, pool: Pool, organisation: str, shards: int, clock: Clock) -> None:
        self._client = client
        self._pool = pool
        self._organisation = organisation
        self._shards = tuple(ShardKeys(organisation, shard) for shard in range(shards))
        self._clock = clock
        self._script = Script("voting.wallet", "change_wallet")

    async def balance(self, voter: str) -> Balance:
        """What a voter has now, as the next ballot will find it; nothing for a voter who never had a wallet."""
        found: list[Any] = await self._client.hmget(self._keys(voter).wallet(voter), ["paid", "lots"])
        paid, packed = found
        now_ms = self._clock.now_ms()
        lots: list[Any] = decode_lots(packed) if packed else []
        bundles = tuple([
            Bundle(lot, votes, iso(expiry))
            for expiry, lot, votes in zip(lots[::3], lots[1::3], lots[2::3], strict=True) if expiry > now_ms
        ])
        return Balance(int(paid or 0), live(lots, now_ms), bundles)

    async def entries(self, voter: str, before: int | None = None, limit: int = 20) -> list[JournalEntry]:
        """A page of a voter's history from the journal, newest first: what is older than the entry `before`. The
        journal is behind the engine by as much as the ledger is. ValueError unless `limit` is 1 to 100."""
        if not 1 <= limit <= PAGE_MAX:
            raise ValueError(f"limit must be 1 to {PAGE_MAX}")
        return await history(self._pool, self._organisation, voter, 2**63 - 1 if before is None else before, limit)

    async def credit(
        self, voter: str, account: Account, votes: int, key: str, *, expires_ms: int | None = None
    ) -> Credited:
        """Gives `votes` to a voter, once however often it is asked with the same `key`; a bundle has an expiry.

        Raises Refusal BAD_MESSAGE if something is out of range, or if the key was used for another credit of this
        voter, and BUSY if the wallet holds no more.
        """
        _check(voter, account, votes, key, expires_ms, self._clock.now_ms())
        journalled = await self._journalled(voter, key)
        if journalled is not None:
            return await self._replay(voter, journalled, account, votes)
        now_ms = self._clock.now_ms()
        credit = Credit(str(uuid7(now_ms)), key, account, votes, expires_ms or 0)
        verdict, *rest = await self._change(voter, Change(voter, now_ms, credit), now_ms)
        if verdict == 2:
            raise Refusal("BUSY", "The wallet holds no more votes or bundles.")
        if verdict == 0:
            first = read_change(rest[0]).credit
            if first is None:
                raise ValueError("the memory of a key is no credit")
            return await self._replay(voter, first, account, votes)
        paid, bundle = rest
        return Credited(credit.credit_id, voter, account, votes, int(paid), int(bundle), False)

    async def expire(self, voter: str) -> None:
        """Ends the lots of a voter that have expired, with an entry in the journal each. Idempotent."""
        now_ms = self._clock.now_ms()
        await self._change(voter, Change(voter, now_ms), now_ms)

    async def _change(self, voter: str, change: Change, now_ms: int) -> list[Any]:
        keys, credit = self._keys(voter), change.credit
        memory = keys.credit(f"{voter}:{credit.key}") if credit else keys.credit("")
        account, votes, lot, expiry = (
            (credit.account, credit.votes, credit.credit_id, credit.expires_ms) if credit else ("", 0, "", 0)
        )
        reply: list[Any] = await self._script(
            self._client, (keys.wallet(voter), keys.stream, memory),
            (account, votes, lot, expiry, now_ms, msgspec.json.encode(change), KEY_MEMORY_MS, BALANCE_MAX, LOTS_MAX),
        )
        return reply

    async def _journalled(self, voter: str, key: str) -> Credit | None:
        row = await self._pool.fetchrow(statement("find_credit", PACKAGE), self._organisation, voter, key)
        if row is None:
            return None
        return Credit(str(row["credit_id"]), key, row["account"], row["votes"])

    async def _replay(self, voter: str, first: Credit, account: str, votes: int) -> Credited:
        if (first.account, first.votes) != (account, votes):
            raise Refusal("BAD_MESSAGE", "This key was used for another credit.")
        now = await self.balance(voter)
        return Credited(first.credit_id, voter, account, votes, now.paid, now.bundle, True)

    def _keys(self, voter: str) -> ShardKeys:
        return self._shards[shard_of(voter, len(self._shards))]


def _check(voter: str, account: str, votes: int, key: str, expires_ms: int | None, now_ms: int) -> None:
    for name, text in (("voter", voter), ("key", key)):
        if not 1 <= len(text) <= 128 or not text.isprintable():
            raise Refusal("BAD_MESSAGE", f"{name} must have 1 to 128 printable characters.")
    if account not in ("paid", "bundle"):
        raise Refusal("BAD_MESSAGE", "The account must be paid or bundle.")
    if type(votes) is not int or not 1 <= votes <= VOTES_MAX:
        raise Refusal("BAD_MESSAGE", f"votes must be a whole number from 1 to {VOTES_MAX}.")
    if (account == "bundle") != (expires_ms is not None):
        raise Refusal("BAD_MESSAGE", "A bundle expires, and only a bundle does.")
    if expires_ms is not None and not now_ms < expires_ms <= now_ms + 10 * 366 * 86_400_000:
        raise Refusal("BAD_MESSAGE", "A bundle must expire in the future, within ten years.")
