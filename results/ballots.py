"""The last ballots of each contestant, with masked names, for who follows one: read from the ledger, once a second.

The vote path knows nothing of it. While PostgreSQL is away the last ones stay (fails open: they are for display).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from broadcast_sync.bus.connect import heed_cancellation
from broadcast_sync.show.model import Stage
from broadcast_sync.show.outages import Outage
from broadcast_sync.wire.server import RecentVote
from broadcast_sync.wire.times import iso
from results.archive import SQL
from results.board import TOP
from voting.ledger.store import OUTAGE, Pool, statement

EACH: Final = 5
"""Ballots kept of a contestant."""
READ: Final = 200
"""Newest ballots read at a time; of a storm of votes the others are not shown."""
EVERY_S: Final = 1.0


class RecentBallots:
    """The director's. The pool is the caller's; `stage` is the show as it is now."""

    def __init__(self, pool: Pool, organisation: str, stage: Callable[[], Stage]) -> None:
        self._pool = pool
        self._organisation = organisation
        self._stage = stage
        self._window_id = ""
        self._last = UUID(int=0)
        self._kept: dict[str, deque[RecentVote]] = {}

    def of(self, window_id: str) -> Mapping[str, Sequence[RecentVote]] | None:
        """The ballots by contestant, newest first; None if they are not kept for this window."""
        return {name: list(kept) for name, kept in self._kept.items()} if window_id == self._window_id else None

    async def run(self) -> None:
        """Reads while votes are counted and the window has few enough contestants, until cancelled."""
        outage = Outage("recent-ballots")
        while True:
            heed_cancellation()
            try:
                await self.look()
                outage.over()
            except OUTAGE as error:
                await asyncio.sleep(outage.failed(error))
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Reads what is new. PostgreSQL's errors pass through."""
        stage = self._stage()
        show, window = stage.show, stage.window
        if show is None or window is None or stage.voting not in ("OPEN", "CLOSING") or len(window.contestants) > TOP:
            return
        if window.window_id != self._window_id:
            self._window_id, self._kept = window.window_id, {}
            self._last = UUID(int=window.opens_ms << 80)  # the least UUIDv7 of a ballot of this window
        rows = await self._pool.fetch(
            statement("recent", SQL), self._organisation, show.episode_ref, UUID(window.window_id), self._last, READ
        )
        for row in reversed(rows):
            kept = self._kept.setdefault(row["contestant_id"], deque(maxlen=EACH))
            kept.appendleft(_vote(row))
            self._last = UUID(bytes=row["vote_id"].bytes)


def masked(voter: str) -> str:
    """PURE. A voter's id with no more left of it than a third, and two characters at most."""
    return f"{voter[: min(2, len(voter) // 3)]}***"


def _vote(row: Any) -> RecentVote:
    at_ms = round(row["received_at"].timestamp() * 1000)
    return RecentVote(masked(row["voter"]), row["vote_type"], row["vote_count"], iso(at_ms))
