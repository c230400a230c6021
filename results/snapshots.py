"""Boards as they were, for replay: one each ten seconds in PostgreSQL, of the last day of a window.

The director writes them beside the boards, never before one: while PostgreSQL is away there are none of that time
(fails open, as boards are never evidence). The final board is the archive's, with its certificate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from broadcast_sync.bus.connect import heed_cancellation
from broadcast_sync.clock import Clock
from broadcast_sync.show.outages import Outage
from broadcast_sync.wire.server import BoardRow
from broadcast_sync.wire.times import iso
from results.archive import SQL
from results.board import TOP, Board
from voting.ledger.entries import moment
from voting.ledger.store import OUTAGE, Pool, statement

EVERY_MS: Final = 10_000


class Snapshot(Struct, frozen=True, rename="camel"):
    """The best hundred of `contestantCount` at a moment."""

    window_id: str
    at: str
    total_votes: int
    unique_voters: int
    contestant_count: int
    results: list[BoardRow]


class Moment(Struct, frozen=True, rename="camel"):
    """A snapshot in one line; `leaders` are the best three."""

    at: str
    total_votes: int
    unique_voters: int
    leaders: list[BoardRow]


class Snapshots:
    """The snapshots of an organisation. The pool is the caller's; PostgreSQL's errors pass through all but `run`."""

    def __init__(self, pool: Pool, organisation: str, clock: Clock, locale: str = "en") -> None:
        self._pool = pool
        self._organisation = organisation
        self._clock = clock
        self._locale = locale

    async def run(self, latest: Callable[[], tuple[str, Board] | None]) -> None:
        """Keeps the latest board, as window and board, every ten seconds of absolute time if it is a new one, until
        cancelled. The director's; a second one would do no harm."""
        outage, kept = Outage("snapshots"), None
        while True:
            heed_cancellation()
            await asyncio.sleep((EVERY_MS - self._clock.now_ms() % EVERY_MS) / 1000)
            found = latest()
            if found is None or found is kept:
                continue
            try:
                await self.keep(*found)
                kept = found
                outage.over()
            except OUTAGE as error:
                outage.failed(error)  # no need to wait: the next one is not due yet

    async def keep(self, window_id: str, board: Board) -> None:
        """Stores a board, unless there is one of its moment."""
        await self._pool.execute(
            statement("insert_snapshot", SQL), self._organisation, UUID(window_id), moment(board.at_ms),
            board.ranking.total, board.turnout.voters if board.turnout else 0, len(board.line_up),
            msgspec.json.encode(board.rows(TOP, self._locale)).decode(),
        )

    async def timeline(self, window_id: UUID, after: datetime, limit: int) -> list[Moment]:
        """At most `limit` moments of a window after `after`, oldest first."""
        rows = await self._pool.fetch(statement("timeline", SQL), self._organisation, window_id, after, limit)
        return [Moment(_iso(row["at"]), row["total_votes"], row["voters"], _rows(row["leaders"])) for row in rows]

    async def at(self, window_id: UUID, at: datetime) -> Snapshot | None:
        """The last board of a window that is not later than `at`; None if there is none."""
        row = await self._pool.fetchrow(statement("snapshot", SQL), self._organisation, window_id, at)
        if row is None:
            return None
        return Snapshot(
            str(window_id), _iso(row["at"]), row["total_votes"], row["voters"], row["contestants"], _rows(row["board"])
        )


def _iso(at: datetime) -> str:
    return iso(round(at.timestamp() * 1000))


def _rows(text: Any) -> list[BoardRow]:
    return msgspec.json.decode(text, type=list[BoardRow])
