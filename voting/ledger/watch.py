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
from uuid import UUID

import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from voting.ledger.counter import RowCounter, Tampered
from voting.ledger.lag import Lag, lag
from voting.ledger.recount import Comparison, added, compare, last_ids, reached, tallied, watermarks
from voting.ledger.store import OUTAGE, Pool, statement
from voting.ledger.voids import voided_in_engine, voided_in_ledger

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


def worst(*found: Comparison) -> Comparison:
    """PURE. DIFFERS if any is, else PENDING if any is."""
    return "DIFFERS" if "DIFFERS" in found else "PENDING" if "PENDING" in found else "EQUAL"


class LedgerWatch:
    """`lag` and `comparison` as of the last look; PENDING before the first and in an outage (fails closed).

    Votes that were accepted and votes that were voided are compared each for itself, since both only ever grow. The
    ledger's side is counted by slices (see counter.py), so every row is looked at again within `recount_s`; before it
    says DIFFERS everything is counted afresh. Rows that were changed by hand without changing a sum make it DIFFERS
    until the window is over.
    """

    def __init__(self, client: Redis, pool: Pool, organisation: str, shards: int, recount_s: float) -> None:
        self.lag = Lag(0, 0)
        self.comparison: Comparison = "PENDING"
        self._client = client
        self._pool = pool
        self._organisation = organisation
        self._shards = shards
        self._recount_s = recount_s
        self._counter: RowCounter | None = None
        self._looked = time.monotonic()
        self._tampered = ""

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
        counter = await self._counter_of(window_id)
        if counter is None:  # its opening has not reached the ledger
            self.comparison = "PENDING"
            return
        found = await self._compare(window_id, counter)
        if found == "DIFFERS" and self._tampered != window_id:
            counter.forget()
            found = await self._compare(window_id, counter)
        if found == "DIFFERS" and self.comparison != "DIFFERS":
            log.error("ledger_differs", window=window_id)
        self.comparison = found

    async def _counter_of(self, window_id: str) -> RowCounter | None:
        """The counter of the window's episode; None if the ledger does not know the window yet."""
        ref = await self._pool.fetchval(statement("window_episode"), self._organisation, UUID(window_id))
        if ref is None:
            return None
        if self._counter is None or self._counter.episode_ref != ref:
            self._counter = RowCounter(self._pool, self._organisation, ref, self._recount_s)
        return self._counter

    async def _compare(self, window_id: str, counter: RowCounter) -> Comparison:
        before, voided_before = await self._tallies(window_id)
        targets = await last_ids(self._client, self._organisation, self._shards)
        drained = reached(await watermarks(self._pool, self._organisation), targets)
        now = time.monotonic()
        elapsed_s, self._looked = now - self._looked, now
        try:
            ledger = await counter.count(UUID(window_id), elapsed_s)
        except Tampered as error:
            log.error("ledger_tampered", window=window_id, where=str(error))
            self._tampered = window_id
        voided = await voided_in_ledger(self._pool, self._organisation, UUID(window_id))
        after, voided_after = await self._tallies(window_id)
        if self._tampered == window_id:
            return "DIFFERS"
        return worst(
            between(before, ledger, after, drained), between(voided_before, voided, voided_after, drained)
        )

    async def _tallies(self, window_id: str) -> tuple[dict[str, int], dict[str, int]]:
        """Votes accepted and votes voided, as the engine has them. A void between the two readings would be seen as
        more than was accepted, so the voided ones are read on both sides of the tally."""
        while True:
            voided = await voided_in_engine(self._client, self._organisation, self._shards, window_id)
            tally = await tallied(self._client, self._organisation, self._shards, window_id)
            if voided == await voided_in_engine(self._client, self._organisation, self._shards, window_id):
                return added([tally, voided]), voided
