"""The writer of one shard: moves stream entries to PostgreSQL, exactly once.

A batch of entries and the watermark behind it go into one transaction, on condition that the watermark is still
the one the batch was read from. So a crash at any point repeats nothing and skips nothing, and a second writer
that believes it holds the lease does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.settings import Ledger as LedgerSettings
from voting.ledger.entries import (
    Ballots,
    Entry,
    EntryError,
    StreamId,
    WindowOpened,
    moment,
    read_entry,
)
from voting.ledger.metrics import OUTAGES, STOPPED, WRITTEN
from voting.ledger.rows import COLUMNS, HEADER, TRAILER, binary_rows
from voting.ledger.store import OUTAGE, REFUSED, Connection, Pool, ensure_partition, partition, statement

BACKOFF_S: Final = (0.1, 5.0)
"""The first and the longest wait between two tries in an outage."""
ENTRIES_MAX: Final = 512
"""The most entries of one read; each holds up to `[voting] batch_max` rows."""
BLOCK_MS: Final = 1_000
"""The longest wait in one read of an idle stream, well below the client's timeout."""


class Ahead(Exception):
    """Another writer has moved the watermark since it was read; nothing was written."""


class Turn(Protocol):
    """The part of a lease that a writer looks at."""

    @property
    def held(self) -> bool: ...

    async def wait_held(self) -> None: ...


