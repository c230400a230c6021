"""The writer against a real Valkey and a real PostgreSQL: nothing repeated, nothing skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as ValkeyGone

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.settings import Ledger
from tests.support.ledger import ORG, AlwaysHeld, cast, ledger_ids, open_window, row, seed_episode
from voting.ledger.entries import EntryError
from voting.ledger.recount import recount, tallied
from voting.ledger.store import open_pool
from voting.ledger.writer import Ahead, LedgerWriter

KEYS = ShardKeys(ORG, 0)
FAST = Ledger(poll_ms=1)


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Any]:
    pool = await open_pool(postgres_url)
    yield pool
    await pool.close()


def writer(valkey: Redis, pool: Any, settings: Ledger = FAST) -> LedgerWriter:
    return LedgerWriter(ORG, 0, valkey, pool, AlwaysHeld(), settings)


async def drain(one: LedgerWriter) -> None:
    """Steps until a step finds nothing."""
    while True:
        before = one.position
        await one.step()
        if one.position == before:
            return


async def test_stream_and_table_are_equal_id_by_id(valkey: Redis, pool: Any) -> None:
    window = await open_window(valkey, await seed_episode(pool))
    sent = set()
    for n in range(40):
        sent |= await cast(valkey, window, [row(f"c0{n % 4 + 1}", 2, 3, f"{n}-{i}") for i in range(n % 7 + 1)])
    await drain(writer(valkey, pool, Ledger(poll_ms=1, copy_max=9)))
    found = await ledger_ids(pool)
    assert len(found) == len(sent) and set(found) == sent
    assert await recount(pool, ORG, window) == await tallied(valkey, ORG, 1, window)
    mark = await pool.fetchrow("SELECT * FROM watermarks")
    assert (mark["entries"], mark["votes"]) == (41, len(sent))
    assert await valkey.xlen(KEYS.stream) == 0


async def test_rows_are_stored_as_they_were_cast(valkey: Redis, pool: Any) -> None:
    ref = await seed_episode(pool)
    window = await open_window(valkey, ref)
    await cast(valkey, window, [row("c02", 5, 1, "ភាសាខ្មែរ", voter="u\N{SNOWMAN}")])
    await drain(writer(valkey, pool))
    found = await pool.fetchrow("SELECT * FROM votes")
    assert (found["org_id"], found["episode_ref"], str(found["window_id"]), found["shard"]) == (ORG, ref, window, 0)
    assert (found["voter"], found["contestant_id"], found["client_id"]) == ("u\N{SNOWMAN}", "c02", "ភាសាខ្មែរ")
    assert (found["vote_count"], found["weight"], found["metadata"]) == (5, 1, None)
    assert found["received_at"].timestamp() == 1_800_000_000.123


@pytest.mark.parametrize("where", ["_move_watermark", "_insert_window", "_copy", "_trim", "_read", "_prepare"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [asyncio.CancelledError, ConnectionResetError, ValkeyGone])
async def test_a_writer_killed_at_any_step_repeats_and_skips_nothing(
    valkey: Redis, pool: Any, monkeypatch: pytest.MonkeyPatch, where: str, after: bool, error: type[BaseException]
) -> None:
    window = await open_window(valkey, await seed_episode(pool))
    sent = await cast(valkey, window, [row(client_id=str(i)) for i in range(5)])
    killed = writer(valkey, pool)
    part = killed._reader if hasattr(killed._reader, where) else killed
    real = getattr(part, where)

    async def dies(*args: Any) -> Any:
        if after:
            await real(*args)
        raise error

    monkeypatch.setattr(part, where, dies)
    with pytest.raises(error):
        await killed.step()
    sent |= await cast(valkey, window, [row(client_id="later")])
    await drain(writer(valkey, pool))
    found = await ledger_ids(pool)
    assert len(found) == len(sent) and set(found) == sent


async def test_of_two_writers_that_read_the_same_one_writes(valkey: Redis, pool: Any) -> None:
    window = await open_window(valkey, await seed_episode(pool))
    sent = await cast(valkey, window, [row(client_id=str(i)) for i in range(50)])
    first, second = writer(valkey, pool), writer(valkey, pool)
    await first._reload()
    await second._reload()
    [one], [other] = [await each._reader.loaded(each.position) for each in (first, second)]
    outcomes = await asyncio.gather(first._write(one), second._write(other), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [Ahead.__name__, "int"]
    assert set(await ledger_ids(pool)) == sent


async def test_two_running_writers_and_a_busy_stream(valkey: Redis, pool: Any) -> None:
    window = await open_window(valkey, await seed_episode(pool))
    writers = [writer(valkey, pool) for _ in range(2)]
    tasks = [asyncio.create_task(one.run()) for one in writers]
    sent = set()
    for n in range(60):
        sent |= await cast(valkey, window, [row(client_id=f"{n}-{i}") for i in range(3)])
    last = (await valkey.xinfo_stream(KEYS.stream))["last-generated-id"].decode()
    while await pool.fetchval("SELECT last_id FROM watermarks") != last:
        pass
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    found = await ledger_ids(pool)
    assert len(found) == len(sent) and set(found) == sent


async def test_a_lost_lease_stops_between_batches(valkey: Redis, pool: Any) -> None:
    window = await open_window(valkey, await seed_episode(pool))
    await cast(valkey, window, [row(client_id=str(i)) for i in range(3)])
    await cast(valkey, window, [row(client_id=str(i)) for i in range(3)])
    turn = AlwaysHeld()
    one = LedgerWriter(ORG, 0, valkey, pool, turn, Ledger(poll_ms=1, copy_max=3))
    real = one._write

    async def then_lose(batch: Any) -> int:
        written = await real(batch)
        turn.held = False
        return written

    one._write = then_lose  # type: ignore[method-assign]
    assert await one.step() == 3
    assert len(await ledger_ids(pool)) == 3


BAD = {
    "unknown kind": {"k": "z", "w": "018f0000-0000-7000-8000-000000000000"},
    "no kind": {"n": "1", "v": b"\x90"},
    "no rows": {"k": "b", "n": "1"},
    "not a uuid": {"k": "b", "w": "nonsense", "n": "1", "v": b"\x90"},
    "no msgpack": {"k": "b", "n": "1", "v": b"\xc1"},
    "wrong count": {"k": "b", "n": "2", "v": b"\x90"},
    "unknown window": {"k": "b", "w": "018f0000-0000-7000-8000-000000000000", "n": "0", "v": b"\x90"},
    "half a window": {"k": "o", "d": b"{}"},
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
async def test_an_entry_that_cannot_be_read_stops_the_shard_right_there(
    valkey: Redis, pool: Any, fields: dict[Any, Any]
) -> None:
    window = await open_window(valkey, await seed_episode(pool))
    before = await cast(valkey, window, [row()])
    await valkey.xadd(KEYS.stream, {**fields, "w": fields.get("w", window)})
    bad_id = (await valkey.xinfo_stream(KEYS.stream))["last-generated-id"].decode()
    await cast(valkey, window, [row()])
    one = writer(valkey, pool)
    await one.run()
    assert one.stopped is not None and one.stopped.entry_id == bad_id
    assert set(await ledger_ids(pool)) == before
    assert await valkey.xlen(KEYS.stream) >= 2


@pytest.mark.parametrize("bad", [row("c01", 0), row("c01", 2**40), row(vote_id=b"short")], ids=["0", "2^40", "id"])
async def test_a_row_that_postgres_refuses_stops_the_shard(valkey: Redis, pool: Any, bad: list[Any]) -> None:
    window = await open_window(valkey, await seed_episode(pool))
    before = await cast(valkey, window, [row()])
    await valkey.xadd(KEYS.stream, {"k": "b", "w": window, "n": 1, "v": msgspec.msgpack.encode([bad])})
    one = writer(valkey, pool)
    await one.run()
    assert one.stopped is not None
    assert set(await ledger_ids(pool)) == before


async def test_a_nul_character_costs_itself_only(valkey: Redis, pool: Any) -> None:
    window = await open_window(valkey, await seed_episode(pool))
    sent = await cast(valkey, window, [row(client_id="a\0b"), row()])
    await drain(writer(valkey, pool))
    assert set(await ledger_ids(pool)) == sent
    assert await pool.fetchval("SELECT client_id FROM votes WHERE client_id <> 'x'") == "a\ufffdb"


async def test_a_database_older_than_the_trimmed_stream_stops_the_shard(valkey: Redis, pool: Any) -> None:
    window = await open_window(valkey, await seed_episode(pool))
    await cast(valkey, window, [row()])
    await drain(writer(valkey, pool))
    await pool.execute("UPDATE watermarks SET last_id = '0-0'")
    with pytest.raises(EntryError, match="restore the newer database"):
        await writer(valkey, pool).step()
    await valkey.delete(KEYS.trimmed)
    await writer(valkey, pool).step()


async def test_windows_of_two_episodes_go_to_their_partitions(valkey: Redis, pool: Any) -> None:
    refs = [await seed_episode(pool, n) for n in (1, 2)]
    windows = [await open_window(valkey, ref) for ref in refs]
    for window in windows * 2:
        await cast(valkey, window, [row()])
    await drain(writer(valkey, pool))
    assert [await pool.fetchval(f"SELECT count(*) FROM votes_{ref}") for ref in refs] == [2, 2]


async def test_an_outage_of_postgres_is_waited_out(
    valkey: Redis, pool: Any, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All connections are cut and new ones refused, as by a restart; then it comes back."""
    monkeypatch.setattr("voting.ledger.writer.BACKOFF_S", (0.01, 0.02))
    window = await open_window(valkey, await seed_episode(pool))
    sent = await cast(valkey, window, [row()])
    name = postgres_url.partition("@/")[2].partition("?")[0]
    other = await asyncpg.connect(postgres_url.replace(f"/{name}?", "/postgres?"))
    one = writer(valkey, pool)
    resumed = asyncio.Event()
    refused = asyncio.Event()
    real = one._reload

    async def watched() -> None:
        try:
            await real()
        except asyncpg.PostgresError:
            refused.set()
            raise
        resumed.set()

    task = None
    try:
        await one.step()
        await other.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        monkeypatch.setattr(one, "_reload", watched)
        sent |= await cast(valkey, window, [row()])
        task = asyncio.create_task(one.run())
        await refused.wait()
        await other.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        await resumed.wait()
        while len(await ledger_ids(pool)) < 2:
            pass
    finally:
        if task:
            task.cancel()
        await other.close()
    assert set(await ledger_ids(pool)) == sent
