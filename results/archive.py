"""Results as they are stored for ever: written once, never changed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from broadcast_sync.wire.server import BoardRow, ResultsReady
from broadcast_sync.wire.times import iso
from voting.ledger.store import Pool, statement

SQL = "results.sql"


class StoredResult(Struct, frozen=True, rename="camel"):
    """The final result of one window with its certificate."""

    window_id: str
    show_id: str
    episode: int
    certified: bool
    total_votes: int
    ledger_total: int
    results: list[BoardRow]
    certificate: dict[str, Any]
    created_at: str

    def ready(self) -> ResultsReady:
        """The same as the message to everybody."""
        return ResultsReady(
            self.window_id, self.results, self.total_votes, self.certified, self.ledger_total, self.certificate
        )

    def summary(self) -> ResultSummary:
        """The same in one line."""
        return ResultSummary(
            self.window_id, self.show_id, self.episode, self.certified, self.total_votes, self.ledger_total,
            [row for row in self.results if row.rank == 1], self.created_at,
        )


class ResultSummary(Struct, frozen=True, rename="camel"):
    """One line of the list of results; `leaders` are the rows of rank 1."""

    window_id: str
    show_id: str
    episode: int
    certified: bool
    total_votes: int
    ledger_total: int
    leaders: list[BoardRow]
    created_at: str


class Archive:
    """The results of an organisation. The pool is the caller's; PostgreSQL's errors pass through."""

    def __init__(self, pool: Pool, organisation: str) -> None:
        self._pool = pool
        self._organisation = organisation

    async def store(self, result: ResultsReady) -> StoredResult:
        """Stores a result, unless its window has one; returns the one that is stored for ever, the first."""
        window = UUID(result.window_id)
        await self._pool.execute(
            statement("insert_result", SQL),
            self._organisation,
            window,
            result.certified,
            result.total_votes,
            result.ledger_total,
            msgspec.json.encode(result.results).decode(),
            msgspec.json.encode(result.certificate).decode(),
        )
        stored = await self.get(window)
        if stored is None:
            raise LookupError(f"the result of window {window} is not where it was stored")
        return stored

    async def get(self, window_id: UUID) -> StoredResult | None:
        """The result of a window, None if it has none (yet)."""
        row = await self._pool.fetchrow(statement("read_result", SQL), self._organisation, window_id)
        if row is None:
            return None
        certificate = msgspec.json.decode(row["certificate"], type=dict[str, Any])
        return StoredResult(
            window_id=str(window_id),
            show_id=certificate["showId"],
            episode=certificate["episode"],
            certified=row["certified"],
            total_votes=row["total_votes"],
            ledger_total=row["ledger_total"],
            results=msgspec.json.decode(row["results"], type=list[BoardRow]),
            certificate=certificate,
            created_at=iso(round(row["created_at"].timestamp() * 1000)),
        )

    async def is_released(self, window_id: UUID) -> bool:
        """Whether the result of a window is noted as public."""
        return bool(await self._pool.fetchval(statement("is_released", SQL), self._organisation, window_id))

    async def newest(self, limit: int, released: UUID | None = None) -> list[ResultSummary]:
        """At most `limit` public results, newest first: those noted as released, and the one window given."""
        found = await self._pool.fetch(statement("list_results", SQL), self._organisation, limit, released)
        return [self._summary(row) for row in found]

    def _summary(self, row: Any) -> ResultSummary:
        certificate = msgspec.json.decode(row["certificate"])
        return ResultSummary(
            window_id=str(row["window_id"]),
            show_id=certificate["showId"],
            episode=certificate["episode"],
            certified=row["certified"],
            total_votes=row["total_votes"],
            ledger_total=row["ledger_total"],
            leaders=msgspec.json.decode(row["leaders"], type=list[BoardRow]),
            created_at=iso(round(row["created_at"].timestamp() * 1000)),
        )
