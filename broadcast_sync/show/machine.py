"""The show as a pure state machine: `(stage, command, now) -> (stage, events)`, or a refusal that says why.

Nothing is ever half applied: a command either yields the next revision with its events, or raises. Times are
Unix milliseconds, durations whole seconds. Commands are imperative; the events are the wire's own messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from broadcast_sync.show.checks import Events, advancing, clock_time, not_advancing, on_air, silent
from broadcast_sync.show.model import Performance, Stage
from broadcast_sync.show.orders import (
    AdvanceSlot,
    Certify,
    CloseByTimer,
    CloseVoting,
    Command,
    CompleteAdvance,
    EndPerformance,
    EndShow,
    ExtendVoting,
    OpenVoting,
    ReleaseResults,
    StartPerformance,
    StartShow,
    Warn,
)
from broadcast_sync.show.outcome import advance_slot, can_advance, certify, complete_advance, release_results
from broadcast_sync.show.rounds import refuse
from broadcast_sync.show.views import state_update
from broadcast_sync.show.voting import close_by_timer, close_voting, extend_voting, open_voting, warn
from broadcast_sync.wire.server import Data


class Decision(Struct, frozen=True):
    """The next stage (revision grown by one; epoch and offset are the store's to set) and its events in order,
    the last of them always a STATE_UPDATE."""

    stage: Stage
    events: tuple[Data, ...]


def decide(stage: Stage, command: Command, now_ms: int) -> Decision:
    """What `command` makes of `stage` at `now_ms`. Raises Refusal CUE_REJECTED with the reason in plain words."""
    changed, events = _HANDLERS[type(command)](stage, command, now_ms)
    changed = replace(changed, revision=stage.revision + 1)
    return Decision(changed, (*events(changed), state_update(changed)))


def legal_events(stage: Stage) -> tuple[str, ...]:
    """The cue events that can be accepted now, in the order of a show: the control room's buttons."""
    on_air, voting, locked = stage.show is not None, stage.voting, advancing(stage)
    legal = {
        "SHOW_START": not on_air,
        "PERFORMANCE_START": on_air and stage.performance is None,
        "PERFORMANCE_END": stage.performance is not None,
        "VOTING_OPEN": on_air and voting in ("IDLE", "CLOSED") and not locked,
        "VOTING_EXTEND": voting == "OPEN",
        "VOTING_CLOSE": voting == "OPEN",
        "RESULTS_RELEASE": voting == "CLOSED" and stage.results is not None and not stage.release_cued,
        "ADVANCE_SLOT": can_advance(stage),
        "SHOW_END": on_air and voting in ("IDLE", "CLOSED") and not locked,
    }
    return tuple(event for event, accepted in legal.items() if accepted)


def start_show(stage: Stage, command: StartShow, now_ms: int) -> tuple[Stage, Events]:
    if stage.show is not None:
        on_air, asked = stage.show, command.show
        same = (on_air.show_id, on_air.episode) == (asked.show_id, asked.episode)
        raise refuse(f"{on_air.title} (episode {on_air.episode}) is on air{' already' if same else ''}; end it first.")
    season = stage.season if stage.season and stage.season.show_id == command.show.show_id else None
    return replace(empty(stage), show=command.show, season=season), silent


def empty(stage: Stage) -> Stage:
    """Nothing on air; what outlives a show is kept."""
    return Stage(
        organisation=stage.organisation, epoch=stage.epoch, offset=stage.offset, season=stage.season,
        lately_released=stage.lately_released,
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
}
