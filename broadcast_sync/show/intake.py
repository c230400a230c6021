"""Cues in: each is checked, decided, compared with the revision and committed once, or refused with its reason.

Every cue leaves one line in the cue log, taken or not; a cueId that repeats leaves none. When the engine is away the
answer is TRY_AGAIN: the same cueId then gets the first answer, or is decided afresh. A cue that says when it was asked
is not taken `control.late_cue_s` after that: the show has gone on without it. Fails closed.
"""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic_ns
from typing import Final

import structlog
from msgspec.structs import replace

from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Settings
from broadcast_sync.show.arming import armed_cue
from broadcast_sync.show.cues import CueRecord, Remembered
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import Stage
from broadcast_sync.show.outages import ENGINE_ERRORS
from broadcast_sync.show.pace import Pace
from broadcast_sync.show.planning import Asked, Plan, Planner, for_this_show
from broadcast_sync.show.reader import CueReader, MakeCommand, read_time, scope_for
from broadcast_sync.show.store import Answer, Committed, Late, Replayed, StageStore, answer_key
from broadcast_sync.show.timecode import check_timecode
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck
from broadcast_sync.wire.times import iso

log = structlog.get_logger()

ATTEMPTS: Final = 8
"""How often a cue is decided again because another commit came first, before the answer is BUSY."""


