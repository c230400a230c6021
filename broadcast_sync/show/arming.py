"""Cues to come and cues that take two people: armed, moved, taken off; asked, confirmed, expired. Handlers of the
machine. Pure."""

from __future__ import annotations

from typing import Final, Literal

from msgspec.structs import replace

from broadcast_sync.show.checks import Events, clock_time, silent
from broadcast_sync.show.model import ArmedCue, PendingCue, Rundown, RundownItem, Stage
from broadcast_sync.show.orders import (
    Arm,
    Cancel,
    Command,
    DropArmed,
    ExpirePending,
    ExtendVoting,
    FinishVoid,
    ReleaseResults,
    SetReference,
    VoidVotes,
)
from broadcast_sync.show.rounds import refuse
from broadcast_sync.show.scheduling import without_due
from broadcast_sync.show.timecode import instant

ARMED_MOST: Final = 100
"""Cues that may be armed at a time; beyond it arming is refused."""
PENDING_MOST: Final = 8
"""Cues that may wait for a second person at a time; beyond it asking is refused."""
VOIDS_MOST: Final = 8
"""Voids that may wait for the director; beyond it they are refused."""
AHEAD_MS: Final = 7 * 86_400_000
"""No cue is armed for later than in a week."""

Taken = Literal["taken", "refused", "cancelled"]


def armed_cue(stage: Stage, cue_id: str) -> ArmedCue | None:
    """The armed cue of this id, if there is one."""
    return next((cue for cue in stage.armed if cue.cue_id == cue_id), None)


def pending_cue(stage: Stage, cue_id: str) -> PendingCue | None:
    """The cue of this id that waits for a second person, if there is one."""
    return next((cue for cue in stage.pending if cue.cue_id == cue_id), None)


def set_reference(stage: Stage, command: SetReference, now_ms: int) -> tuple[Stage, Events]:
    reference = command.reference
    moved = [
        replace(cue, at_ms=instant(cue.timecode, reference, cue.at_ms)) if cue.timecode else cue for cue in stage.armed
    ]
    return replace(_with_armed(stage, moved), reference=reference), silent


def arm(stage: Stage, command: Arm, now_ms: int) -> tuple[Stage, Events]:
    left = stage if not command.rundown else _without_rundown(stage)
    if command.due:
        left = without_due(left, command.due)
    known = {cue.cue_id for cue in left.armed} | {cue.cue_id for cue in left.pending}
    for cue in command.cues:
        if cue.cue_id in known:
            raise refuse(f"{cue.cue_id} is armed already; cancel it first.")
        if cue.at_ms <= now_ms and not command.due:
            raise refuse(f"The time of {cue.cue_id} has passed: {clock_time(cue.at_ms)}.")
        if cue.at_ms > now_ms + AHEAD_MS:
            raise refuse(f"{cue.cue_id} is more than a week ahead.")
        known.add(cue.cue_id)
    if len(left.armed) + len(command.cues) > ARMED_MOST:
        raise refuse(f"No more than {ARMED_MOST} cues can be armed; {len(left.armed)} are.")
    armed = _with_armed(left, [*left.armed, *command.cues])
    if not command.rundown:
        return armed, silent
    items = sorted(command.cues, key=lambda cue: cue.at_ms)
    rundown = Rundown(
        command.rundown, tuple(RundownItem(cue.cue_id, cue.event, cue.at_ms, cue.timecode) for cue in items)
    )
    return replace(armed, rundown=rundown), silent


def cancel(stage: Stage, command: Cancel, now_ms: int) -> tuple[Stage, Events]:
    if armed_cue(stage, command.cue_id) is not None:
        return taken_off(stage, command.cue_id, "cancelled"), silent
    return answered(stage, command.cue_id), silent


def drop_armed(stage: Stage, command: DropArmed, now_ms: int) -> tuple[Stage, Events]:
    return taken_off(stage, command.cue_id, "refused"), silent


def taken_off(stage: Stage, cue_id: str, became: Taken) -> Stage:
    """The stage without the armed cue. Raises Refusal CUE_REJECTED if it is not armed."""
    if armed_cue(stage, cue_id) is None:
        raise refuse(f"No cue {cue_id} is armed.")
    left = replace(stage, armed=tuple(cue for cue in stage.armed if cue.cue_id != cue_id))
    return _noted(left, {cue_id}, became)


def all_taken_off(stage: Stage) -> Stage:
    """The stage with nothing armed."""
    return _noted(replace(stage, armed=()), {cue.cue_id for cue in stage.armed}, "cancelled")


