"""Reads a shard's stream and makes its entries into batches for the ledger, one batch ahead of the writer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from uuid import UUID

from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.settings import Ledger as LedgerSettings
from voting.ledger.entries import (
    Ballots,
    Changed,
    Entry,
    EntryError,
    Fence,
    StreamId,
    Voided,
    WindowOpened,
    read_entry,
)
from voting.ledger.rows import binary_rows
from voting.ledger.store import Connection, Pool, ensure_partition, statement

ENTRIES_MAX: Final = 512
"""The most entries of one read; each holds up to `[voting] batch_max` rows."""
BLOCK_MS: Final = 1_000
"""The longest wait in one read of an idle stream, well below the client's timeout."""


class Batch(NamedTuple):
    """What one transaction takes: entries in order, their rows by episode as COPY takes them, and their number."""

    entries: list[Entry]
    rows: dict[int, list[bytes]]
    total: int


class StreamReader:
    """One shard's reader. Holds two batches at most, of `copy_max` rows each unless an entry alone has more. `client`
    needs a connection to spare, as a read of an idle stream waits in it."""

    def __init__(self, organisation: str, shard: int, client: Redis, pool: Pool, settings: LedgerSettings) -> None:
        self.episodes: dict[UUID, int] = {}
        """The episode of every window met so far."""
        self.count = 64
        """How many entries one read asks for."""
        self._organisation = organisation
        self._shard = shard
        self._stream = ShardKeys(organisation, shard).stream
        self._client = client
        self._pool = pool
        self._settings = settings
        self._partitions: set[int] = set()
        self._loading: asyncio.Task[list[Batch]] | None = None
        """What follows the batch that is being written; started only after a full read."""

    async def loaded(self, after: StreamId) -> list[Batch]:
        """The batches that follow `after`, loaded ahead or now. EntryError if the first entry is bad; engine errors
        pass through."""
        loading, self._loading = self._loading, None
        if loading is not None:
            return await loading
        return await self._load(after, min(self._settings.poll_ms, BLOCK_MS))

    def load_ahead(self, batch: Batch) -> None:
        """Begins to load what follows `batch`, for the next `loaded`."""
        self._loading = asyncio.create_task(self._load(StreamId.parse(batch.entries[-1].entry_id), None))

    async def drop(self) -> None:
        """Forgets what was loaded ahead: it does not follow the watermark any more."""
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)

    async def _load(self, after: StreamId, block_ms: int | None) -> list[Batch]:
        """Reads what follows `after`, waiting `block_ms` at most, and makes it into batches. A bad entry ends the last
        of them; EntryError if it comes first."""
        batches: list[Batch] = []
        for entries in self._batches(await self._read(after, block_ms)):
            try:
                batches.append(await self.make(entries))
            except EntryError:
                before = await self._before_bad(entries)
                if not before and not batches:
                    raise
                return [*batches, *before]
        return batches

    async def _before_bad(self, entries: list[Entry]) -> list[Batch]:
        """The entries before the bad one, each a batch."""
        made: list[Batch] = []
        for entry in entries:
            try:
                made.append(await self.make([entry]))
            except EntryError:
                break
        return made

    async def make(self, entries: list[Entry]) -> Batch:
        """The entries as one transaction takes them. EntryError if one of them is bad."""
        await self._prepare(entries)
        total = sum(entry.size for entry in entries if isinstance(entry, Ballots))
        return Batch(entries, await self._rows(entries), total)

    async def _read(self, after: StreamId, block_ms: int | None) -> list[Entry]:
        answer: Any = await self._client.xread({self._stream: str(after)}, self.count, block_ms)
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

    def adapt(self, entries: int, rows: int) -> None:
        """From now on reads as many entries as make about `copy_max` rows, going by the last read."""
        if rows > self._settings.copy_max:
            self.count = max(1, self.count // 2)
        elif entries >= self.count and rows * 2 <= self._settings.copy_max:
            self.count = min(ENTRIES_MAX, self.count * 2)

    async def _prepare(self, entries: list[Entry]) -> None:
        """Learns the episodes of the entries' windows and makes sure of their partitions, before any transaction."""
        of_windows = [entry for entry in entries if not isinstance(entry, Changed)]
        if all(self.episodes.get(entry.window_id) in self._partitions for entry in of_windows):
            return
        async with self._pool.acquire() as connection:
            for entry in of_windows:
                ref = self.episodes.get(entry.window_id)
                if ref is None:
                    ref = await self._episode(connection, entry)
                if ref not in self._partitions:
                    await ensure_partition(connection, ref)
                    self._partitions.add(ref)

    async def _episode(self, connection: Connection, entry: WindowOpened | Ballots | Fence | Voided) -> int:
        if isinstance(entry, WindowOpened):
            ref: int | None = entry.opened.episode_ref
        else:
            ref = await connection.fetchval(statement("window_episode"), self._organisation, entry.window_id)
        if ref is None:
            raise EntryError(entry.entry_id, f"belongs to the window {entry.window_id}, which was never opened")
        self.episodes[entry.window_id] = ref
        return ref

    async def _rows(self, entries: list[Entry]) -> dict[int, list[bytes]]:
        """The entries' rows by episode, as COPY takes them, a piece an entry."""
        rows: dict[int, list[bytes]] = {}
        for entry in entries:
            if isinstance(entry, Ballots):
                ref = self.episodes[entry.window_id]
                rows.setdefault(ref, []).append(binary_rows(entry, self._organisation, self._shard, ref))
                await asyncio.sleep(0)  # a long batch must not hold up the sockets of this process
        return rows
