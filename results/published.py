"""An episode's released result as the mobile apps know it. The mobile API's Published."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from broadcast_sync.clock import Clock
from broadcast_sync.show.model import Stage
from broadcast_sync.wire.server import ContestantInfo
from broadcast_sync.wire.times import iso
from results.archive import SQL, Archive, StoredResult
from results.releases import released_now
from results.routes import reading
from voting.api import shapes
from voting.ledger.store import Pool, statement

KEPT: Final = 64
"""Breakdowns kept; each is counted from all of its window's votes."""
FRESH_MS: Final = 60_000
"""A breakdown changes only when votes are voided: it may be a minute old."""
DAY: Final = timedelta(hours=24)


class Published:
    """The released results of an organisation. Pool and archive are the caller's."""

    def __init__(
        self, pool: Pool, organisation: str, archive: Archive, stage: Callable[[], Stage], clock: Clock
    ) -> None:
        self._pool = pool
        self._organisation = organisation
        self._archive = archive
        self._stage = stage
        self._clock = clock
        self._kept: OrderedDict[UUID, tuple[int, shapes.Breakdown]] = OrderedDict()
        self._counting = asyncio.Lock()

    async def of_episode(self, episode_ref: int) -> shapes.Results | None:
        """The newest released result of an episode; None if there is none. Raises Refusal BUSY."""
        stage = self._stage()
        async with reading():
            row = await self._pool.fetchrow(
                statement("newest_released", SQL), self._organisation, episode_ref, released_now(stage)
            )
            stored = await self._archive.get(UUID(bytes=row["window_id"].bytes)) if row is not None else None
            if row is None or stored is None:
                return None
            breakdown = await self._breakdown(UUID(stored.window_id), episode_ref)
        active = stage.voting == "OPEN" and stage.show is not None and stage.show.episode_ref == episode_ref
        episode = shapes.ResultEpisode(episode_ref, row["title"], stored.episode, active, stored.total_votes)
        people = msgspec.json.decode(row["contestants"], type=list[ContestantInfo])
        return shapes.Results(episode, _rows(stored, people), breakdown, stored.created_at)

    async def _breakdown(self, window: UUID, episode_ref: int) -> shapes.Breakdown:
        """Counted by one at a time, and for everybody who asks within a minute."""
        async with self._counting:
            kept, now_ms = self._kept.get(window), self._clock.now_ms()
            if kept is not None and 0 <= now_ms - kept[0] < FRESH_MS:
                return kept[1]
            asked = (self._organisation, window, episode_ref)
            voters = await self._pool.fetchval(statement("voters", SQL), *asked)
            rows = await self._pool.fetch(statement("by_hour", SQL), *asked)
            made = breakdown(voters, rows)
            self._kept[window] = (now_ms, made)
            self._kept.move_to_end(window)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return made


def breakdown(voters: int, rows: Sequence[Mapping[str, Any]]) -> shapes.Breakdown:
    """PURE. Votes by type, and by hour over the last 24 hours that have any."""
    by_type = dict.fromkeys(("free", "paid", "sms"), 0)
    by_hour: dict[datetime, int] = {}
    for row in rows:
        by_type[row["vote_type"]] = by_type.get(row["vote_type"], 0) + row["votes"]
        by_hour[row["hour"]] = by_hour.get(row["hour"], 0) + row["votes"]
    since = max(by_hour) - DAY if by_hour else None
    hours = [
        shapes.HourOfVotes(iso(round(hour.timestamp() * 1000)), votes)
        for hour, votes in sorted(by_hour.items())
        if since is not None and hour > since
    ]
    return shapes.Breakdown(sum(by_type.values()), voters, by_type, hours)


def _rows(stored: StoredResult, people: list[ContestantInfo]) -> list[shapes.ResultRow]:
    khmer = {one.id: one.khmer_name for one in people}
    return [
        shapes.ResultRow(
            row.contestant_id, row.contestant_name, khmer.get(row.contestant_id, ""), row.contestant_photo,
            row.vote_count, row.percentage, row.rank,
        )
        for row in stored.results
    ]
