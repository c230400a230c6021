"""Wallets out of the journal: the balances of an engine that has lost its data."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys, shard_of
from voting.ledger.store import Pool, statement
from voting.wallet.journal import PACKAGE

BATCH: Final = 500
"""Wallets written in one go."""

_encode: Final = msgspec.msgpack.Encoder().encode


async def restore_wallets(client: Redis, pool: Pool, organisation: str, shards: int) -> int:
    """Gives every voter of the journal the balance that it says, over what the engine has; returns how many voters.
    Engine errors pass through. Keys of credits are not restored: the journal is asked for them first."""
    keys = [ShardKeys(organisation, shard) for shard in range(shards)]
    wallets: dict[str, dict[str, Any]] = {}
    for row in await pool.fetch(statement("balances", PACKAGE), organisation, None):
        wallet = wallets.setdefault(row["voter"], {"paid": 0, "lots": []})
        if row["account"] == "paid":
            wallet["paid"] += row["votes"]
        else:  # in the order of their expiry
            wallet["lots"] += (_ms(row["expires_at"]), row["lot"], row["votes"])
    voters = list(wallets)
    for start in range(0, len(voters), BATCH):
        async with client.pipeline(transaction=False) as pipe:
            for voter in voters[start : start + BATCH]:
                held = wallets[voter]
                name = keys[shard_of(voter, shards)].wallet(voter)
                pipe.hset(name, mapping={"paid": held["paid"], "lots": _encode(held["lots"])})
            await pipe.execute()
    return len(voters)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
