"""What each index on the votes costs the ledger's writer, and what it gives a reader, in one run and by turns.

    python -m bench.ledger_indexes [--rows 400000] [--rounds 2]

Binary COPY of rows made beforehand, 20,000 a transaction, into a partition with the primary key and the index named;
`none` has not even the key and is the floor. `backend µs` is the CPU time of PostgreSQL's own process a row; `lookup
ms` is a voter's newest 20 votes, of 2,000,000 voters who voted in random order. Prints a table, writes nothing.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Final
from uuid import UUID

import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from bench.ledger_copy import ORG, PER_TRANSACTION, episode
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Engine, Settings
from voting.ledger.entries import Ballots
from voting.ledger.migrate import migrate
from voting.ledger.rows import COLUMNS, HEADER, TRAILER, binary_rows
from voting.ledger.store import Connection, Pool, open_pool

VOTERS: Final = 2_000_000
LOOKUPS: Final = 10
KEY: Final = "ALTER TABLE {0} ADD PRIMARY KEY (episode_ref, vote_id)"
VARIANTS: Final = {
    "none": (),
    "key": (KEY,),
    "key, hash (voter)": (KEY, "CREATE INDEX ON {0} USING hash (voter)"),
    "key, btree (voter, vote_id)": (KEY, "CREATE INDEX ON {0} (voter, vote_id)"),
    "key, brin bloom (voter)": (KEY, "CREATE INDEX ON {0} USING brin (voter text_bloom_ops)"),
}


class Figure(msgspec.Struct, frozen=True):
    """`lookup_ms` 0 where nothing helps a reader."""

    rows_s: float
    backend_us: float
    index_bytes: float
    lookup_ms: float


def made(rows: int, window: str, ref: int) -> list[bytes]:
    """The rows as COPY takes them, a piece a transaction."""
    now = time.time_ns() // 1_000_000
    parts: list[bytes] = []
    for start in range(0, rows, PER_TRANSACTION):
        part = [
            (
                uuid7().bytes, f"user-{random.randrange(VOTERS):07d}", f"c{n % 12 + 1:02d}", "free", 1, 1,
                f"id-{n:08x}-abcd", now, None,
            )
            for n in range(start, min(rows, start + PER_TRANSACTION))
        ]
        entry = Ballots("1-1", UUID(window), len(part), msgspec.msgpack.encode(part))
        parts.append(binary_rows(entry, ORG, 0, ref))
    return parts


def cpu_s(pid: int) -> float:
    """User and system time of a process, to the hundredth of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def copied(part: bytes) -> AsyncIterator[bytes]:
    yield HEADER
    yield part
    yield TRAILER


async def measured(pool: Pool, statements: tuple[str, ...], number: int, rows: int, reads: bool) -> Figure:
    """One variant, in a table of its own that goes again."""
    ref, window = await episode(pool, number)
    table = f"alone_{ref}"
    await pool.execute(f"CREATE TABLE {table} (LIKE votes INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    for statement in statements:
        await pool.execute(statement.format(table))
    parts = made(rows, window, ref)
    await pool.execute("CHECKPOINT")
    async with pool.acquire() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        started, cpu = time.perf_counter(), cpu_s(pid)
        for part in parts:
            await connection.copy_to_table(table, source=copied(part), columns=COLUMNS, format="binary")
        took, worked = time.perf_counter() - started, cpu_s(pid) - cpu
        size = await connection.fetchval(f"SELECT pg_indexes_size('{table}')")
        lookup = await looked_up(connection, table) if reads else 0.0
    await pool.execute(f"DROP TABLE {table}")
    return Figure(rows / took, worked / rows * 1e6, size / rows, lookup)


async def looked_up(connection: Connection, table: str) -> float:
    """Milliseconds of one voter's history; the first of each table warms up."""
    query = f"SELECT vote_id FROM {table} WHERE voter = $1 ORDER BY vote_id DESC LIMIT 20"
    await connection.fetch(query, "user-0000000")
    started = time.perf_counter()
    for _ in range(LOOKUPS):
        await connection.fetch(query, f"user-{random.randrange(VOTERS):07d}")
    return (time.perf_counter() - started) / LOOKUPS * 1000


async def run(rows: int, rounds: int, data: str) -> dict[str, list[Figure]]:
    found: dict[str, list[Figure]] = {name: [] for name in VARIANTS}
    async with open_engines(Settings(engine=Engine(data_dir=data, min_free_mb=0)), serve=True) as engines:
        await migrate(engines.postgres_url)
        pool = await open_pool(engines.postgres_url)
        try:
            await pool.execute("INSERT INTO organisations (org_id, name) VALUES ($1, $1)", ORG)
            await pool.execute("INSERT INTO seasons VALUES ($1, 's', 'S')", ORG)
            for turn in range(rounds):
                for place, (name, statements) in enumerate(VARIANTS.items(), 1):
                    number = turn * len(VARIANTS) + place
                    found[name].append(await measured(pool, statements, number, rows, len(statements) > 1))
        finally:
            await pool.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="What each index on the votes costs.")
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bs-bench-") as folder:
        found = uvloop.run(run(arguments.rows, arguments.rounds, folder))
    floor = median(figure.rows_s for figure in found["none"])
    table = Table(title=f"{arguments.rows:,} rows, median of {arguments.rounds} rounds")
    for name in ("indexes", "rows/s", "x floor", "backend µs a row", "index B a row", "lookup ms"):
        table.add_column(name, justify="left" if name == "indexes" else "right")
    for name, figures in found.items():
        rate = median(figure.rows_s for figure in figures)
        lookup = median(figure.lookup_ms for figure in figures)
        table.add_row(
            name, f"{rate:,.0f}", f"{rate / floor:.2f}", f"{median(figure.backend_us for figure in figures):.2f}",
            f"{median(figure.index_bytes for figure in figures):.0f}", f"{lookup:.2f}" if lookup else "",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
