"""What ledger tests put into the engines: an episode, a window, ballots as the script of the ballot writes them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.ids import uuid7
from broadcast_sync.wire.server import ContestantInfo
from voting.ledger.entries import Opened

ORG = "test"
OPENS_MS = 1_800_000_000_000
CONTESTANTS = tuple(ContestantInfo(f"c{n:02d}", n, f"Singer {n}", "", "active") for n in range(1, 5))


class AlwaysHeld:
    """A lease that nobody takes away, unless the test does."""

    def __init__(self) -> None:
        self.held = True

    async def wait_held(self) -> None:
        assert self.held


async def seed_episode(pool: Any, number: int = 1) -> int:
    """An organisation, a season and an episode; returns the episode's ref."""
    await pool.execute("INSERT INTO organisations (org_id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", ORG)
    await pool.execute(
        "INSERT INTO seasons (org_id, season_id, title) VALUES ($1, 's1', 'S') ON CONFLICT DO NOTHING", ORG
    )
    ref: int = await pool.fetchval(
        "INSERT INTO episodes (org_id, season_id, show_id, number, title) VALUES ($1, 's1', 'demo', $2, 'E')"
        " RETURNING ref",
        ORG,
        number,
    )
    return ref


async def open_window(client: Redis, ref: int, shard: int = 0, window_id: str = "") -> str:
    """Appends the k=o entry of a window to a shard's stream."""
    window_id = window_id or str(uuid7())
    opened = Opened(
        "demo", 1, ref, OPENS_MS, OPENS_MS + 90_000, OPENS_MS + 95_000, "xfactor", "sha256:00", {"a": 1}, CONTESTANTS
    )
    fields: dict[Any, Any] = {"k": "o", "w": window_id, "d": msgspec.json.encode(opened)}
    await client.xadd(ShardKeys(ORG, shard).stream, fields)
    return window_id


def row(contestant: str = "c01", count: int = 1, weight: int = 1, client_id: str = "x", **other: Any) -> list[Any]:
    """One ballot's row of the stream."""
    vote_id = other.get("vote_id") or uuid7().bytes
    return [vote_id, other.get("voter", "v1"), contestant, "free", count, weight, client_id, OPENS_MS + 123, None]


async def cast(client: Redis, window_id: str, rows: list[list[Any]], shard: int = 0) -> set[UUID]:
    """Appends rows as one k=b entry, counts them in the tally, returns their vote ids."""
    keys = ShardKeys(ORG, shard)
    fields: dict[Any, Any] = {"k": "b", "w": window_id, "n": len(rows), "v": msgspec.msgpack.encode(rows)}
    async with client.pipeline(transaction=True) as pipe:
        for item in rows:
            pipe.hincrby(keys.tally(window_id), item[2], item[4] * item[5])
        pipe.xadd(keys.stream, fields)
        await pipe.execute()
    return {UUID(bytes=item[0]) for item in rows}


async def ledger_ids(pool: Any) -> list[UUID]:
    """Every vote id in the ledger, repeats included."""
    return [UUID(bytes=found["vote_id"].bytes) for found in await pool.fetch("SELECT vote_id FROM votes")]