class LedgerWriter:
    """Writes one shard while `lease` is held. `run` ends when an entry cannot be brought into the ledger: then
    `stopped` says why, the shard stands still at that entry and its votes wait in the stream. `client` needs a
    connection to spare, as a read of an idle stream waits in it."""

    def __init__(
        self, organisation: str, shard: int, client: Redis, pool: Pool, lease: Turn, settings: LedgerSettings
    ) -> None:
        self.shard = shard
        self.stopped: EntryError | None = None
        self.position = StreamId(0, 0)
        """The watermark as last read or moved by this writer."""
        self.written = 0
        """Rows this writer has committed."""
        self._organisation = organisation
        self._keys = ShardKeys(organisation, shard)
        self._client = client
        self._pool = pool
        self._lease = lease
        self._settings = settings
        self._episodes: dict[UUID, int] = {}
        self._partitions: set[int] = set()
        self._count = 64
        self._fresh = False
        self._labels = (organisation, str(shard))
        self._log = structlog.get_logger().bind(organisation=organisation, shard=shard)

    # --- the loop -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Writes whenever the lease is held, through every outage, until cancelled or `stopped`."""
        STOPPED.labels(*self._labels).set(0)
        wait_s, _ = BACKOFF_S
        down = False
        while True:
            heed_cancellation()
            await self._lease.wait_held()
            try:
                await self.step()
            except EntryError as error:
                self.stopped = error
                STOPPED.labels(*self._labels).set(1)
                self._log.error("ledger_shard_stopped", entry=error.entry_id, reason=error.reason)
                return
            except Ahead:
                self._fresh = False
                self._log.warning("ledger_writer_overtaken", position=str(self.position))
                continue
            except (*OUTAGE, *VALKEY_ERRORS) as error:
                self._fresh = False
                if not down:
                    down = True
                    OUTAGES.labels(*self._labels).inc()
                    self._log.error("ledger_outage", error=repr(error))
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, BACKOFF_S[1])
                continue
            if down:
                down = False
                self._log.info("ledger_resumed", position=str(self.position))
            wait_s, _ = BACKOFF_S

    async def step(self) -> int:
        """Reads once and writes all of it; returns the rows written. Waits at most `poll_ms` for entries, and
        after a read that was not full as long again, so that a quiet shard costs few transactions."""
        if not self._fresh:
            await self._reload()
        entries = await self._read()
        rows = 0
        for batch in self._batches(entries):
            if not self._lease.held:
                return rows
            rows += await self._write_or_find(batch)
        if entries:
            await self._trim()
            full = len(entries) >= self._count
            self._adapt(len(entries), rows)
            if not full:
                await asyncio.sleep(self._settings.poll_ms / 1000)
        return rows

    # --- reading --------------------------------------------------------------------------------------------

    async def _reload(self) -> None:
        row = await self._pool.fetchrow(statement("read_watermark"), self._organisation, self._keys.stream)
        self.position = StreamId.parse(row["last_id"])
        note = await self._client.get(self._keys.trimmed)
        trimmed = StreamId.parse(note) if note else self.position
        if trimmed > self.position:
            raise EntryError(
                str(self.position),
                f"the database stands before {trimmed}, up to where the stream has been trimmed: votes would be "
                f"missing; restore the newer database, or accept the gap: DEL {self._keys.trimmed}, then restart",
            )
        self._fresh = True

    async def _read(self) -> list[Entry]:
        block = min(self._settings.poll_ms, BLOCK_MS)
        answer: Any = await self._client.xread({self._keys.stream: str(self.position)}, self._count, block)
        if not answer:
            return []
        found = answer[0][1] if isinstance(answer, list) else next(iter(answer.values()))[0]
        entries: list[Entry] = []
        for entry_id, fields in found:
            try:
                entries.append(read_entry(entry_id.decode("ascii"), fields))
            except EntryError:
                if not entries:
                    raise
                break  # first what stands before it; the next read begins here
        return entries

    def _batches(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        """Cuts before a batch would hold more than `copy_max` rows; an entry is never divided."""
        batch: list[Entry] = []
        rows = 0
        for entry in entries:
            count = entry.size if isinstance(entry, Ballots) else 0
            if batch and rows + count > self._settings.copy_max:
                yield batch
                batch, rows = [], 0
            batch.append(entry)
            rows += count
        if batch:
            yield batch

    def _adapt(self, entries: int, rows: int) -> None:
        """Reads as many entries as make about `copy_max` rows, going by the last read."""
        if rows > self._settings.copy_max:
            self._count = max(1, self._count // 2)
        elif entries >= self._count and rows * 2 <= self._settings.copy_max:
            self._count = min(ENTRIES_MAX, self._count * 2)

    # --- writing --------------------------------------------------------------------------------------------

    async def _write_or_find(self, batch: list[Entry]) -> int:
        """Writes a batch; if one of its entries is bad, all before that one, so that the shard stands right there."""
        try:
            return await self._write(batch)
        except EntryError:
            if len(batch) == 1:
                raise
        return sum([await self._write([entry]) for entry in batch])

    async def _write(self, batch: list[Entry]) -> int:
        """One transaction: windows, votes, watermark. All of it or nothing, and only from where we have read."""
        last = batch[-1].entry_id
        try:
            async with self._pool.acquire() as connection:
                await self._prepare(connection, batch)
                total = sum(entry.size for entry in batch if isinstance(entry, Ballots))
                await self._commit(connection, batch, await self._rows(batch), total)
        except REFUSED as error:
            raise EntryError(batch[0].entry_id, f"PostgreSQL refuses a row of the batch to {last}: {error}") from error
        self.position = StreamId.parse(last)
        self.written += total
        WRITTEN.labels(*self._labels).inc(total)
        return total

    async def _prepare(self, connection: Connection, batch: list[Entry]) -> None:
        """Learns the episodes of the batch's windows and makes their partitions, before the transaction."""
        for entry in batch:
            ref = self._episodes.get(entry.window_id)
            if ref is None:
                ref = await self._episode(connection, entry)
            if ref not in self._partitions:
                await ensure_partition(connection, ref)
                self._partitions.add(ref)

    async def _episode(self, connection: Connection, entry: Entry) -> int:
        if isinstance(entry, WindowOpened):
            ref: int | None = entry.opened.episode_ref
        else:
            ref = await connection.fetchval(statement("window_episode"), self._organisation, entry.window_id)
        if ref is None:
            raise EntryError(entry.entry_id, f"belongs to the window {entry.window_id}, which was never opened")
        self._episodes[entry.window_id] = ref
        return ref

    async def _rows(self, batch: list[Entry]) -> dict[int, list[bytes]]:
        """The batch's rows by episode, as COPY takes them, a piece an entry."""
        rows: dict[int, list[bytes]] = {}
        for entry in batch:
            if isinstance(entry, Ballots):
                ref = self._episodes[entry.window_id]
                rows.setdefault(ref, []).append(binary_rows(entry, self._organisation, self.shard, ref))
                await asyncio.sleep(0)  # a long batch must not hold up the sockets of this process
        return rows

    async def _commit(
        self, connection: Connection, batch: list[Entry], rows: dict[int, list[bytes]], total: int
    ) -> None:
        async with connection.transaction():
            await self._move_watermark(connection, batch[-1].entry_id, len(batch), total)
            for entry in batch:
                if isinstance(entry, WindowOpened):
                    await self._insert_window(connection, entry)
            for ref, pieces in rows.items():
                await self._copy(connection, ref, pieces)

    async def _move_watermark(self, connection: Connection, last: str, entries: int, rows: int) -> None:
        """First in the transaction: its row lock makes a rival wait, and then find the watermark moved."""
        moved = await connection.fetchval(
            statement("move_watermark"),
            self._organisation,
            self._keys.stream,
            str(self.position),
            last,
            entries,
            rows,
        )
        if moved is None:
            raise Ahead

    async def _insert_window(self, connection: Connection, entry: WindowOpened) -> None:
        opened = entry.opened
        await connection.execute(
            statement("insert_window"),
            self._organisation,
            entry.window_id,
            opened.episode_ref,
            moment(opened.opens_ms),
            moment(opened.closes_ms),
            moment(opened.hard_closes_ms),
            opened.ruleset,
            opened.rules_hash,
            msgspec.json.encode(opened.rules).decode(),
            msgspec.json.encode(opened.contestants).decode(),
        )

    async def _copy(self, connection: Connection, episode_ref: int, pieces: list[bytes]) -> None:
        await connection.copy_to_table(
            partition(episode_ref), source=_copied(pieces), columns=COLUMNS, format="binary"
        )

    async def _trim(self) -> None:
        """Drops what is behind the watermark, and leaves a note of how far, which a stale database is told by."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.set(self._keys.trimmed, str(self.position))
        pipeline.xtrim(self._keys.stream, minid=f"{self.position.ms}-{self.position.seq + 1}", approximate=False)
        await pipeline.execute()


async def _copied(pieces: list[bytes]) -> AsyncIterator[bytes]:
    """A whole COPY of `pieces`, letting the event loop run between them."""
    yield HEADER
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)
    yield TRAILER
