"""The writer of one shard: moves stream entries to PostgreSQL, exactly once.

A batch of entries and the watermark behind it go into one transaction, on condition that the watermark is still
the one the batch was read from. So a crash at any point repeats nothing and skips nothing, and a second writer
that believes it holds the lease does no harm. While PostgreSQL works on a batch, the next one is read and made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Protocol

import msgspec
import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.settings import Ledger as LedgerSettings
from voting.ledger.entries import EntryError, StreamId, Voided, WindowOpened, moment
from voting.ledger.metrics import OUTAGES, STOPPED, WRITTEN
from voting.ledger.reader import Batch, StreamReader
from voting.ledger.rows import COLUMNS, HEADER, TRAILER
from voting.ledger.store import OUTAGE, REFUSED, Connection, Pool, partition, statement
from voting.wallet import journal

BACKOFF_S: Final = (0.1, 5.0)
"""The first and the longest wait between two tries in an outage."""

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
        self._fresh = False
        self._reader = StreamReader(organisation, shard, client, pool, settings)
        self._labels = (organisation, str(shard))
        self._log = structlog.get_logger().bind(organisation=organisation, shard=shard)

    # --- the loop -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Writes whenever the lease is held, through every outage, until cancelled or `stopped`."""
        STOPPED.labels(*self._labels).set(0)
        try:
            await self._run()
        finally:
            await self._reader.drop()

    async def _run(self) -> None:
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
        batches = await self._reader.loaded(self.position)
        entries = sum(len(batch.entries) for batch in batches)
        full = entries >= self._reader.count
        rows = 0
        for batch in batches:
            if not self._lease.held:
                return rows
            if full and batch is batches[-1]:
                self._reader.load_ahead(batch)
            rows += await self._write_or_find(batch)
        if batches:
            await self._trim()
            self._reader.adapt(entries, rows)
            if not full:
                await asyncio.sleep(self._settings.poll_ms / 1000)
        return rows

    # --- reading --------------------------------------------------------------------------------------------

    async def _reload(self) -> None:
        await self._reader.drop()
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

    # --- writing --------------------------------------------------------------------------------------------

    async def _write_or_find(self, batch: Batch) -> int:
        """Writes a batch; if PostgreSQL refuses it, all before the bad entry, so that the shard stands right there."""
        try:
            return await self._write(batch)
        except EntryError:
            await self._reader.drop()
            if len(batch.entries) == 1:
                raise
        return sum([await self._write(await self._reader.make([entry])) for entry in batch.entries])

    async def _write(self, batch: Batch) -> int:
        """One transaction: windows, votes, voids, watermark. All of it or nothing, and only from where we have read."""
        last = batch.entries[-1].entry_id
        try:
            async with self._pool.acquire() as connection:
                await self._commit(connection, batch)
        except REFUSED as error:
            first = batch.entries[0].entry_id
            raise EntryError(first, f"PostgreSQL refuses a row of the batch to {last}: {error}") from error
        self.position = StreamId.parse(last)
        self.written += batch.total
        WRITTEN.labels(*self._labels).inc(batch.total)
        return batch.total

    async def _commit(self, connection: Connection, batch: Batch) -> None:
        async with connection.transaction():
            await self._move_watermark(connection, batch.entries[-1].entry_id, len(batch.entries), batch.total)
            for entry in batch.entries:
                if isinstance(entry, WindowOpened):
                    await self._insert_window(connection, entry)
                elif isinstance(entry, Voided):
                    await self._insert_voids(connection, entry)
            for ref, pieces in batch.rows.items():
                await self._copy(connection, ref, pieces)
            await journal.write(connection, self._organisation, batch.entries)

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
            opened.canonical,
            opened.show_id,
            opened.timezone,
            opened.round,
            opened.season,
            opened.rehearsal,
            opened.visibility,
        )

    async def _insert_voids(self, connection: Connection, entry: Voided) -> None:
        why, votes = entry.why, entry.votes
        await connection.execute(
            statement("insert_voids"),
            self._organisation,
            self._reader.episodes[entry.window_id],
            entry.window_id,
            self.shard,
            why.reason,
            why.voided_by,
            why.approved_by,
            moment(why.voided_ms),
            [vote.vote_id for vote in votes],
            [vote.contestant_id for vote in votes],
            [vote.vote_type for vote in votes],
            [vote.votes for vote in votes],
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
