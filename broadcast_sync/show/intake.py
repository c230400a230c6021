"""Cues in: paced, idempotent, compared with the revision, decided and committed, or refused with a reason.

A refused cue changes nothing and is logged. When an engine fails, the outcome is unknown and the answer is
TRY_AGAIN: the same cueId then gets the first answer, or is decided afresh. Fails closed.
"""

from __future__ import annotations

from typing import Final, Protocol

import structlog
from msgspec.structs import replace

from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Settings
from broadcast_sync.show.cues import (
    CueRecord,
    EventData,
    OpenVotingData,
    Remembered,
    StartShowData,
    data_json,
    event_data,
    simple_command,
)
from broadcast_sync.show.machine import Decision, decide
from broadcast_sync.show.model import Ruleset, Show, Stage, WindowPort
from broadcast_sync.show.orders import Command, OpenVoting, StartShow
from broadcast_sync.show.outages import ENGINE_ERRORS
from broadcast_sync.show.pace import Pace
from broadcast_sync.show.store import Committed, Replayed, StageStore
from broadcast_sync.show.timecode import check_timecode
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck
from broadcast_sync.wire.times import iso, parse_iso

log = structlog.get_logger()

ATTEMPTS: Final = 8
"""How often a cue is decided again because another commit came first, before the answer is BUSY."""


class ShowSource(Protocol):
    """Where episodes come from: the catalogue."""

    async def find(self, show_id: str, episode: int) -> Show | None:
        """The episode, or None if there is none. Engine errors pass through."""
        ...


class _Asked:
    """One cue being worked on: what it asks, by whom, and the revision it was last judged at."""

    def __init__(self, cue: CueMessage, cue_id: str, by: str, received_ms: int) -> None:
        self.cue = cue
        self.cue_id = cue_id
        self.by = by
        self.received_ms = received_ms
        self.asked_ms = received_ms
        self.revision = 0
        self.show_id = ""

    def judged_at(self, stage: Stage) -> None:
        self.revision = stage.revision
        self.show_id = stage.show.show_id if stage.show else ""

    def record(self, now_ms: int, outcome: str, message: str = "") -> CueRecord:
        return CueRecord(
            cue_id=self.cue_id, event=self.cue.event, by=self.by, asked_ms=self.asked_ms,
            executed_ms=now_ms if outcome == "executed" else None, outcome=outcome, message=message,
            revision=self.revision, lateness_ms=now_ms - self.asked_ms, show_id=self.show_id,
            timecode=self.cue.timecode or "", data=data_json(self.cue.data),
        )


