"""The voting window: opened, extended, warned of, closed. Handlers of the machine. Pure."""

from __future__ import annotations

from typing import Final, Literal

from msgspec.structs import replace

from broadcast_sync.show import rounds
from broadcast_sync.show.arming import takes_two
from broadcast_sync.show.checks import (
    MAX_WINDOW_S,
    Events,
    clock_time,
    not_advancing,
    on_air,
    open_window,
    silent,
    whole_seconds,
)
from broadcast_sync.show.countdown import WARNING_MS, close_due, remaining_s
from broadcast_sync.show.model import Ruleset, Season, Stage, Window
from broadcast_sync.show.orders import CloseByTimer, CloseVoting, ExtendVoting, OpenVoting, Warn
from broadcast_sync.show.rounds import refuse
from broadcast_sync.show.views import window_info
from broadcast_sync.wire.server import ContestantInfo, VotingClosed, Warning_
from broadcast_sync.wire.times import iso
from broadcast_sync.wire.visibility import Visibility

EXTEND_GAP_MS: Final = 1_000
"""Two presses of an extension within so long are one: the second is refused."""


def open_voting(stage: Stage, command: OpenVoting, now_ms: int) -> tuple[Stage, Events]:
    show = on_air(stage)
    if stage.voting == "OPEN" and stage.window:
        raise refuse(f"Voting is already open until {clock_time(stage.window.closes_ms)}.")
    if stage.voting == "CLOSING":
        raise refuse("The votes of the last window are still being counted.")
    not_advancing(stage)
    duration_s = whole_seconds(command.duration_s, "duration")
    # who has won a slot stands aside as long as the season lasts, in windows that are slots of it
    won = rounds.winners_of(stage.season) if command.ruleset.rounds and command.slot != 1 else frozenset()
    contestants = rounds.line_up(show, command.contestants, won)
    if not rounds.can_be_voted_on(contestants):
        raise refuse("There is nobody to vote for: name at least one contestant who is not eliminated.")
    window = new_window(
        command.window_id, now_ms, duration_s, command.grace_ms, command.ruleset, contestants, command.visibility
    )
    season = rounds.opening(stage, show, window, command.slot, duration_s)
    if season is not None and command.ruleset.rounds:
        window = replace(window, round=season.slot)
    return with_window(stage, window, season), lambda after: (window_info(after, window),)


def new_window(
    window_id: str, now_ms: int, duration_s: int, grace_ms: int, ruleset: Ruleset,
    contestants: tuple[ContestantInfo, ...], visibility: Visibility, slot: int = 0,
) -> Window:
    closes_ms = now_ms + duration_s * 1000
    return Window(
        window_id, now_ms, closes_ms, closes_ms + grace_ms, ruleset, contestants,
        warned=duration_s * 1000 <= WARNING_MS, round=slot, visibility=visibility,
    )


def with_window(stage: Stage, window: Window, season: Season | None) -> Stage:
    return replace(
        stage, voting="OPEN", window=window, season=season, results=None, released=False, release_cued=False,
        release_authorised=False,
    )


def extend_voting(stage: Stage, command: ExtendVoting, now_ms: int) -> tuple[Stage, Events]:
    window = open_window(stage, now_ms)
    seconds = whole_seconds(command.seconds, "seconds")
    if window.extended_ms and now_ms - window.extended_ms < EXTEND_GAP_MS:
        raise refuse("The window has just been extended; cue it again in a second to extend it further.")
    if takes_two(stage, command):
        raise refuse(f"More than {command.limit_s} s in all takes two people.")
    if close_due(window, now_ms):
        raise refuse(f"Voting ended at {clock_time(window.closes_ms)}.")
    closes_ms = window.closes_ms + seconds * 1000
    if closes_ms - window.opens_ms > MAX_WINDOW_S * 1000:
        raise refuse("A window cannot be longer than 24 hours.")
    extended = replace(
        window, closes_ms=closes_ms, hard_closes_ms=window.hard_closes_ms + seconds * 1000,
        warned=closes_ms - now_ms <= WARNING_MS, extended_s=window.extended_s + seconds, extended_ms=now_ms,
    )
    return replace(stage, window=extended), silent


def _closing(
    stage: Stage, window: Window, closes_ms: int, reason: Literal["TIMER", "CUE"]
) -> tuple[Stage, Events]:
    grace_ms = window.hard_closes_ms - window.closes_ms
    closed = replace(window, closes_ms=closes_ms, hard_closes_ms=closes_ms + grace_ms, reason=reason)
    event = VotingClosed(window.window_id, iso(closes_ms), reason)
    return replace(stage, voting="CLOSING", window=closed), lambda after: (event,)


def close_voting(stage: Stage, command: CloseVoting, now_ms: int) -> tuple[Stage, Events]:
    window = open_window(stage, now_ms)
    # a director who is late must not make the window longer than announced
    return _closing(stage, window, max(window.opens_ms, min(now_ms, window.closes_ms)), "CUE")


def close_by_timer(stage: Stage, command: CloseByTimer, now_ms: int) -> tuple[Stage, Events]:
    window = open_window(stage, now_ms)
    if window.window_id != command.window_id or not close_due(window, now_ms):
        raise refuse(f"The window is open until {clock_time(window.closes_ms)}.")
    return _closing(stage, window, window.closes_ms, "TIMER")


def warn(stage: Stage, command: Warn, now_ms: int) -> tuple[Stage, Events]:
    window = open_window(stage, now_ms)
    remaining_ms = window.closes_ms - now_ms
    if window.window_id != command.window_id or window.warned or not 0 < remaining_ms <= WARNING_MS:
        raise refuse("The last minute of the window has not begun, or its warning has been given.")
    event = Warning_("1_MINUTE", remaining_s(window.closes_ms, now_ms))
    return replace(stage, window=replace(window, warned=True)), lambda after: (event,)
