"""What may be read of an event: its line-up, and of its votes what is public at this moment.

An event is an episode, known by its short number. Of the one on air the line-up is the stage's and the counts are the
last board's, while the board is public; of any other the line-up is the catalogue's and the counts are those of its
newest released result. What is not public is not there for anybody (see releases.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import Clock
from broadcast_sync.show.catalogue import Catalogue
from broadcast_sync.show.model import Stage
from broadcast_sync.wire.server import BoardRow, ContestantInfo
from broadcast_sync.wire.times import iso
from results.archive import SQL, Archive
from results.fresh import Fresh
from results.listing import Counted, Counts, Listing, Roster
from results.releases import board_is_public, released_now
from results.standing import WORDS, Standing
from voting.ledger.store import Pool, statement

FRESH_MS: Final = 1_000
STORED_MS: Final = 30_000
"""How old the line-up of an event that is not on air, and its result, may be."""
EVENTS: Final = 64
"""Events kept; beyond that the longest unasked is forgotten."""

log = structlog.get_logger()


class Events:
    """The events of an organisation, at most a second old and read once however many ask. Pool and client are the
    caller's. PostgreSQL's errors pass through; without the engine there are no counts of an open window."""

    def __init__(
        self, *, pool: Pool, client: Redis, organisation: str, catalogue: Catalogue, archive: Archive,
        stage: Callable[[], Stage], clock: Clock, locale: str,
    ) -> None:
        self._pool = pool
        self._client = client
        self._organisation = organisation
        self._keys = StageKeys(organisation)
        self._catalogue = catalogue
        self._archive = archive
        self._stage = stage
        self._locale = locale
        self._rosters: dict[int, Roster] = {}
        self._fresh: Fresh[int, Listing | None] = Fresh(self._read, clock.now_ms, fresh_ms=FRESH_MS, size=EVENTS)
        self._stored: Fresh[int, tuple[Roster, Counts | None] | None] = Fresh(
            self._read_stored, clock.now_ms, fresh_ms=STORED_MS, size=EVENTS
        )

    async def get(self, event: int) -> Listing | None:
        """The contestants of an event with their public counts; None if there is no such event."""
        return await self._fresh.get(event)

    async def _read(self, event: int) -> Listing | None:
        stage = self._stage()
        show = stage.show
        if show is None or show.episode_ref != event:
            stored = await self._stored.get(event)
            return None if stored is None else Listing(*stored, self._locale)
        roster = await self._roster(event, show.contestants)
        return Listing(roster, await self._on_air(stage, event), self._locale)

    async def _on_air(self, stage: Stage, event: int) -> Counts | None:
        if released_now(stage) is not None and stage.results is not None:
            return _of_rows(stage.results.results, stage.results.total_votes, stage.results.certificate)
        if board_is_public(stage):
            return await self._of_board(stage)
        return await self._released(event, released_now(stage))

    async def _of_board(self, stage: Stage) -> Counts | None:
        try:
            found: Any = await self._client.get(self._keys.standing)
            standing = None if found is None else Standing.unpack(found)
        except (*VALKEY_ERRORS, msgspec.MsgspecError) as error:
            log.warning("standing_unavailable", error=repr(error))
            return None
        if standing is None or stage.window is None or standing.window_id != stage.window.window_id:
            return None  # the first board of a window is still to come
        return _of_standing(standing)

    async def _read_stored(self, event: int) -> tuple[Roster, Counts | None] | None:
        row = await self._pool.fetchrow(statement("find_event", SQL), self._organisation, event)
        show = None if row is None else await self._catalogue.find(row["show_id"], row["number"])
        if show is None:
            return None
        return await self._roster(event, show.contestants), await self._released(event, None)

    async def _released(self, event: int, just_now: UUID | None) -> Counts | None:
        """The newest result of an event that is public."""
        row = await self._pool.fetchrow(statement("newest_released", SQL), self._organisation, event, just_now)
        stored = None if row is None else await self._archive.get(UUID(bytes=row["window_id"].bytes))
        return None if stored is None else _of_rows(stored.results, stored.total_votes, stored.certificate)

    async def _roster(self, event: int, people: Sequence[ContestantInfo]) -> Roster:
        """Made anew only when the line-up has changed, in a thread: of thousands it takes a while."""
        known = self._rosters.get(event)
        if known is None or known.people != tuple(people):
            known = await asyncio.to_thread(Roster, people)
            self._rosters.pop(event, None)
            self._rosters[event] = known
            if len(self._rosters) > EVENTS:
                del self._rosters[next(iter(self._rosters))]
        return known


def _of_standing(board: Standing) -> Counts:
    columns = zip(board.counts, board.tenths, board.ranks, board.changes, board.trends, strict=True)
    rows = [Counted(count, tenths, rank, change, WORDS[trend]) for count, tenths, rank, change, trend in columns]
    return Counts(
        iso(board.at_ms), board.total, [board.ids[place] for place in board.order],
        dict(zip(board.ids, rows, strict=True)), board.types, board.voters,
    )


def _of_rows(rows: Sequence[BoardRow], total: int, certificate: dict[str, Any]) -> Counts:
    """A released result: its board, and what its certificate says of who voted how."""
    types = {name: sum(counts.values()) for name, counts in certificate.get("votesByType", {}).items()}
    return Counts(
        certificate.get("certifiedAt", ""), total, [row.contestant_id for row in rows],
        {
            row.contestant_id: Counted(row.vote_count, round(row.percentage * 10), row.rank, row.change, row.trend)
            for row in rows
        },
        types, certificate.get("voters"),
    )
