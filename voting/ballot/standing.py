"""What a voter has left and what they have voted for, read from their books. For display: the script alone decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys
from voting.ballot.claims import BUNDLE, PAID, WALLET, Claim

Lots = list[Any]
"""A wallet's bundles as the script keeps them: expiry in Unix ms, lot, votes, ...; soonest first."""

decode_lots: Final = msgspec.msgpack.Decoder(Lots).decode


def live(lots: Lots, at_ms: int) -> int:
    """PURE. The votes in the lots that have not expired at `at_ms`."""
    return sum(votes for expiry, votes in zip(lots[::3], lots[2::3], strict=True) if expiry > at_ms)


async def left(
    client: Redis, keys: ShardKeys, voter: str, limits: Sequence[Claim], now_ms: int
) -> dict[str, int]:
    """What is left of each of `limits` by the name it is shown under. Engine errors pass through; ValueError if a book
    is broken."""
    pipe = client.pipeline(transaction=False)
    for limit in limits:
        pipe.hget(keys.wallet(voter) if limit.scope == WALLET else keys.book(limit.scope, voter), limit.counter)
    found = await pipe.execute()
    return {limit.shows: _rest(limit, value, now_ms) for limit, value in zip(limits, found, strict=True)}


def _rest(limit: Claim, value: bytes | None, now_ms: int) -> int:
    if limit.kind == BUNDLE:
        return live(decode_lots(value), now_ms) if value else 0
    if limit.kind == PAID:
        return int(value or 0)
    return max(0, limit.limit - int(value or 0))


async def marked(
    client: Redis, keys: ShardKeys, voter: str, claims: dict[str, Claim]
) -> set[str]:
    """Of `claims` by contestant, all of one book, the contestants whose claim is used. Engine errors pass through."""
    if not claims:
        return set()
    scope = next(iter(claims.values())).scope
    found = await client.hmget(keys.book(scope, voter), [claim.counter for claim in claims.values()])
    return {contestant for contestant, value in zip(claims, found, strict=True) if value is not None}
