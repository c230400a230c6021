"""Rundowns for a date: kept, replaced, forgotten. Handlers of the machine. Pure."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from broadcast_sync.show.checks import Events, silent
from broadcast_sync.show.model import DueRundown, Stage
from broadcast_sync.show.orders import CancelRundown, DropRundown, ScheduleRundown
from broadcast_sync.show.rounds import refuse
from broadcast_sync.wire.times import iso

DUE_MOST: Final = 16
"""Rundowns that may wait for their dates; beyond it they are refused."""
DUE_AHEAD_MS: Final = 366 * 86_400_000
ARM_AHEAD_MS: Final = 60_000
"""How long before it is due a rundown is armed."""


def schedule_rundown(stage: Stage, command: ScheduleRundown, now_ms: int) -> tuple[Stage, Events]:
    rundown = command.rundown
    if rundown.due_ms <= now_ms:
        raise refuse(f"{rundown.name} is due in the past: {iso(rundown.due_ms)}.")
    if rundown.due_ms > now_ms + DUE_AHEAD_MS:
        raise refuse(f"{rundown.name} is due more than a year ahead.")
    others = [one for one in stage.due if one.name != rundown.name]
    if len(others) >= DUE_MOST:
        raise refuse(f"{DUE_MOST} rundowns wait for their dates already; cancel one.")
    return replace(stage, due=tuple(sorted([*others, rundown], key=lambda one: one.due_ms))), silent


def cancel_rundown(stage: Stage, command: CancelRundown, now_ms: int) -> tuple[Stage, Events]:
    return without_due(stage, due_named(stage, command.name).id), silent


def drop_rundown(stage: Stage, command: DropRundown, now_ms: int) -> tuple[Stage, Events]:
    return without_due(stage, command.id), silent


def due_named(stage: Stage, name: str) -> DueRundown:
    """Raises Refusal CUE_REJECTED if no rundown of this name waits for its date."""
    found = next((one for one in stage.due if one.name == name), None)
    if found is None:
        raise refuse(f"No rundown {name[:64]} waits for its date.")
    return found


def without_due(stage: Stage, due_id: str) -> Stage:
    """The stage without that due rundown. Raises Refusal CUE_REJECTED if there is none."""
    left = tuple(one for one in stage.due if one.id != due_id)
    if left == stage.due:
        raise refuse("That rundown does not wait for its date any more.")
    return replace(stage, due=left)
