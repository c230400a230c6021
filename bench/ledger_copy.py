"""Rows a second into the ledger: the writer's whole way and its COPY alone, beside a floor and a peer, in one run.

    python -m bench.ledger_copy [--rows 200000] [--data DIR]

floor   COPY of the same rows, binary and made beforehand, into a bare table without index or constraint
copy    the writer's COPY of decoded rows into the real partition, with its indexes, trigger and constraints
writer  stream entries of 512 ballots -> decode -> COPY + watermark -> trim, by LedgerWriter itself
peer    executemany INSERT of the same rows into the real partition (a tenth of them)

Embedded engines in a folder of their own, on the same machine. The CPU column is user and system time of this process
alone. The result is printed and written to bench/results/ledger_copy.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import uvloop
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Engine, Ledger, Settings
from voting.ledger.entries import moment
from voting.ledger.migrate import migrate
from voting.ledger.rows import COLUMNS
from voting.ledger.store import Pool, ensure_partition, open_pool
from voting.ledger.writer import LedgerWriter

Record = tuple[Any, ...]
RESULT: Final = Path(__file__).parent / "results" / "ledger_copy.json"
ORG: Final = "bench"
BATCH: Final = 512
PER_TRANSACTION: Final = Ledger().copy_max


class Always:
    """A lease that is always held."""

    held = True

    async def wait_held(self) -> None:
        return


class Figure(msgspec.Struct, frozen=True):
    """`rows` in `seconds`, of which this process worked `cpu_s`."""

    rows: int
    seconds: float
    cpu_s: float


async def measured(rows: int, work: Callable[[], Awaitable[Any]]) -> Figure:
    started, cpu = time.perf_counter(), time.process_time()
    await work()
    return Figure(rows, time.perf_counter() - started, time.process_time() - cpu)


def ballots(rows: int, window: str) -> list[dict[Any, Any]]:
    """Stream entries as the ballot's script writes them."""
    now = time.time_ns() // 1_000_000
    entries: list[dict[Any, Any]] = []
    for start in range(0, rows, BATCH):
        part = [
            [uuid7().bytes, f"user-{n * 7919 % 50_000:05d}", f"c{n % 12 + 1:02d}", "free", 1, 1, f"id-{n}", now, None]
            for n in range(start, min(start + BATCH, rows))
        ]
        entries.append({"k": "b", "w": window, "n": len(part), "v": msgspec.msgpack.encode(part)})
    return entries


def decoded(entries: list[dict[Any, Any]], ref: int) -> list[list[Record]]:
    """The rows of `entries` in transactions of the writer's size."""
    rows: list[Record] = [
        (ORG, ref, UUID(entry["w"]), 0, *counted, moment(received), UUID(bytes=vote_id), voter, client_id, metadata)
        for entry in entries
        for vote_id, voter, *counted, client_id, received, metadata in msgspec.msgpack.decode(entry["v"])
    ]
    return [rows[start : start + PER_TRANSACTION] for start in range(0, len(rows), PER_TRANSACTION)]


async def copy(pool: Pool, table: str, parts: list[list[Record]]) -> None:
    async with pool.acquire() as connection:
        for part in parts:
            await connection.copy_records_to_table(table, records=part, columns=COLUMNS)


async def floor(pool: Pool, entries: list[dict[Any, Any]], ref: int) -> Figure:
    parts = decoded(entries, ref)
    await pool.execute("CREATE TABLE bare AS SELECT * FROM votes WITH NO DATA")
    await copy(pool, "bare", parts)
    made: list[bytes] = []

    async def keep(data: bytes) -> None:
        made.append(bytes(data))

    async def replay() -> AsyncIterator[bytes]:
        for piece in made:
            yield piece

    async with pool.acquire() as connection:
        await connection.copy_from_table("bare", columns=COLUMNS, output=keep, format="binary")
        await connection.execute("TRUNCATE bare")
        return await measured(
            sum(map(len, parts)),
            lambda: connection.copy_to_table("bare", source=replay(), columns=COLUMNS, format="binary"),
        )


