"""Counts an episode's votes again and again without reading all of them each time.

A partition only grows at its end, so what has been counted is remembered by slices of `SLICE` blocks (8 KB each). Each
look reads the end, and of the slices before it as many as go round all of them within `round_s`. A row that is deleted,
changed or put in by hand therefore shows in the counts, or in a slice's digest, within `round_s` of being committed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from voting.ledger.store import Pool, partition, statement

SLICE: Final = 1_024
"""Blocks in a slice, about 60,000 votes."""
TAIL: Final = 256
"""Blocks before the end that writers may still be filling: they are no slice yet."""

Key = tuple[UUID, str]
"""Window and contestant."""


class Part(Struct, frozen=True):
    """What a range of blocks held when it was read. `digest` is the XOR of a hash of each whole row."""

    counts: dict[Key, int]
    ballots: int
    digest: int


class Tampered(Exception):
    """Rows that had been counted are not what they were, though not fewer of them nor other sums."""

    def __init__(self, table: str, first: int) -> None:
        super().__init__(f"{table}: rows in blocks {first} to {first + SLICE - 1} have been changed")


class RowCounter:
    """One episode's counter; forgets everything when the table is rewritten. The pool is the caller's."""

    def __init__(self, pool: Pool, organisation: str, episode_ref: int, round_s: float) -> None:
        self.episode_ref: Final = episode_ref
        self._pool = pool
        self._organisation = organisation
        self._table = partition(episode_ref)
        self._round_s = round_s
        self._query = statement("count_blocks").replace("{votes}", self._table)
        self._file = 0
        self._slices: list[Part] = []
        self._next = 0
        self._due = 0.0
        self._total: Counter[Key] = Counter()

    @property
    def slices(self) -> int:
        """How many slices are remembered."""
        return len(self._slices)

    async def count(self, window: UUID, elapsed_s: float) -> dict[str, int]:
        """Votes of a window by contestant, voided ones included; `elapsed_s` is the time since the last call.

        Raises Tampered, once, when a slice has other rows than before; PostgreSQL's errors pass through.
        """
        await self._extend()
        await self._again(elapsed_s)
        tail = await self._read(len(self._slices) * SLICE, None)
        votes = self._total + Counter(tail.counts)
        return {contestant: number for (of, contestant), number in votes.items() if of == window}

    def forget(self) -> None:
        """Counts everything afresh at the next call."""
        self._slices, self._next, self._due = [], 0, 0.0
        self._total = Counter()

    async def _extend(self) -> None:
        """Makes slices of what has grown behind the last one."""
        file, blocks = await self._pool.fetchrow(
            "SELECT pg_relation_filenode($1::regclass)::bigint,"
            " pg_relation_size($1::regclass) / current_setting('block_size')::bigint", self._table,
        )
        if file != self._file or blocks < len(self._slices) * SLICE:
            self.forget()
            self._file = file
        while (len(self._slices) + 1) * SLICE + TAIL <= blocks:
            first = len(self._slices) * SLICE
            part = await self._read(first, first + SLICE)
            self._slices.append(part)
            self._total.update(part.counts)

    async def _again(self, elapsed_s: float) -> None:
        """Reads as many of the slices again as `elapsed_s` of a round is worth."""
        self._due = min(len(self._slices), self._due + len(self._slices) * elapsed_s / self._round_s)
        while self._due >= 1:
            self._due -= 1
            self._next %= len(self._slices)
            at, self._next = self._next, self._next + 1
            before, now = self._slices[at], await self._read(at * SLICE, (at + 1) * SLICE)
            self._slices[at] = now
            self._total.subtract(before.counts)
            self._total.update(now.counts)
            if now.digest != before.digest and now.ballots <= before.ballots:
                raise Tampered(self._table, at * SLICE)

    async def _read(self, first: int, end: int | None) -> Part:
        rows: list[Any] = await self._pool.fetch(
            self._query, self._organisation, f"({first},0)", f"({2**32 - 2 if end is None else end},0)"
        )
        digest = 0
        for row in rows:
            digest ^= row["digest"]
        return Part(
            {(row["window_id"], row["contestant_id"]): row["votes"] for row in rows},
            sum(row["ballots"] for row in rows),
            digest,
        )
