from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from msgspec import Raw
from redis.asyncio import Redis

from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.show.cuelog import BATCH, KEPT, CueLog
from broadcast_sync.show.cues import CueRecord
from broadcast_sync.show.store import StageStore
from tests.support.stages import NOW


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=3) as made:
        yield made


@pytest.fixture
def cue_log(valkey: Redis, keys: StageKeys, pool: asyncpg.Pool) -> CueLog:
    return CueLog(valkey, keys, pool, "default")


def record(index: int = 0, **changes: object) -> CueRecord:
    fields: dict[str, object] = {
        "cue_id": f"q{index}", "event": "VOTING_OPEN", "by": "anna", "asked_ms": NOW, "executed_ms": NOW + 5,
        "outcome": "executed", "message": "", "revision": index, "lateness_ms": 5, **changes,
    }
    return CueRecord(**fields)  # type: ignore[arg-type]


async def test_records_are_copied_once_and_read_newest_first(
    store: StageStore, cue_log: CueLog, pool: asyncpg.Pool
) -> None:
    for index in range(3):
        await store.log_refusal(record(index, data=Raw(b'{"duration":90}')))
    assert (await cue_log.copy())[0] == 3
    assert (await cue_log.copy())[0] == 3
    rows = await pool.fetch("SELECT cue_id, data->>'duration' AS duration, executed_at FROM cue_log ORDER BY cue_id")
    assert [(row["cue_id"], row["duration"]) for row in rows] == [("q0", "90"), ("q1", "90"), ("q2", "90")]
    assert rows[0]["executed_at"].timestamp() * 1000 == NOW + 5
    assert [row.cue_id for row in await cue_log.recent(2)] == ["q2", "q1"]


async def test_nothing_a_console_can_send_stops_the_log(
    store: StageStore, cue_log: CueLog, pool: asyncpg.Pool
) -> None:
    await store.log_refusal(
        record(
            cue_id="a\0b", event="\0", by="\0", message="\0", timecode="\0", asked_ms=-62_000_000_000_000,
            lateness_ms=10**14, executed_ms=None, data=Raw(b'{"a\\u0000":"\\u0000","n":1e300,"deep":[[[{}]]]}'),
        )
    )
    await store.log_refusal(record(1, data=Raw(b"null")))
    assert (await cue_log.copy())[0] == 2
    row = await pool.fetchrow("SELECT cue_id, lateness_ms FROM cue_log WHERE revision = 0")
    assert row is not None and (row["cue_id"], row["lateness_ms"]) == ("a\ufffdb", 2**31 - 1)


async def test_the_table_is_append_only(store: StageStore, cue_log: CueLog, pool: asyncpg.Pool) -> None:
    await store.log_refusal(record())
    await cue_log.copy()
    for statement in ("UPDATE cue_log SET outcome = 'x'", "DELETE FROM cue_log"):
        with pytest.raises(asyncpg.PostgresError, match="append-only"):
            await pool.execute(statement)


async def test_the_stream_is_trimmed_behind_what_is_copied(
    store: StageStore, cue_log: CueLog, valkey: Redis, keys: StageKeys, pool: asyncpg.Pool
) -> None:
    total = KEPT + BATCH + 700
    for index in range(total):
        await store.log_refusal(record(index))
    task = asyncio.create_task(cue_log.run())
    trimmed = False
    while not trimmed:
        await asyncio.sleep(0.01)
        trimmed = await valkey.xlen(keys.cues) < total
    while await pool.fetchval("SELECT count(*) FROM cue_log") < total:  # noqa: ASYNC110 - a table has no event
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert KEPT <= await valkey.xlen(keys.cues) < total
    assert [row.revision for row in await cue_log.recent(1)] == [total - 1]