class CueIntake:
    """Takes the cues of one organisation's control room, from whatever door they come."""

    def __init__(
        self, settings: Settings, store: StageStore, reader: CueReader, execution: Execution, clock: Clock
    ) -> None:
        self._store = store
        self._planner = Planner(settings.control, reader)
        self._execution = execution
        self._clock = clock
        self._pace = Pace(settings.control.cues_per_second)
        self._late_ms = round(settings.control.late_cue_s * 1000)

    async def submit(
        self, cue: CueMessage, *, by: str, received_ms: int, roles: Collection[str] = ()
    ) -> CueAck:
        """Executes `cue` for operator `by`, or raises Refusal. A cueId that was answered before, in this show and mode,
        gets its first answer with `replayed` true, even if the cue would be refused now. Without a cueId one is made.
        `roles` are the operator's: a door that knows none cannot confirm."""
        self._pace.take(by, monotonic_ns() // 1_000_000)
        asked = Asked(cue, cue.cue_id or str(uuid7(received_ms)), by, roles, received_ms)
        try:
            return await self._execute(asked)
        except Refusal as refusal:
            await self._log_refusal(asked, refusal)
            raise
        except ENGINE_ERRORS as error:
            log.warning("cue_outcome_unknown", cue_id=asked.cue_id, cue=cue.event, error=str(error))
            raise Refusal("TRY_AGAIN") from None

    async def _execute(self, asked: Asked) -> CueAck:
        cue = asked.cue
        for _ in range(ATTEMPTS):
            stage = await self._store.load()
            asked.judged_at(stage)
            first = await self._answered(asked, stage)
            if first is not None:
                return first
            asked.asked_ms = _asked_ms(asked)
            for_this_show(cue, stage)
            if cue.timecode is not None:
                check_timecode(cue.timecode)
            make = await self._planner.source(asked, stage)
            if cue.expected_revision not in (None, stage.revision):
                raise Refusal("STALE_REVISION", detail={"revision": stage.revision})
            ack = await self._take(asked, stage, make)
            if ack is not None:
                return ack
        raise Refusal("BUSY", "Too many cues at once, try again.")

    # --- what becomes of it -----------------------------------------------------------------------------------

    async def _take(self, asked: Asked, stage: Stage, make: MakeCommand | None) -> CueAck | None:
        """The cue's answer; None if another commit came first."""
        now_ms = self._clock.now_ms()
        plan = await self._planner.plan(asked, stage, make, now_ms)
        if plan.outcome == "armed":
            await self._not_taken(asked, stage)
        until_ms = 0
        if plan.outcome not in ("armed", "cancelled"):
            self._in_time(asked, now_ms)
            until_ms = asked.asked_ms + self._late_ms
        decision = decide(stage, plan.command, now_ms)
        await self._execution.prepare(stage, decision.stage)
        asked.judged_at(decision.stage)
        record = asked.record(now_ms, plan)
        ack = _ack(plan, record)
        answers = self._answers(asked, stage, plan, Remembered(asked.cue.event, ack))
        outcome = await self._execution.commit(stage, decision, now_ms, answers, [record], until_ms=until_ms)
        if isinstance(outcome, Late):
            if self._clock.now_ms() > until_ms:
                raise _too_late(outcome.by_ms + self._late_ms)
            # not by this clock, which nobody can set: the engine's has been, a moment ago
            outcome = await self._execution.commit(stage, decision, now_ms, answers, [record])
        if isinstance(outcome, Replayed):
            return _replay(asked, outcome.first)
        if not isinstance(outcome, Committed):
            return None
        log.info("cue_taken", cue=asked.cue.event, cue_id=ack.cue_id, by=asked.by, revision=ack.revision,
                 outcome=plan.outcome, mode=plan.mode, lateness_ms=ack.lateness_ms)
        return ack

    def _in_time(self, asked: Asked, now_ms: int) -> None:
        """Raises Refusal CUE_REJECTED for a cue that would have its effect now and was asked at another time: when it
        arrived, if it does not say. Arming and taking back may be late."""
        late_ms = now_ms - asked.asked_ms
        if late_ms > self._late_ms:
            raise _too_late(late_ms)
        if -late_ms <= self._late_ms:
            return
        raise Refusal("CUE_REJECTED", f"Its time is {-late_ms / 1000:.1f} s ahead: arm it, or set that clock right.")

    def _answers(self, asked: Asked, stage: Stage, plan: Plan, remembered: Remembered) -> list[Answer]:
        scope = scope_for(asked.cue.event, asked.cue.data, stage)
        answers = [Answer(answer_key(scope, plan.mode, asked.cue_id), remembered)]
        if plan.outcome == "cancelled":
            gone = replace(remembered, refused=f"{asked.cue_id} was cancelled; use a new cueId.")
            answers.append(Answer(answer_key(scope, "take", asked.cue_id), gone))
        return answers

    async def _answered(self, asked: Asked, stage: Stage) -> CueAck | None:
        """The first answer to this cue, if it has been given."""
        cue = asked.cue
        mode: str = cue.mode
        if mode == "take" and armed_cue(stage, asked.cue_id) is not None:
            if cue.timecode is None:
                return None
            mode = "arm"  # a label to come has armed it
        key = answer_key(scope_for(cue.event, cue.data, stage), mode, asked.cue_id)
        first = await self._store.first_answer(key)
        return None if first is None else _replay(asked, first)

    async def _not_taken(self, asked: Asked, stage: Stage) -> None:
        """Raises Refusal CUE_REJECTED if the cueId has been taken: a repeat of that cue, still under way, must not take
        what is armed under it."""
        key = answer_key(scope_for(asked.cue.event, asked.cue.data, stage), "take", asked.cue_id)
        if await self._store.first_answer(key) is not None:
            raise Refusal("CUE_REJECTED", f"{asked.cue_id} has been used; use a new cueId.")

    async def _log_refusal(self, asked: Asked, refusal: Refusal) -> None:
        log.info("cue_refused", cue=asked.cue.event, cue_id=asked.cue_id, by=asked.by, code=refusal.code)
        try:
            await self._store.log_refusal(asked.refusal(self._clock.now_ms(), refusal))
        except ENGINE_ERRORS as error:
            # the refusal stands, and the log line above has it
            log.warning("cue_log_missed", cue_id=asked.cue_id, error=str(error))


def _too_late(late_ms: int) -> Refusal:
    return Refusal("CUE_REJECTED", f"Too late: it was asked {late_ms / 1000:.1f} s ago; give it again.")


def _ack(plan: Plan, record: CueRecord) -> CueAck:
    executed_ms = record.asked_ms if record.executed_ms is None else record.executed_ms
    ack = CueAck(record.cue_id, record.revision, iso(executed_ms), record.lateness_ms, False)
    if plan.outcome == "armed" and plan.due_ms is not None:
        return replace(ack, armed=True, at=iso(plan.due_ms))
    if plan.outcome == "pending" and plan.expires_ms is not None:
        return replace(ack, pending=True, expires_at=iso(plan.expires_ms))
    return ack


def _replay(asked: Asked, first: Remembered) -> CueAck:
    if first.event != asked.cue.event:
        raise Refusal("CUE_REJECTED", f"This cueId was taken for {first.event} before; use a new one.")
    if first.refused:
        raise Refusal("CUE_REJECTED", first.refused)
    return replace(first.ack, replayed=True)


def _asked_ms(asked: Asked) -> int:
    """When the control room says it asked, else when the cue arrived; the time of an armed cue is no such claim."""
    if asked.cue.timestamp is None:
        return asked.received_ms
    said_ms = read_time(asked.cue.timestamp, "timestamp")
    return asked.received_ms if asked.cue.mode == "arm" else said_ms
