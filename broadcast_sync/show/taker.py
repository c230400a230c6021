"""What the director does with cues that wait: takes the armed at their instants, lets the unconfirmed expire.

The removal of an armed cue and its effect are one commit, so it is taken once, whoever dies in between. A cue that is
found overdue, after a failover or an outage, is still taken within `control.late_cue_s`; later it is refused, as is one
that is illegal when its time comes. Engine outages are waited out.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from msgspec import Struct

from broadcast_sync.bus.connect import heed_cancellation
from broadcast_sync.bus.leases import Lease
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Settings
from broadcast_sync.show.arming import armed_cue
from broadcast_sync.show.cues import CueRecord, Remembered, data_json
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import ArmedCue, PendingCue, Stage
from broadcast_sync.show.orders import DropArmed, ExpirePending, TakeArmed
from broadcast_sync.show.outages import ENGINE_ERRORS, Outage
from broadcast_sync.show.reader import CueReader, MakeCommand, scope_for
from broadcast_sync.show.store import Answer, Committed, Fenced, StageStore, answer_key
from broadcast_sync.wire.server import CueAck
from broadcast_sync.wire.times import iso

log = structlog.get_logger()

READY_MS: Final = 500
"""How long before its instant a cue is read: what it must look up is then at hand."""
ATTEMPTS: Final = 8
STALE_S: Final = 0.2


class _Ready(Struct, frozen=True):
    """An armed cue that has been read, or cannot be."""

    cue: ArmedCue
    make: MakeCommand | Refusal


class Taker:
    """Works while the node is the director; everything given is the caller's."""

    def __init__(
        self, settings: Settings, lease: Lease, fresh: Fresh, store: StageStore, execution: Execution,
        reader: CueReader, clock: Clock,
    ) -> None:
        self._late_ms = round(settings.control.late_cue_s * 1000)
        self._lease = lease
        self._fresh = fresh
        self._store = store
        self._execution = execution
        self._reader = reader
        self._clock = clock
        self._ready: _Ready | None = None

    async def run(self) -> None:
        """Takes and expires, until cancelled."""
        outage = Outage("armed-cues")
        while True:
            heed_cancellation()
            fed, stage = self._fresh.fed, self._fresh.stage
            wait_ms = self._next_ms(stage) - self._clock.now_ms()
            if wait_ms > 0:
                await self._fresh.wait_change_or(fed, min(wait_ms, 3_600_000) / 1000)
                continue
            try:
                if not await self._act(stage):
                    # the store knows better than our copy, which is about to hear of it
                    await asyncio.sleep(STALE_S)
                outage.over()
            except ENGINE_ERRORS as error:
                await asyncio.sleep(outage.failed(error))
            except Exception as error:
                # a cue that breaks something must not stop the cues after it
                log.exception("armed_cue_failed", armed=len(stage.armed), pending=len(stage.pending))
                await asyncio.sleep(outage.failed(error))

    def _next_ms(self, stage: Stage) -> int:
        """When there is something to do next, Unix ms; far away if there is nothing."""
        times = [cue.expires_ms for cue in stage.pending]
        if stage.armed:
            soonest = stage.armed[0]
            read = self._ready is not None and self._ready.cue == soonest
            times.append(soonest.at_ms if read else soonest.at_ms - READY_MS)
        return min(times, default=2**62)

    async def _act(self, stage: Stage) -> bool:
        """Does what is due; False if the stage has moved on and it no longer is."""
        now_ms = self._clock.now_ms()
        soonest = stage.armed[0] if stage.armed else None
        if soonest is not None and now_ms >= soonest.at_ms - READY_MS:
            ready = self._ready
            if ready is None or ready.cue != soonest:
                self._ready = _Ready(soonest, await self._read(soonest))
                return True
            if now_ms >= soonest.at_ms:
                return await self._take(ready)
        for cue in stage.pending:
            if now_ms >= cue.expires_ms:
                return await self._expire(cue)
        return True

    async def _read(self, cue: ArmedCue) -> MakeCommand | Refusal:
        try:
            return await self._reader.read(cue.event, cue.data, cue.cue_id, cue.by)
        except Refusal as refusal:
            return refusal
        except ENGINE_ERRORS:
            if self._clock.now_ms() - cue.at_ms <= self._late_ms:
                raise
            return Refusal("TRY_AGAIN", "It could not be read in time.")  # the cues behind it wait

    # --- armed ------------------------------------------------------------------------------------------------

    async def _take(self, ready: _Ready) -> bool:
        cue, stage = ready.cue, self._fresh.stage
        for attempt in range(ATTEMPTS):
            if attempt:
                stage = await self._store.load()
                self._fresh.note(stage)
            if armed_cue(stage, cue.cue_id) != cue:
                return attempt > 0
            try:
                done = await self._try(ready, stage)
            except Refusal as refusal:
                done = await self._drop(cue, stage, refusal)
            if done:
                return True
        return False

    async def _try(self, ready: _Ready, stage: Stage) -> bool:
        """One attempt; False if another commit came first. Raises Refusal if the cue cannot be taken."""
        cue, now_ms = ready.cue, self._clock.now_ms()
        if isinstance(ready.make, Refusal):
            raise ready.make
        if now_ms - cue.at_ms > self._late_ms:
            raise Refusal("CUE_REJECTED", f"Too late: {(now_ms - cue.at_ms) / 1000:.1f} s after its time.")
        decision = decide(stage, TakeArmed(cue.cue_id, ready.make(stage, now_ms)), now_ms)
        await self._execution.prepare(stage, decision.stage)
        late_ms = self._clock.now_ms() - cue.at_ms
        ack = CueAck(cue.cue_id, decision.stage.revision, iso(now_ms), late_ms, False)
        answer = Answer(self._key(cue, stage), Remembered(cue.event, ack))
        record = self._record(cue, stage, now_ms, "take", "executed", late_ms)
        outcome = await self._execution.commit(
            stage, decision, now_ms, [answer], [record], token=self._lease.token
        )
        if isinstance(outcome, Committed):
            self._fresh.note(outcome.stage)
            log.info(
                "cue_taken", cue=cue.event, cue_id=cue.cue_id, by=cue.by, revision=ack.revision, outcome="executed",
                mode="take", lateness_ms=late_ms, visible_ms=self._clock.now_ms() - cue.at_ms,
            )
        return self._settled(outcome)

    async def _drop(self, cue: ArmedCue, stage: Stage, refusal: Refusal) -> bool:
        now_ms = self._clock.now_ms()
        decision = decide(stage, DropArmed(cue.cue_id), now_ms)
        ack = CueAck(cue.cue_id, decision.stage.revision, iso(now_ms), now_ms - cue.at_ms, False)
        answer = Answer(self._key(cue, stage), Remembered(cue.event, ack, refusal.message))
        record = self._record(cue, stage, now_ms, "drop", refusal.code, now_ms - cue.at_ms, refusal.message)
        outcome = await self._execution.commit(
            stage, decision, now_ms, [answer], [record], token=self._lease.token
        )
        if isinstance(outcome, Committed):
            self._fresh.note(outcome.stage)
            log.warning(
                "armed_cue_refused", cue=cue.event, cue_id=cue.cue_id, by=cue.by, code=refusal.code,
                reason=refusal.message,
            )
        return self._settled(outcome)

    def _key(self, cue: ArmedCue, stage: Stage) -> str:
        return answer_key(scope_for(cue.event, cue.data, stage), "take", cue.cue_id)

    def _record(
        self, cue: ArmedCue, stage: Stage, now_ms: int, mode: str, outcome: str, late_ms: int, message: str = ""
    ) -> CueRecord:
        return CueRecord(
            cue_id=cue.cue_id, event=cue.event, by=cue.by, asked_ms=cue.armed_ms, executed_ms=now_ms, outcome=outcome,
            message=message, revision=stage.revision + 1, lateness_ms=late_ms,
            show_id=stage.show.show_id if stage.show else "", timecode=cue.timecode, data=data_json(cue.data),
            mode=mode, due_ms=cue.at_ms,
        )

    # --- pending ----------------------------------------------------------------------------------------------

    async def _expire(self, cue: PendingCue) -> bool:
        def line(stage: Stage, now_ms: int) -> CueRecord:
            return CueRecord(
                cue_id=cue.cue_id, event=cue.event, by=cue.by, asked_ms=cue.asked_ms, executed_ms=now_ms,
                outcome="expired", message="nobody confirmed it in time", revision=stage.revision + 1,
                lateness_ms=now_ms - cue.expires_ms, show_id=stage.show.show_id if stage.show else "",
                data=data_json(cue.data), mode="expire",
            )

        return await self._execution.finish(
            ExpirePending(cue.cue_id), line, self._fresh, self._clock, token=self._lease.token
        )

    def _settled(self, outcome: object) -> bool:
        if isinstance(outcome, Fenced):
            log.warning("director_fenced", token=self._lease.token)
        return isinstance(outcome, Committed | Fenced)
