"""The director's eye on the ledger: how far it is behind, and whether it still agrees with the tally.

While votes stream in, tally and ledger are never read at the same moment. So the tally is read before the recount
and after it: a ledger that had reached all of the first and holds no more than the second is EQUAL; a count outside
of the two can have no honest reason and DIFFERS; anything else is PENDING.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from voting.ledger.lag import Lag, lag
from voting.ledger.recount import Comparison, compare, last_ids, reached, recount, tallied, watermarks
from voting.ledger.store import OUTAGE, Pool

INTERVAL_S: Final = 1.0
SHARE: Final = 0.05
"""The most of its time that the watch spends in recounts: a long one is followed by a long rest."""

Counts: TypeAlias = Mapping[str, int]

log = structlog.get_logger()


def between(before: Counts, ledger: Counts, after: Counts, reached: bool) -> Comparison:
    """PURE. What a recount between two readings of the tally says; `reached`: the ledger had all of `before`."""
    names = before.keys() | ledger.keys() | after.keys()
    if any(ledger.get(name, 0) > after.get(name, 0) for name in names):
        return "DIFFERS"
    if not reached:
        return compare(after, ledger, False)
    return "DIFFERS" if any(ledger.get(name, 0) < before.get(name, 0) for name in names) else "EQUAL"


class LedgerWatch:
    """`lag` and `comparison` as of the last look; PENDING before the first and in an outage (fails closed)."""

    def __init__(self, client: Redis, pool: Pool, organisation: str, shards: int) -> None:
        self.lag = Lag(0, 0)
        self.comparison: Comparison = "PENDING"
        self._client = client
        self._pool = pool
        self._organisation = organisation
        self._shards = shards

    async def run(self, window: Callable[[], str | None]) -> None:
        """Looks about once a second at the window that `window` names, until cancelled."""
        down = False
        while True:
            heed_cancellation()
            started = time.monotonic()
            try:
                await self.look(window())
                if down:
                    down = False
                    log.info("ledger_watch_resumed")
            except (*OUTAGE, *VALKEY_ERRORS) as error:
                self.comparison = "PENDING"
                if not down:
                    down = True
                    log.warning("ledger_watch_outage", error=repr(error))
            took_s = time.monotonic() - started
            await asyncio.sleep(max(INTERVAL_S - took_s, took_s / SHARE))

    async def look(self, window_id: str | None) -> None:
        """One look. Without a window there is nothing to compare, which is EQUAL. Engine errors pass through."""
        self.lag = await lag(self._client, self._pool, self._organisation, self._shards)
        if window_id is None:
            self.comparison = "EQUAL"
            return
        before = await tallied(self._client, self._organisation, self._shards, window_id)
        targets = await last_ids(self._client, self._organisation, self._shards)
        marks = await watermarks(self._pool, self._organisation)
        ledger = await recount(self._pool, self._organisation, window_id)
        after = await tallied(self._client, self._organisation, self._shards, window_id)
        found = between(before, ledger, after, reached(marks, targets))
        if found == "DIFFERS" and self.comparison != "DIFFERS":
            log.error("ledger_differs", window=window_id, before=before, ledger=ledger, after=after)
        self.comparison = found
