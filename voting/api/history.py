"""A voter's ballots and credits as the ledger has them, some hundred milliseconds behind the acks.

Reads are few at a time: those beyond get BUSY at once, so that histories never take the connections that the ledger
writes through. PostgreSQL being away is BUSY as well (fails closed).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from msgspec import Struct

from broadcast_sync.errors import Refusal
from broadcast_sync.wire.times import iso
from voting.ledger.store import OUTAGE, Pool, statement

SQL: Final = "voting.api.sql"
RETRY_S: Final = 2.0

log = structlog.get_logger()


class Ballot(Struct, frozen=True):
    """One ballot of a voter. `name` and `photo_url` are empty if the contestant has left the catalogue."""

    vote_id: UUID
    vote_type: str
    vote_count: int
    received_at: str
    voided: bool
    contestant_id: str
    name: str
    photo_url: str
    episode_ref: int
    episode_title: str
    episode_number: int


class Credit(Struct, frozen=True):
    """Votes that came into a wallet; `key` is the order's number."""

    key: str
    votes: int
    credited_at: str


class History:
    """Reads the ballots of one organisation, at most `most` reads at a time. The pool is the caller's."""

    def __init__(self, pool: Pool, organisation: str, most: int) -> None:
        self._pool = pool
        self._organisation = organisation
        self._free = most

    async def before(self, voter: str, last: UUID | None, count: int) -> list[Ballot]:
        """At most `count` ballots of `voter` before `last`, newest first. Raises Refusal BUSY."""
        async with self._reading():
            rows = await self._pool.fetch(statement("history", SQL), self._organisation, voter, last, count)
        return [_ballot(row) for row in rows]

    async def cast(self, voter: str, episode_ref: int) -> dict[str, int]:
        """The votes of `voter` in an episode by type. Raises Refusal BUSY."""
        async with self._reading():
            rows = await self._pool.fetch(statement("cast", SQL), self._organisation, episode_ref, voter)
        return {row["vote_type"]: row["votes"] for row in rows}

    async def credits(self, voter: str, count: int) -> list[Credit]:
        """The last `count` credits of `voter`, newest first. Raises Refusal BUSY."""
        async with self._reading():
            rows = await self._pool.fetch(statement("credits", SQL), self._organisation, voter, count)
        return [Credit(row["key"], row["votes"], _iso(row["credited_at"])) for row in rows]

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        if self._free <= 0:
            raise Refusal("BUSY", "Too many are reading their history, try again shortly.", retry_after=RETRY_S)
        self._free -= 1
        try:
            yield
        except OUTAGE as error:
            log.warning("history_unavailable", error=repr(error))
            raise Refusal("BUSY", "The history cannot be read right now.", retry_after=RETRY_S) from None
        finally:
            self._free += 1


def _iso(moment: datetime) -> str:
    return iso(round(moment.timestamp() * 1000))


def _ballot(row: Any) -> Ballot:
    return Ballot(
        UUID(bytes=row["vote_id"].bytes), row["vote_type"], row["vote_count"],
        _iso(row["received_at"]), row["voided"], row["contestant_id"], row["name"] or "",
        row["photo_url"] or "", row["ref"], row["title"], row["number"],
    )
