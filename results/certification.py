"""The end of a window: gates fenced, ledger drained to the fence, recount, certificate. The show's SettlePort."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec
import structlog

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.clock import Clock
from broadcast_sync.settings import Ledger
from broadcast_sync.show.model import Ruleset, Stage
from broadcast_sync.signatures import Signer
from broadcast_sync.wire.codecs import EXACT
from broadcast_sync.wire.server import ResultsReady
from results.archive import Archive
from results.board import rows
from results.certificate import certificate
from voting.ballot.gates import ShardFence
from voting.ballot.ruleset import RulesetData
from voting.ledger.account import Account, account
from voting.ledger.entries import StreamId, moment
from voting.ledger.recount import reached, watermarks
from voting.ledger.store import Pool, statement

log = structlog.get_logger()


class Fences(Protocol):
    """Whoever can shut a window in every shard, and has the rules it was held by."""

    async def fence(self, window_id: str) -> list[ShardFence]: ...

    def rules(self, held: Ruleset) -> RulesetData | None: ...


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
        signer: Signer,
    ) -> None:
        self._settings = settings
        self._organisation = organisation
        self._gates = gates
        self._pool = pool
        self._archive = archive
        self._clock = clock
        self._software = software
        self._signer = signer

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
        fences, ledger, voters = await self._counted(window.window_id, show.episode_ref)
        await self._pool.execute(
            statement("close_window", "results.sql"), self._organisation, UUID(window.window_id),
            moment(window.closes_ms), moment(window.hard_closes_ms),
        )
        data = self._gates.rules(window.ruleset)
        proof = certificate(
            self._organisation, show, window, None if data is None else msgspec.to_builtins(data), fences, ledger,
            voters, at_ms=self._clock.now_ms(), software=self._software,
        )
        result = ResultsReady(
            window_id=window.window_id,
            results=rows(proof["counts"], window.contestants),
            total_votes=proof["tallyTotal"],
            certified=proof["recount"] == "EQUAL",
            ledger_total=proof["ledgerTotal"],
            certificate=self._signer.seal(proof),
        )
        stored = (await self._archive.store(result)).ready()
        report = log.info if stored.certified else log.error
        totals = {"tally_total": stored.total_votes, "ledger_total": stored.ledger_total}
        report(
            "window_settled", window=window.window_id, certified=stored.certified,
            **(totals if window.visibility == "public" else {}),
        )
        return stored

    async def _counted(self, window_id: str, episode_ref: int) -> tuple[list[ShardFence], Account, int]:
        """The fences with the tallies, the ledger's account and its number of voters, at a moment when all count the
        same entries. After the fence only a void can still change them; then they are read again. A tally that somebody
        has put beyond what can be told exactly, as no ballot can, is waited for: an error is logged meanwhile."""
        fences = await self._exact(window_id)
        while True:
            await self._drained(window_id, fences)
            ledger = await account(self._pool, self._organisation, window_id)
            voters: int = await self._pool.fetchval(
                statement("voters", "results.sql"), self._organisation, UUID(window_id), episode_ref
            )
            again = await self._exact(window_id)
            if [fence.tally for fence in again] == [fence.tally for fence in fences]:
                return again, ledger, voters
            fences = again

    async def _exact(self, window_id: str) -> list[ShardFence]:
        """The fences, once their tallies can be told exactly."""
        said = -self._settings.fence_timeout_s
        while True:
            fences = await self._gates.fence(window_id)
            if sum(sum(fence.tally.values()) for fence in fences) <= EXACT:
                return fences
            if time.monotonic() - said >= self._settings.fence_timeout_s:
                said = time.monotonic()
                log.error("tally_beyond_exact", window=window_id)
            await asyncio.sleep(self._settings.poll_ms / 1000)

    async def _drained(self, window_id: str, fences: Sequence[ShardFence]) -> None:
        """Returns once each shard's watermark has reached what its tally counts, the fence at least; an error is
        logged each time it takes `fence_timeout_s` longer, and nothing is certified meanwhile."""
        targets = {
            ShardKeys(self._organisation, fence.shard).stream: StreamId.parse(fence.tally_id) for fence in fences
        }
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