class CueIntake:
    """Takes the cues of one organisation's control room, from whatever door they come."""

    def __init__(
        self, settings: Settings, store: StageStore, shows: ShowSource, window_port: WindowPort, clock: Clock
    ) -> None:
        self._settings = settings
        self._store = store
        self._shows = shows
        self._window_port = window_port
        self._clock = clock
        self._pace = Pace(settings.control.cues_per_second)

    async def submit(self, cue: CueMessage, *, by: str, received_ms: int) -> CueAck:
        """Executes `cue` for operator `by`, or raises Refusal. A cueId that was executed before gets its first
        answer with `replayed` true, even if the cue would be refused now. Without a cueId one is made."""
        self._pace.take(by, self._clock.now_ms())
        asked = _Asked(cue, cue.cue_id or str(uuid7(received_ms)), by, received_ms)
        try:
            return await self._execute(asked)
        except Refusal as refusal:
            await self._log_refusal(asked, refusal)
            raise
        except ENGINE_ERRORS as error:
            log.warning("cue_outcome_unknown", cue_id=asked.cue_id, cue=cue.event, error=str(error))
            raise Refusal("TRY_AGAIN") from None

    async def _execute(self, asked: _Asked) -> CueAck:
        cue = asked.cue
        loaded = await self._store.load_for(asked.cue_id)
        asked.judged_at(loaded.stage)
        if loaded.first is not None:
            return self._replay(asked, loaded.first)
        asked.asked_ms = _asked_ms(asked)
        if cue.timecode is not None:
            check_timecode(cue.timecode)
        data = event_data(cue)
        show = await self._find(data) if isinstance(data, StartShowData) else None
        ruleset = self._window_port.ruleset(data.ruleset) if isinstance(data, OpenVotingData) else None

        stage = loaded.stage
        for _ in range(ATTEMPTS):
            asked.judged_at(stage)
            if cue.expected_revision not in (None, stage.revision):
                raise Refusal("STALE_REVISION", detail={"revision": stage.revision})
            now_ms = self._clock.now_ms()
            decision = decide(stage, self._command(cue.event, data, show, ruleset, now_ms), now_ms)
            ack = await self._commit(asked, stage, decision, now_ms)
            if ack is not None:
                return ack
            stage = await self._store.load()
        raise Refusal("BUSY", "Too many cues at once, try again.")

    async def _commit(self, asked: _Asked, stage: Stage, decision: Decision, now_ms: int) -> CueAck | None:
        """The cue's answer; None if another commit came first."""
        event = asked.cue.event
        if event == "VOTING_OPEN":
            await self._window_port.opening(decision.stage)
        asked.judged_at(decision.stage)
        ack = CueAck(asked.cue_id, decision.stage.revision, iso(now_ms), now_ms - asked.asked_ms, False)
        outcome = await self._store.commit(
            stage.revision, decision, now_ms, Remembered(event, ack), asked.record(now_ms, "executed")
        )
        if isinstance(outcome, Replayed):
            return self._replay(asked, outcome.first)
        if not isinstance(outcome, Committed):
            return None
        log.info("cue_taken", cue=event, cue_id=ack.cue_id, by=asked.by, revision=ack.revision)
        if event in ("VOTING_EXTEND", "VOTING_CLOSE", "ADVANCE_SLOT"):
            await self._tell_window(outcome.stage)
        return ack

    def _command(
        self, event: str, data: EventData, show: Show | None, ruleset: Ruleset | None, now_ms: int
    ) -> Command:
        simple = simple_command(event, data)
        if simple is not None:
            return simple
        if show is not None:
            return StartShow(show)
        if not isinstance(data, OpenVotingData) or ruleset is None:
            raise Refusal("UNSUPPORTED", f"There is no command for {event}.")
        # a new id each time: a window that was prepared and then not committed must never be heard of again
        return OpenVoting(
            window_id=str(uuid7(now_ms)),
            duration_s=self._settings.show.duration_s if data.duration is None else data.duration,
            contestants=None if data.contestants is None else tuple(data.contestants),
            ruleset=ruleset,
            grace_ms=round(self._settings.show.grace_s * 1000),
            slot=data.slot,
        )

    async def _find(self, data: StartShowData) -> Show:
        show = await self._shows.find(data.show_id, data.episode)
        if show is None:
            raise Refusal(
                "CUE_REJECTED", f"There is no episode {data.episode} of show {data.show_id}; load its show file."
            )
        return show

    async def _tell_window(self, stage: Stage) -> None:
        try:
            await self._window_port.changed(stage)
        except ENGINE_ERRORS as error:
            # committed all the same: the director tells the window again within seconds
            log.warning("window_not_told", revision=stage.revision, error=str(error))

    def _replay(self, asked: _Asked, first: Remembered) -> CueAck:
        if first.event != asked.cue.event:
            raise Refusal("CUE_REJECTED", f"This cueId was taken for {first.event} before; use a new one.")
        return replace(first.ack, replayed=True)

    async def _log_refusal(self, asked: _Asked, refusal: Refusal) -> None:
        log.info("cue_refused", cue=asked.cue.event, cue_id=asked.cue_id, by=asked.by, code=refusal.code)
        try:
            await self._store.log_refusal(asked.record(self._clock.now_ms(), refusal.code, refusal.message))
        except ENGINE_ERRORS as error:
            # the refusal stands, and the log line above has it
            log.warning("cue_log_missed", cue_id=asked.cue_id, error=str(error))


def _asked_ms(asked: _Asked) -> int:
    """When the control room says it asked, else when the cue arrived."""
    if asked.cue.timestamp is None:
        return asked.received_ms
    try:
        return parse_iso(asked.cue.timestamp)
    except ValueError:
        raise Refusal("BAD_MESSAGE", "Expected an ISO 8601 time with its offset or Z - at `$.timestamp`") from None
