"""The fixtures themselves: each test gets an empty Valkey and a migrated database."""

from __future__ import annotations

import asyncpg
from redis.asyncio import Redis


async def test_the_fixtures_give_clean_engines(valkey: Redis, postgres_url: str) -> None:
    assert await valkey.dbsize() == 0
    await valkey.set("k", b"v")
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT count(*) FROM votes") == 0
    await connection.execute("INSERT INTO organisations (org_id, name) VALUES ('a', 'A')")
    await connection.close()


async def test_the_fixtures_are_clean_again(valkey: Redis, postgres_url: str) -> None:
    assert await valkey.dbsize() == 0
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT count(*) FROM organisations") == 0
    await connection.close()
