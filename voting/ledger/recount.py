"""Counts the ledger again and holds it against the tally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys
from voting.ledger.entries import StreamId
from voting.ledger.store import Pool, statement

Comparison = Literal["EQUAL", "PENDING", "DIFFERS"]


def compare(tally: Mapping[str, int], ledger: Mapping[str, int], drained: bool) -> Comparison:
    """PURE. EQUAL if both give every contestant the same votes, none counting as 0; otherwise DIFFERS if the ledger
    had been `drained` of all that the tally counts, PENDING if not yet."""
    if {k: v for k, v in tally.items() if v} == {k: v for k, v in ledger.items() if v}:
        return "EQUAL"
    return "DIFFERS" if drained else "PENDING"


def added(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """PURE. The sum of counts by name."""
    total: dict[str, int] = {}
    for part in parts:
        for name, votes in part.items():
            total[name] = total.get(name, 0) + votes
    return total


async def recount(pool: Pool, organisation: str, window_id: str) -> dict[str, int]:
    """Weighted votes by contestant, counted from the ledger's rows. A window unknown to the ledger has none.

    Raises ValueError if `window_id` is no UUID; PostgreSQL's errors pass through.
    """
    rows = await pool.fetch(statement("recount"), organisation, UUID(window_id))
    return {row["contestant_id"]: row["votes"] for row in rows}


async def tallied(client: Redis, organisation: str, shards: int, window_id: str) -> dict[str, int]:
    """Weighted votes by contestant as the engine has them now, the sum of the shards' tallies."""
    return added([await counts(client, ShardKeys(organisation, shard).tally(window_id)) for shard in range(shards)])


async def counts(client: Redis, key: str) -> dict[str, int]:
    """A hash of numbers by name; empty if there is none."""
    found: Any = await client.hgetall(key)
    return {name.decode(): int(votes) for name, votes in found.items()}


async def latest_window(pool: Pool, organisation: str) -> str | None:
    """The window that opened last, or None if the ledger has none."""
    found = await pool.fetchval(statement("latest_window"), organisation)
    return None if found is None else str(found)


async def known_window(pool: Pool, organisation: str, window_id: str) -> bool:
    """Whether the ledger has heard of the window."""
    return await pool.fetchval(statement("window_episode"), organisation, UUID(window_id)) is not None


async def watermarks(pool: Pool, organisation: str) -> dict[str, StreamId]:
    """How far each stream has been brought into the ledger; a stream without a writer so far is missing."""
    rows = await pool.fetch(statement("watermarks"), organisation)
    return {row["stream"]: StreamId.parse(row["last_id"]) for row in rows}


async def last_ids(client: Redis, organisation: str, shards: int) -> dict[str, StreamId]:
    """The id of the last entry ever added to each shard's stream; 0-0 if there was none."""
    found: dict[str, StreamId] = {}
    for shard in range(shards):
        stream = ShardKeys(organisation, shard).stream
        exists = await client.exists(stream)
        info = await client.xinfo_stream(stream) if exists else {"last-generated-id": b"0-0"}
        found[stream] = StreamId.parse(info["last-generated-id"])
    return found


def reached(marks: Mapping[str, StreamId], targets: Mapping[str, StreamId]) -> bool:
    """PURE. True when every stream's watermark is at or past its target."""
    return all(marks.get(stream, StreamId(0, 0)) >= target for stream, target in targets.items())
