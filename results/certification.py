"""The end of a window: gates fenced, ledger drained to the fence, recount, certificate. The show's SettlePort."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import structlog

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.clock import Clock
from broadcast_sync.settings import Ledger
from broadcast_sync.show.model import Show, Stage, Window
from broadcast_sync.wire.server import ResultsReady
from broadcast_sync.wire.times import iso
from results.archive import Archive
from results.board import rows
from voting.ballot.gates import ShardFence
from voting.ledger.entries import StreamId, moment
from voting.ledger.recount import compare, reached, recount, watermarks
from voting.ledger.store import Pool, statement

log = structlog.get_logger()


class Fences(Protocol):
    """Whoever can shut a window in every shard."""

    async def fence(self, window_id: str) -> list[ShardFence]: ...


def added(fences: Sequence[ShardFence]) -> dict[str, int]:
    """PURE. The sum of the shards' tallies at their fences."""
    total: dict[str, int] = {}
    for fence in fences:
        for contestant, votes in fence.tally.items():
            total[contestant] = total.get(contestant, 0) + votes
    return total


def certificate(
    show: Show,
    window: Window,
    fences: Sequence[ShardFence],
    ledger: Mapping[str, int],
    *,
    at_ms: int,
    software: str,
) -> dict[str, Any]:
    """PURE. What is known of a window whose ledger has been drained to its fences and counted again.

    `counts` are the tally at the fences, `ledgerCounts` the recount; `recount` is EQUAL or DIFFERS.
    """
    tally = added(fences)
    return {
        "windowId": window.window_id,
        "showId": show.show_id,
        "episode": show.episode,
        "opensAt": iso(window.opens_ms),
        "closesAt": iso(window.closes_ms),
        "hardClosesAt": iso(window.hard_closes_ms),
        "ruleset": window.ruleset.name,
        "rulesHash": window.ruleset.hash,
        "counts": dict(sorted(tally.items())),
        "ledgerCounts": dict(sorted(ledger.items())),
        "tallyTotal": sum(tally.values()),
        "ledgerTotal": sum(ledger.values()),
        "fences": [{"shard": fence.shard, "lastId": fence.last_id} for fence in fences],
        "recount": compare(tally, ledger, True),
        "certifiedAt": iso(at_ms),
        "software": software,
    }


class Certifier:
    """Settles windows. `software` is the name and version of this program; everything given is the caller's."""

    def __init__(
        self,
        *,
        settings: Ledger,
        organisation: str,
        gates: Fences,
        pool: Pool,
        archive: Archive,
        clock: Clock,
        software: str,
    ) -> None:
        self._settings = settings
        self._organisation = organisation
        self._gates = gates
        self._pool = pool
        self._archive = archive
        self._clock = clock
        self._software = software

    async def settle(self, stage: Stage) -> ResultsReady:
        """The final result of `stage.window`, stored for ever; a second call returns the first one's result.

        Waits until the ledger holds all that was accepted before the fences, however long that takes; `certified`
        says that its recount equals the tally. Engine errors pass through; ValueError without show or window.
        """
        show, window = stage.show, stage.window
        if show is None or window is None:
            raise ValueError("no window to settle")
        first = await self._archive.get(UUID(window.window_id))
        if first is not None:
            return first.ready()
        fences = await self._gates.fence(window.window_id)
        await self._drained(window.window_id, fences)
        await self._pool.execute(
            statement("close_window", "results.sql"), self._organisation, UUID(window.window_id),
            moment(window.closes_ms), moment(window.hard_closes_ms),
        )
        ledger = await recount(self._pool, self._organisation, window.window_id)
        proof = certificate(show, window, fences, ledger, at_ms=self._clock.now_ms(), software=self._software)
        result = ResultsReady(
            window_id=window.window_id,
            results=rows(added(fences), window.contestants),
            total_votes=proof["tallyTotal"],
            certified=proof["recount"] == "EQUAL",
            ledger_total=proof["ledgerTotal"],
            certificate=proof,
        )
        stored = (await self._archive.store(result)).ready()
        report = log.info if stored.certified else log.error
        report(
            "window_settled",
            window=window.window_id,
            certified=stored.certified,
            tally_total=stored.total_votes,
            ledger_total=stored.ledger_total,
        )
        return stored

    async def _drained(self, window_id: str, fences: Sequence[ShardFence]) -> None:
        """Returns once each shard's watermark has reached its fence; an error is logged each time it takes
        `fence_timeout_s` longer, and nothing is certified meanwhile."""
        targets = {ShardKeys(self._organisation, fence.shard).stream: StreamId.parse(fence.last_id) for fence in fences}
        started = overdue = time.monotonic()
        while True:
            marks = await watermarks(self._pool, self._organisation)
            if reached(marks, targets):
                return
            if time.monotonic() - overdue >= self._settings.fence_timeout_s:
                overdue = time.monotonic()
                waiting = [stream for stream, target in targets.items() if not reached(marks, {stream: target})]
                log.error("ledger_behind_fence", window=window_id, waited_s=round(overdue - started), waiting=waiting)
            await asyncio.sleep(self._settings.poll_ms / 1000)
