"""The show as a pure state machine: `(stage, command, now) -> (stage, events)`, or a refusal that says why.

Nothing is ever half applied: a command either yields the next revision with its events, or raises. Times are
Unix milliseconds, durations whole seconds. Commands are imperative; the events are the wire's own messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from broadcast_sync.show.arming import (
    VOIDS_MOST,
    agreed,
    all_taken_off,
    arm,
    asked,
    cancel,
    confirmed,
    drop_armed,
    expire_pending,
    finish_void,
    set_reference,
    taken_off,
    takes_two,
    void_votes,
)
from broadcast_sync.show.checks import Events, advancing, clock_time, not_advancing, on_air, silent
from broadcast_sync.show.model import Performance, Stage
from broadcast_sync.show.orders import (
    AdvanceSlot,
    Arm,
    Ask,
    Cancel,
    CancelRundown,
    Certify,
    CloseByTimer,
    CloseVoting,
    Command,
    CompleteAdvance,
    Confirm,
    DropArmed,
    DropRundown,
    EndPerformance,
    EndShow,
    ExpirePending,
    ExtendVoting,
    FinishVoid,
    OpenVoting,
    ReleaseResults,
    ScheduleRundown,
    SetReference,
    StartPerformance,
    StartShow,
    TakeArmed,
    VoidVotes,
    Warn,
)
from broadcast_sync.show.outcome import (
    advance_slot,
    can_advance,
    can_release,
    certify,
    complete_advance,
    release_results,
)
from broadcast_sync.show.rounds import refuse
from broadcast_sync.show.scheduling import cancel_rundown, drop_rundown, schedule_rundown
from broadcast_sync.show.views import state_update
from broadcast_sync.show.voting import close_by_timer, close_voting, extend_voting, open_voting, warn
from broadcast_sync.wire.server import Data


class Decision(Struct, frozen=True):
    """The next stage (revision grown by one; epoch and offset are the store's to set) and its events in order,
    the last of them always a STATE_UPDATE."""

    stage: Stage
    events: tuple[Data, ...]


def decide(stage: Stage, command: Command, now_ms: int) -> Decision:
    """What `command` makes of `stage` at `now_ms`. Raises Refusal CUE_REJECTED with the reason in plain words, or
    TIMECODE_INVALID for a label that does not exist."""
    changed, events = _change(stage, command, now_ms)
    changed = replace(changed, revision=stage.revision + 1)
    return Decision(changed, (*events(changed), state_update(changed)))


def _change(stage: Stage, command: Command, now_ms: int) -> tuple[Stage, Events]:
    return _HANDLERS[type(command)](stage, command, now_ms)


def legal_events(stage: Stage) -> tuple[str, ...]:
    """The cue events that can be accepted now, in the order of a show: the control room's buttons."""
    running, voting, locked = stage.show is not None, stage.voting, advancing(stage)
    legal = {
        "SHOW_START": not running,
        "PERFORMANCE_START": running and stage.performance is None,
        "PERFORMANCE_END": stage.performance is not None,
        "VOTING_OPEN": running and voting in ("IDLE", "CLOSED") and not locked,
        "VOTING_EXTEND": voting == "OPEN",
        "VOTING_CLOSE": voting == "OPEN",
        "RESULTS_RELEASE": can_release(stage),
        "ADVANCE_SLOT": can_advance(stage),
        "SHOW_END": running and voting in ("IDLE", "CLOSED") and not locked,
        "TIMECODE_SET": True,
        "VOID": len(stage.voids) < VOIDS_MOST,
    }
    return tuple(event for event, accepted in legal.items() if accepted)


def asking_events(stage: Stage, extend_limit_s: int) -> tuple[str, ...]:
    """Those of the legal events that would only be asked for now: a second person must confirm them."""
    extended_s = stage.window.extended_s if stage.window else 0
    asking = {
        "VOTING_EXTEND": extended_s >= extend_limit_s,
        "RESULTS_RELEASE": takes_two(stage, ReleaseResults()),
        "VOID": True,
    }
    return tuple(event for event in legal_events(stage) if asking.get(event, False))


def start_show(stage: Stage, command: StartShow, now_ms: int) -> tuple[Stage, Events]:
    if stage.show is not None:
        current, wanted = stage.show, command.show
        same = (current.show_id, current.episode) == (wanted.show_id, wanted.episode)
        already = " already" if same else ""
        raise refuse(f"{current.title} (episode {current.episode}) is on air{already}; end it first.")
    started = replace(stage, show=command.show, scope=scope_of(command.show))
    if command.show.rehearsal:
        # a rehearsal of slots is a season of its own; the real one waits
        return replace(started, season=None, season_aside=stage.season), silent
    season = stage.season if stage.season and stage.season.show_id == command.show.show_id else None
    return replace(started, season=season), silent


class Run(Protocol):
    """A show on air, or one that is asked for."""

    @property
    def show_id(self) -> str: ...
    @property
    def episode(self) -> int: ...
    @property
    def rehearsal(self) -> bool: ...


def scope_of(show: Run) -> str:
    """Whose cueIds are told apart: the show's, the episode's, a rehearsal's."""
    return f"{show.show_id}:{show.episode}{':rehearsal' if show.rehearsal else ''}"


def empty(stage: Stage) -> Stage:
    """Nothing on air; what outlives a show is kept."""
    rehearsed = stage.show is not None and stage.show.rehearsal
    left = all_taken_off(stage)  # a cue of this show must not be taken in the next
    return Stage(
        organisation=stage.organisation, epoch=stage.epoch, offset=stage.offset,
        season=stage.season_aside if rehearsed else stage.season, lately_released=stage.lately_released,
        voids=stage.voids, rundown=left.rundown, due=stage.due, scope=stage.scope,
    )


def end_show(stage: Stage, command: EndShow, now_ms: int) -> tuple[Stage, Events]:
    on_air(stage)
    if stage.voting == "OPEN" and stage.window:
        raise refuse(f"Voting is open until {clock_time(stage.window.closes_ms)}; close it first.")
    if stage.voting == "CLOSING":
        raise refuse("The votes are being counted; end the show when the result is in.")
    not_advancing(stage)
    return empty(stage), silent


def start_performance(stage: Stage, command: StartPerformance, now_ms: int) -> tuple[Stage, Events]:
    show = on_air(stage)
    if stage.performance is not None:
        raise refuse(f"The performance of {stage.performance.contestant_id} has not ended.")
    if command.contestant_id not in {contestant.id for contestant in show.contestants}:
        raise refuse(f"There is no contestant {command.contestant_id[:64]} in this episode.")
    performance = Performance(command.contestant_id, command.song_name, now_ms)
    return replace(stage, performance=performance), silent


def end_performance(stage: Stage, command: EndPerformance, now_ms: int) -> tuple[Stage, Events]:
    on_air(stage)
    if stage.performance is None:
        raise refuse("No performance is running.")
    if command.contestant_id not in (None, stage.performance.contestant_id):
        raise refuse(f"The performance is that of {stage.performance.contestant_id}.")
    return replace(stage, performance=None), silent


# --- cues within cues ---------------------------------------------------------------------------------------


def _take_armed(stage: Stage, command: TakeArmed, now_ms: int) -> tuple[Stage, Events]:
    left = taken_off(stage, command.cue_id, "taken")
    if takes_two(left, command.command):
        raise refuse("This takes two people: cancel it and give the cue itself.")
    return _change(left, command.command, now_ms)


def _ask(stage: Stage, command: Ask, now_ms: int) -> tuple[Stage, Events]:
    # what would be refused now is not worth another person's time
    _change(stage, confirmed(command.command, "another person", now_ms), now_ms)
    window_id = "" if stage.window is None or isinstance(command.command, VoidVotes) else stage.window.window_id
    return asked(stage, replace(command.cue, window_id=window_id)), silent


def _confirm(stage: Stage, command: Confirm, now_ms: int) -> tuple[Stage, Events]:
    left = agreed(stage, command.cue_id, command.by, now_ms)
    return _change(left, confirmed(command.command, command.by, now_ms), now_ms)


_HANDLERS: Final[dict[type[Command], Callable[[Stage, Any, int], tuple[Stage, Events]]]] = {
    StartShow: start_show,
    EndShow: end_show,
    StartPerformance: start_performance,
    EndPerformance: end_performance,
    OpenVoting: open_voting,
    ExtendVoting: extend_voting,
    CloseVoting: close_voting,
    CloseByTimer: close_by_timer,
    Warn: warn,
    Certify: certify,
    ReleaseResults: release_results,
    AdvanceSlot: advance_slot,
    CompleteAdvance: complete_advance,
    SetReference: set_reference,
    Arm: arm,
    Cancel: cancel,
    ScheduleRundown: schedule_rundown,
    CancelRundown: cancel_rundown,
    DropRundown: drop_rundown,
    TakeArmed: _take_armed,
    DropArmed: drop_armed,
    Ask: _ask,
    Confirm: _confirm,
    ExpirePending: expire_pending,
    VoidVotes: void_votes,
    FinishVoid: finish_void,
}
