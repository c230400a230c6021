"""Which results are public: noted in PostgreSQL once they have been released, for ever.

The stage knows it first and only for the last few windows; the director copies it here. What is not noted is shown to
nobody, so an outage hides a result for longer and never shows one too early (fails closed).
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from broadcast_sync.bus.connect import heed_cancellation
from broadcast_sync.show.embargo import embargoed
from broadcast_sync.show.fresh import StageFeed
from broadcast_sync.show.model import Stage
from broadcast_sync.show.outages import Outage
from results.archive import SQL
from voting.ledger.store import OUTAGE, Pool, statement


class Releases:
    """The releases of an organisation. The pool is the caller's."""

    def __init__(self, pool: Pool, organisation: str, feed: StageFeed) -> None:
        self._pool = pool
        self._organisation = organisation
        self._feed = feed

    async def run(self) -> None:
        """Notes what the stage has released, until cancelled. The director's; a second one would do no harm."""
        outage = Outage("releases")
        noted: set[str] = set()
        while True:
            heed_cancellation()
            stage = self._feed.stage
            waiting = [window_id for window_id in stage.lately_released if window_id not in noted]
            if not waiting:
                noted.intersection_update(stage.lately_released)
                await self._feed.wait_change(stage)
                continue
            try:
                for window_id in waiting:
                    await self.note(window_id)
                    noted.add(window_id)
                outage.over()
            except OUTAGE as error:
                await asyncio.sleep(outage.failed(error))

    async def note(self, window_id: str) -> None:
        """Notes a release; a window without a result has none. PostgreSQL's errors pass through."""
        await self._pool.execute(statement("note_release", SQL), self._organisation, UUID(window_id))


def released_now(stage: Stage) -> UUID | None:
    """PURE. The window of the stage if its result is public, noted or not; that of a rehearsal never is."""
    if stage.window is None or not stage.released or (stage.show is not None and stage.show.rehearsal):
        return None
    return UUID(stage.window.window_id)


def board_is_public(stage: Stage) -> bool:
    """PURE. Whether the board of the stage's window may be read by anybody."""
    return stage.window is not None and not embargoed(stage)
