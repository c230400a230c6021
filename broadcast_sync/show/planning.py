"""What a cue comes to on a stage: taken now, armed, cancelled, put to a second person or confirmed by one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec import Struct

from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Control
from broadcast_sync.show.arming import armed_cue, pending_cue, takes_two
from broadcast_sync.show.cues import CueRecord, data_json
from broadcast_sync.show.model import ArmedCue, PendingCue, Stage
from broadcast_sync.show.orders import Arm, Ask, Cancel, Command, Confirm, TakeArmed
from broadcast_sync.show.reader import CueReader, MakeCommand, read_time
from broadcast_sync.show.timecode import instant
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.times import iso


class Plan(Struct, frozen=True):
    """What a cue comes to on one stage: the command, and what the log and the answer call it."""

    command: Command
    outcome: str = "executed"
    mode: str = "take"
    due_ms: int | None = None
    expires_ms: int | None = None
    message: str = ""
    data: dict[str, Any] | None = None


class Asked:
    """One cue being worked on: what it asks, by whom, and the revision it was last judged at."""

    def __init__(self, cue: CueMessage, cue_id: str, by: str, roles: Collection[str], received_ms: int) -> None:
        self.cue = cue
        self.cue_id = cue_id
        self.by = by
        self.roles = roles
        self.received_ms = received_ms
        self.asked_ms = received_ms
        self.revision = 0
        self.show_id = ""

    def judged_at(self, stage: Stage) -> None:
        self.revision = stage.revision
        self.show_id = stage.show.show_id if stage.show else ""

    def record(self, now_ms: int, plan: Plan) -> CueRecord:
        """The line of a cue that changed the stage."""
        due_ms = self.asked_ms if plan.outcome != "executed" or plan.due_ms is None else plan.due_ms
        return CueRecord(
            cue_id=self.cue_id, event=self.cue.event, by=self.by, asked_ms=self.asked_ms, executed_ms=now_ms,
            outcome=plan.outcome, message=plan.message, revision=self.revision, lateness_ms=now_ms - due_ms,
            show_id=self.show_id, timecode=self.cue.timecode or "",
            data=data_json(self.cue.data if plan.data is None else plan.data), mode=plan.mode, due_ms=plan.due_ms,
        )

    def refusal(self, now_ms: int, refusal: Refusal) -> CueRecord:
        """The line of a cue that changed nothing."""
        return CueRecord(
            cue_id=self.cue_id, event=self.cue.event, by=self.by, asked_ms=self.asked_ms, executed_ms=None,
            outcome=refusal.code, message=refusal.message, revision=self.revision,
            lateness_ms=now_ms - self.asked_ms, show_id=self.show_id, timecode=self.cue.timecode or "",
            data=data_json(self.cue.data), mode=self.cue.mode,
        )


class Planner:
    """Plans the cues of one organisation. Engine errors pass through."""

    def __init__(self, settings: Control, reader: CueReader) -> None:
        self._settings = settings
        self._reader = reader

    async def source(self, asked: Asked, stage: Stage) -> MakeCommand | None:
        """What makes the command that the cue stands for: its own, or that of the armed or pending cue it names. None
        for a cancel."""
        cue = asked.cue
        if cue.mode == "cancel":
            _same(cue, armed_cue(stage, asked.cue_id) or pending_cue(stage, asked.cue_id))
            return None
        if cue.mode == "confirm":
            waiting = pending_cue(stage, asked.cue_id)
            _same(cue, waiting)
            if waiting is not None:
                return await self._reader.read(waiting.event, waiting.data, asked.cue_id, waiting.by)
            raise Refusal("CUE_REJECTED", f"No cue {asked.cue_id} waits for a second person.")
        waiting_armed = armed_cue(stage, asked.cue_id) if cue.mode == "take" else None
        if waiting_armed is not None:
            _same(cue, waiting_armed)
            return await self._reader.read(waiting_armed.event, waiting_armed.data, asked.cue_id, waiting_armed.by)
        return await self._reader.read(cue.event, cue.data, asked.cue_id, asked.by)

    async def plan(self, asked: Asked, stage: Stage, make: MakeCommand | None, now_ms: int) -> Plan:
        """The plan for `stage`; `make` is what `source` gave for it. Raises Refusal."""
        cue = asked.cue
        if make is None:
            return Plan(Cancel(asked.cue_id), "cancelled", "cancel")
        if cue.mode == "confirm":
            return self._confirmation(asked, stage, make, now_ms)
        armed = armed_cue(stage, asked.cue_id) if cue.mode == "take" else None
        if armed is not None:
            due_ms = None if cue.timecode is None else _due_ms(cue, stage, now_ms)
            if due_ms is not None and due_ms > now_ms:
                raise Refusal("CUE_REJECTED", f"{armed.cue_id} is armed for {iso(armed.at_ms)}; cancel it first.")
            command: Command = TakeArmed(armed.cue_id, make(stage, now_ms))
            return Plan(command, message=f"armed by {armed.by}, taken by hand", data=armed.data)
        due_ms = _due_ms(cue, stage, now_ms)
        if cue.mode == "arm" or (due_ms is not None and due_ms > now_ms):
            return await self._arming(asked, due_ms)
        command = make(stage, now_ms)
        if takes_two(stage, command):
            expires_ms = now_ms + round(self._settings.confirm_s * 1000)
            waiting = PendingCue(asked.cue_id, cue.event, asked.by, now_ms, expires_ms, cue.data or {})
            return Plan(Ask(waiting, command), "pending", expires_ms=expires_ms, message="another must confirm")
        return Plan(command, due_ms=due_ms)

    async def _arming(self, asked: Asked, due_ms: int | None) -> Plan:
        cue = asked.cue
        if due_ms is None:
            raise Refusal("BAD_MESSAGE", "A cue is armed for a `timecode` or a `timestamp`: give one of them.")
        await self._reader.check_armed(cue.event, cue.data, asked.cue_id, asked.by)
        armed = ArmedCue(
            asked.cue_id, cue.event, due_ms, asked.by, asked.received_ms, cue.timecode or "", cue.data or {}
        )
        return Plan(Arm((armed,)), "armed", "arm", due_ms=due_ms, message=f"for {iso(due_ms)}")

    def _confirmation(self, asked: Asked, stage: Stage, make: MakeCommand, now_ms: int) -> Plan:
        role = self._settings.confirm_role
        if {role, "admin"}.isdisjoint(asked.roles):
            raise Refusal("FORBIDDEN", f"Confirming takes the role {role}.")
        waiting = pending_cue(stage, asked.cue_id)
        assert waiting is not None  # source() has looked
        return Plan(
            Confirm(asked.cue_id, asked.by, make(stage, now_ms)), mode="confirm", message=f"asked by {waiting.by}",
            data=waiting.data,
        )


def _due_ms(cue: CueMessage, stage: Stage, now_ms: int) -> int | None:
    """The instant that the cue is for; None if it names none. A label without a reference is a remark when a cue is
    taken, and refused when one is armed."""
    if cue.timecode is not None and stage.reference is not None:
        return instant(cue.timecode, stage.reference, now_ms)
    if cue.mode != "arm":
        return None
    if cue.timecode is not None:
        raise Refusal("CUE_REJECTED", "The show has no timecode yet: cue TIMECODE_SET first.")
    return None if cue.timestamp is None else read_time(cue.timestamp, "timestamp")


def for_this_show(cue: CueMessage, stage: Stage) -> None:
    """Raises Refusal CUE_REJECTED if the cue names another show than the one on air."""
    on_air = stage.show.show_id if stage.show else None
    if cue.show_id is not None and cue.show_id != on_air and cue.event != "SHOW_START":
        raise Refusal("CUE_REJECTED", f"This cue is for the show {cue.show_id}; on air is {on_air or 'none'}.")


def _same(cue: CueMessage, waiting: ArmedCue | PendingCue | None) -> None:
    """Raises Refusal CUE_REJECTED if the cue says something else than the one that waits under its cueId."""
    if waiting is None:
        return
    if cue.event != waiting.event:
        raise Refusal("CUE_REJECTED", f"{waiting.cue_id} waits as {waiting.event}, not as {cue.event}.")
    if cue.data and cue.data != waiting.data:
        raise Refusal("CUE_REJECTED", f"{waiting.cue_id} waits with other data; cancel it first.")