def _with_armed(stage: Stage, cues: list[ArmedCue]) -> Stage:
    """The stage with these cues armed, soonest first, those of one instant in the order they came in."""
    armed = tuple(sorted(cues, key=lambda cue: cue.at_ms))
    times = {cue.cue_id: cue.at_ms for cue in armed}
    rundown = stage.rundown and replace(stage.rundown, items=tuple(
        replace(item, at_ms=times[item.cue_id]) if item.state == "armed" and item.cue_id in times else item
        for item in stage.rundown.items
    ))
    return replace(stage, armed=armed, rundown=rundown)


def _without_rundown(stage: Stage) -> Stage:
    """The stage without what is still armed of the loaded rundown."""
    items = stage.rundown.items if stage.rundown else ()
    left = {item.cue_id for item in items if item.state == "armed"}
    return replace(stage, armed=tuple(cue for cue in stage.armed if cue.cue_id not in left))


def _noted(stage: Stage, cue_ids: set[str], became: Taken) -> Stage:
    """The stage whose rundown says what has become of these cues."""
    if stage.rundown is None or not cue_ids:
        return stage
    items = tuple(
        replace(item, state=became) if item.cue_id in cue_ids and item.state == "armed" else item
        for item in stage.rundown.items
    )
    return replace(stage, rundown=replace(stage.rundown, items=items))


# --- what takes two people ----------------------------------------------------------------------------------


def takes_two(stage: Stage, command: Command) -> bool:
    """Whether `command` needs a second person as the stage is."""
    if isinstance(command, ExtendVoting) and stage.window is not None and command.limit_s is not None:
        return type(command.seconds) is int and stage.window.extended_s + command.seconds > command.limit_s
    if isinstance(command, ReleaseResults) and not command.early:
        return stage.window is not None and not (stage.results is not None and stage.results.certified)
    return isinstance(command, VoidVotes)


def confirmed(command: Command, by: str, now_ms: int) -> Command:
    """`command` as it is once `by` has agreed to it."""
    if isinstance(command, ExtendVoting):
        return replace(command, limit_s=None)
    if isinstance(command, ReleaseResults):
        return replace(command, early=True)
    if isinstance(command, VoidVotes):
        return replace(command, void=replace(command.void, approved_by=by, approved_ms=now_ms))
    return command


def asked(stage: Stage, cue: PendingCue) -> Stage:
    """The stage with `cue` waiting for a second person. Raises Refusal CUE_REJECTED if too many do."""
    if pending_cue(stage, cue.cue_id) is not None or armed_cue(stage, cue.cue_id) is not None:
        raise refuse(f"{cue.cue_id} is waiting already.")
    if len(stage.pending) >= PENDING_MOST:
        raise refuse(f"{PENDING_MOST} cues wait for a second person already; confirm or cancel one.")
    return replace(stage, pending=(*stage.pending, cue))


def answered(stage: Stage, cue_id: str) -> Stage:
    """The stage without that pending cue. Raises Refusal CUE_REJECTED if there is none."""
    if pending_cue(stage, cue_id) is None:
        raise refuse(f"No cue {cue_id} is armed or waits for a second person.")
    return replace(stage, pending=tuple(cue for cue in stage.pending if cue.cue_id != cue_id))


def agreed(stage: Stage, cue_id: str, by: str, now_ms: int) -> Stage:
    """The stage without the pending cue that `by` confirms. Raises Refusal CUE_REJECTED if there is none, if it is
    `by`'s own, if it came too late, or if it was asked for another window."""
    left, cue = answered(stage, cue_id), pending_cue(stage, cue_id)
    if cue is not None and cue.by == by:
        raise refuse("Another person must confirm it.")
    if cue is not None and now_ms >= cue.expires_ms:
        raise refuse(f"It had to be confirmed until {clock_time(cue.expires_ms)}.")
    if cue is not None and cue.window_id and (stage.window is None or stage.window.window_id != cue.window_id):
        raise refuse("It was asked for a window that is over.")
    return left


def expire_pending(stage: Stage, command: ExpirePending, now_ms: int) -> tuple[Stage, Events]:
    cue = pending_cue(stage, command.cue_id)
    if cue is not None and now_ms < cue.expires_ms:
        raise refuse(f"It can be confirmed until {clock_time(cue.expires_ms)}.")
    return answered(stage, command.cue_id), silent


def void_votes(stage: Stage, command: VoidVotes, now_ms: int) -> tuple[Stage, Events]:
    if not command.void.approved_by:
        raise refuse("Voiding votes takes two people.")
    if len(stage.voids) >= VOIDS_MOST:
        raise refuse(f"{VOIDS_MOST} voids are being carried out; wait for them.")
    return replace(stage, voids=(*stage.voids, command.void)), silent


def finish_void(stage: Stage, command: FinishVoid, now_ms: int) -> tuple[Stage, Events]:
    left = tuple(void for void in stage.voids if void.cue_id != command.cue_id)
    if left == stage.voids:
        raise refuse(f"No void {command.cue_id} is waiting.")
    return replace(stage, voids=left), silent
