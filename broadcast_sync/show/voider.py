"""Carries out the voids that two people have agreed on: the stage holds them until the ledger does, so that one which a
director has begun and not finished is finished by the next."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from broadcast_sync.bus.connect import heed_cancellation
from broadcast_sync.bus.leases import Lease
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.show.cues import CueRecord
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.model import ApprovedVoid, Stage, VoidPort
from broadcast_sync.show.orders import FinishVoid
from broadcast_sync.show.outages import ENGINE_ERRORS, Outage

log = structlog.get_logger()

STALE_S: Final = 0.2


class Voider:
    """Works while the node is the director; everything given is the caller's."""

    def __init__(self, lease: Lease, fresh: Fresh, execution: Execution, void_port: VoidPort, clock: Clock) -> None:
        self._lease = lease
        self._fresh = fresh
        self._execution = execution
        self._void_port = void_port
        self._clock = clock

    async def run(self) -> None:
        """Voids what has been agreed on, until cancelled."""
        outage = Outage("voids")
        while True:
            heed_cancellation()
            fed, voids = self._fresh.fed, self._fresh.stage.voids
            if not voids:
                await self._fresh.wait_change(fed)
                continue
            try:
                if not await self._void(voids[0]):
                    await asyncio.sleep(STALE_S)
                outage.over()
            except ENGINE_ERRORS as error:
                await asyncio.sleep(outage.failed(error))
            except Exception as error:
                log.exception("void_failed", cue_id=voids[0].cue_id)
                await asyncio.sleep(outage.failed(error))

    async def _void(self, void: ApprovedVoid) -> bool:
        outcome, message = "executed", ""
        try:
            message = f"{await self._void_port.void(void)} ballots voided; approved by {void.approved_by}"
        except Refusal as refusal:
            outcome, message = refusal.code, refusal.message
        log.info("votes_voided", cue_id=void.cue_id, by=void.by, approved_by=void.approved_by, outcome=outcome)

        def line(stage: Stage, now_ms: int) -> CueRecord:
            return CueRecord(
                cue_id=void.cue_id, event="VOID", by=void.by, asked_ms=void.approved_ms, executed_ms=now_ms,
                outcome=outcome, message=message, revision=stage.revision + 1,
                lateness_ms=now_ms - void.approved_ms, show_id=stage.show.show_id if stage.show else "", mode="void",
            )

        return await self._execution.finish(
            FinishVoid(void.cue_id), line, self._fresh, self._clock, token=self._lease.token
        )
