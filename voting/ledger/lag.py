"""How far the ledger is behind its streams."""

from __future__ import annotations

from typing import NamedTuple

from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys
from voting.ledger.entries import StreamId
from voting.ledger.recount import last_ids
from voting.ledger.store import Pool, statement


class Lag(NamedTuple):
    """Stream entries, and votes they hold, that are not in the ledger yet. 0 exactly when nothing is; else the
    votes are an estimate from entries of the usual size, at least one an entry."""

    entries: int
    votes: int


async def lag(client: Redis, pool: Pool, organisation: str, shards: int) -> Lag:
    """The lag of all shards now. Errors of either engine pass through."""
    rows = {row["stream"]: row for row in await pool.fetch(statement("watermarks"), organisation)}
    last = await last_ids(client, organisation, shards)
    entries = votes = 0
    for shard in range(shards):
        stream = ShardKeys(organisation, shard).stream
        row = rows.get(stream)
        position = StreamId(0, 0) if row is None else StreamId.parse(row["last_id"])
        if position >= last[stream]:
            continue
        waiting = max(1, await client.xlen(stream))  # a written entry stays only until the trim that follows it
        entries += waiting
        per_entry = 1.0 if row is None or not row["entries"] else max(1.0, row["votes"] / row["entries"])
        votes += round(waiting * per_entry)
    return Lag(entries, votes)