async def real_copy(pool: Pool, entries: list[dict[Any, Any]], ref: int) -> Figure:
    parts = decoded(entries, ref)
    return await measured(sum(map(len, parts)), lambda: copy(pool, f"votes_{ref}", parts))


async def peer(pool: Pool, entries: list[dict[Any, Any]], ref: int) -> Figure:
    parts = decoded(entries[: len(entries) // 10], ref)
    marks = ", ".join(f"${n}" for n in range(1, len(COLUMNS) + 1))
    insert = f"INSERT INTO votes ({', '.join(COLUMNS)}) VALUES ({marks})"

    async def work() -> None:
        for part in parts:
            await pool.executemany(insert, part)

    return await measured(sum(map(len, parts)), work)


async def writer(client: Redis, pool: Pool, entries: list[dict[Any, Any]]) -> Figure:
    stream = ShardKeys(ORG, 0).stream
    for entry in entries:
        await client.xadd(stream, entry)
    one = LedgerWriter(ORG, 0, client, pool, Always(), Ledger())

    async def work() -> None:
        while await client.xlen(stream):
            await one.step()

    return await measured(sum(entry["n"] for entry in entries), work)


async def episode(pool: Pool, number: int) -> tuple[int, str]:
    """A new episode with its partition and a window."""
    ref: int = await pool.fetchval(
        "INSERT INTO episodes (org_id, season_id, show_id, number, title) VALUES ($1, 's', 'd', $2, 'E') RETURNING ref",
        ORG, number,
    )  # fmt: skip
    async with pool.acquire() as connection:
        await ensure_partition(connection, ref)
    window = uuid7()
    await pool.execute(
        "INSERT INTO windows VALUES ($1, $2, $3, now(), now(), now(), 'r', 'h', '{}', '[]')", ORG, window, ref
    )
    return ref, str(window)


async def run(rows: int, data: str) -> dict[str, Figure]:
    settings = Settings(engine=Engine(data_dir=data, min_free_mb=0))
    async with open_engines(settings, serve=True) as engines:
        await migrate(engines.postgres_url)
        pool = await open_pool(engines.postgres_url)
        client = connect(engines.valkey_url)
        try:
            await pool.execute("INSERT INTO organisations (org_id, name) VALUES ($1, $1)", ORG)
            await pool.execute("INSERT INTO seasons VALUES ($1, 's', 'S')", ORG)
            found: dict[str, Figure] = {}
            for number, name in enumerate(("floor", "copy", "writer", "peer"), 1):
                ref, window = await episode(pool, number)
                entries = ballots(rows, window)
                await pool.execute("CHECKPOINT")
                if name == "writer":
                    found[name] = await writer(client, pool, entries)
                else:
                    found[name] = await {"floor": floor, "copy": real_copy, "peer": peer}[name](pool, entries, ref)
            return found
        finally:
            await pool.close()
            await client.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description="Rows a second into the ledger.")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--data", help="folder for the engines; default a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bs-bench-") as folder:
        figures = uvloop.run(run(arguments.rows, arguments.data or folder))
    base = figures["floor"].rows / figures["floor"].seconds
    table = Table(title=f"{arguments.rows:,} rows, {PER_TRANSACTION:,} a transaction")
    for name in ("way", "rows/s", "x floor", "CPU µs a row, this process"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for name, figure in figures.items():
        rate = figure.rows / figure.seconds
        table.add_row(name, f"{rate:,.0f}", f"{rate / base:.2f}", f"{figure.cpu_s / figure.rows * 1e6:.2f}")
    Console().print(table)
    RESULT.parent.mkdir(exist_ok=True)
    saved = {"rows": arguments.rows, "python": platform.python_version(), "figures": msgspec.to_builtins(figures)}
    RESULT.write_text(json.dumps(saved, indent=2) + "\n")


if __name__ == "__main__":
    main()
