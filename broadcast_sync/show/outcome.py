"""What a closed window comes to: a result, its release, the next slot. Handlers of the machine. Pure."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from broadcast_sync.errors import Refusal
from broadcast_sync.show import rounds
from broadcast_sync.show.arming import takes_two
from broadcast_sync.show.checks import Events, clock_time, on_air, silent, whole_seconds
from broadcast_sync.show.excerpt import results_told
from broadcast_sync.show.model import Advance, Stage
from broadcast_sync.show.orders import AdvanceSlot, Certify, CloseVoting, CompleteAdvance, ReleaseResults
from broadcast_sync.show.rounds import refuse
from broadcast_sync.show.views import slot_decided, window_info
from broadcast_sync.show.voting import close_voting, new_window, with_window

RELEASES_KEPT: Final = 16
"""Windows in `lately_released`: so many may be released while PostgreSQL is down, and all are noted in the end."""


def certify(stage: Stage, command: Certify, now_ms: int) -> tuple[Stage, Events]:
    window, results = stage.window, command.results
    if stage.voting != "CLOSING" or window is None or window.window_id != results.window_id:
        raise refuse("No window is waiting for this result.")
    if now_ms < window.hard_closes_ms:
        raise refuse(f"Votes are taken until {clock_time(window.hard_closes_ms)}.")
    season = stage.season
    advance = season.advance if season else None
    if season is not None and advance is not None and not (results.certified or advance.uncertified):
        # the control room must look at the difference first, and nobody else before it
        season, advance = replace(season, advance=None), None
    # a slot that is advanced is decided in public; what two people have let out early still has to be right; an embargo
    # that ended by itself would be none
    by_itself = command.release and window.visibility == "public"
    release = by_itself or advance is not None or (stage.release_authorised and results.certified)
    certified = replace(
        stage, voting="CLOSED", results=results, released=False, release_authorised=False, season=season,
        release_cued=stage.release_authorised and results.certified,
    )
    return _released(certified) if release else certified, lambda after: (results_told(results),) if release else ()


def _released(stage: Stage) -> Stage:
    """The stage with its result public."""
    assert stage.window is not None  # there is a result, so there was a window
    if stage.show is not None and stage.show.rehearsal:
        return replace(stage, released=True)  # shown, and never noted as public
    earlier = [window_id for window_id in stage.lately_released if window_id != stage.window.window_id]
    return replace(stage, released=True, lately_released=(*earlier, stage.window.window_id)[-RELEASES_KEPT:])


def release_results(stage: Stage, command: ReleaseResults, now_ms: int) -> tuple[Stage, Events]:
    on_air(stage)
    results = stage.results
    if stage.window is None:
        raise refuse("There are no results to release yet.")
    if not can_release(stage):
        raise refuse(f"The results have been released already{'' if results else ', as soon as they are certified'}.")
    if takes_two(stage, command):
        raise refuse("Releasing results that are not certified takes two people.")
    if results is None:
        return replace(stage, release_authorised=True), silent
    return replace(_released(stage), release_cued=True), lambda after: (results_told(results),)


def can_release(stage: Stage) -> bool:
    """Whether a release can be asked for: of a result, or ahead of the one to come."""
    if stage.results is None:
        return stage.window is not None and not stage.release_authorised
    return not stage.release_cued


def advance_slot(stage: Stage, command: AdvanceSlot, now_ms: int) -> tuple[Stage, Events]:
    show, season = on_air(stage), rounds.running(stage)
    duration_s = season.duration_s if command.duration_s is None else whole_seconds(command.duration_s, "duration")
    if command.contestants is not None:
        rounds.line_up(show, command.contestants, rounds.winners_of(season))
    results = stage.results
    if results is not None and not (results.certified or command.uncertified):
        raise refuse("The recount of this slot differs from its tally; look into it, or cue with uncertified: true.")
    advance = Advance(duration_s, command.contestants, command.uncertified)
    events: Events = silent
    if stage.voting == "OPEN":
        stage, events = close_voting(stage, CloseVoting(), now_ms)
    elif results is not None and not stage.released:
        stage, events = _released(stage), lambda after: (results_told(results),)
    return replace(stage, season=replace(season, advance=advance)), events


def complete_advance(stage: Stage, command: CompleteAdvance, now_ms: int) -> tuple[Stage, Events]:
    season, window, won = stage.season, stage.window, command.won
    if season is None or season.advance is None or stage.voting != "CLOSED" or window is None or stage.show is None:
        raise refuse("No slot is waiting to be advanced.")
    if (won.slot, won.window_id) != (season.slot, window.window_id):
        raise refuse(f"Slot {season.slot} is the one that is waiting.")
    advance, after_it = season.advance, rounds.decided(season, won)
    said = slot_decided(after_it, won, window)
    named = None if advance.contestants is None else [one for one in advance.contestants if one != won.contestant_id]
    contestants = rounds.line_up(stage.show, named, rounds.winners_of(after_it))
    if after_it.finished or not rounds.can_be_voted_on(contestants):
        return replace(stage, season=after_it), lambda after: (said,)
    following = new_window(
        command.window_id, now_ms, advance.duration_s, command.grace_ms, window.ruleset, contestants, window.visibility,
        after_it.slot,
    )
    opened = with_window(stage, following, replace(after_it, duration_s=advance.duration_s))
    return opened, lambda after: (said, window_info(after, following))


def can_advance(stage: Stage) -> bool:
    try:
        rounds.running(stage)
    except Refusal:
        return False
    return True
