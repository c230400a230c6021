"""The show as a pure state machine: `(stage, command, now) -> (stage, events)`, or a refusal that says why.

Nothing is ever half applied: a command either yields the next revision with its events, or raises. Times are
Unix milliseconds, durations whole seconds. Commands are imperative; the events are the wire's own messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from broadcast_sync.errors import Refusal
from broadcast_sync.show import rounds
from broadcast_sync.show.countdown import WARNING_MS, close_due, remaining_s
from broadcast_sync.show.model import Advance, Performance, Ruleset, Season, Show, SlotWinner, Stage, Window
from broadcast_sync.show.views import slot_decided, state_update, window_info
from broadcast_sync.wire.server import ContestantInfo, Data, ResultsReady, VotingClosed, Warning_
from broadcast_sync.wire.times import iso

MAX_WINDOW_S: Final = 86_400
"""No window is longer than a day, extensions included."""
RELEASES_KEPT: Final = 16
"""Windows in `lately_released`: so many may be released while PostgreSQL is down, and all are noted in the end."""


class Command(Struct, frozen=True):
    """Base of everything that can be asked of the machine."""


class StartShow(Command, frozen=True):
    """Puts an episode on air."""

    show: Show


class StartPerformance(Command, frozen=True):
    contestant_id: str
    song_name: str = ""


class EndPerformance(Command, frozen=True):
    """Ends the running performance; a `contestant_id` must be that of the contestant on stage."""

    contestant_id: str | None = None


class OpenVoting(Command, frozen=True):
    """Opens a window. `contestants` None means the whole line-up. `duration_s` comes unchecked from the control
    room: whatever is no whole number of seconds in 1..86400 is refused. `slot` is for a ruleset with rounds."""

    window_id: str
    duration_s: object
    contestants: tuple[str, ...] | None
    ruleset: Ruleset
    grace_ms: int
    slot: int | None = None


class ExtendVoting(Command, frozen=True):
    """Moves the close of the open window; `seconds` is checked as `duration_s` is."""

    seconds: object


class CloseVoting(Command, frozen=True):
    """Closes the open window now; ballots already on their way have the grace time."""


class ReleaseResults(Command, frozen=True):
    """Makes the certified results public."""


class AdvanceSlot(Command, frozen=True):
    """Locks the slot and asks for the next: the director completes it once the slot is certified. `duration_s` None
    is the slot's own, else it is checked as OpenVoting's. An uncertified result is advanced only if `uncertified`."""

    duration_s: object = None
    contestants: tuple[str, ...] | None = None
    uncertified: bool = False


class EndShow(Command, frozen=True):
    """Takes the show off air."""


class Warn(Command, frozen=True):
    """The director's: the last minute of a window has begun."""

    window_id: str


class CloseByTimer(Command, frozen=True):
    """The director's: the announced close has come."""

    window_id: str


class Certify(Command, frozen=True):
    """The director's: the closed window's result. `release` makes it public at once."""

    results: ResultsReady
    release: bool


class CompleteAdvance(Command, frozen=True):
    """The director's: the winner of the closed slot, and the window of the next one."""

    won: SlotWinner
    window_id: str
    grace_ms: int


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
    on_air, voting, advancing = stage.show is not None, stage.voting, _advancing(stage)
    legal = {
        "SHOW_START": not on_air,
        "PERFORMANCE_START": on_air and stage.performance is None,
        "PERFORMANCE_END": stage.performance is not None,
        "VOTING_OPEN": on_air and voting in ("IDLE", "CLOSED") and not advancing,
        "VOTING_EXTEND": voting == "OPEN",
        "VOTING_CLOSE": voting == "OPEN",
        "RESULTS_RELEASE": voting == "CLOSED" and stage.results is not None and not stage.release_cued,
        "ADVANCE_SLOT": _can_advance(stage),
        "SHOW_END": on_air and voting in ("IDLE", "CLOSED") and not advancing,
    }
    return tuple(event for event, accepted in legal.items() if accepted)


Events = Callable[[Stage], tuple[Data, ...]]
"""The events of a change, made from the changed stage once its revision is known."""


def _silent(stage: Stage) -> tuple[Data, ...]:
    return ()


_refuse: Final = rounds.refuse


def _clock(ms: int) -> str:
    return f"{iso(ms)[11:19]} UTC"


def _on_air(stage: Stage) -> Show:
    if stage.show is None:
        raise _refuse("No show is on air.")
    return stage.show


def _seconds(value: object, name: str) -> int:
    """`value` as whole seconds; `type() is int` because True is an int and 1.5 must not become 1."""
    if type(value) is not int or not 1 <= value <= MAX_WINDOW_S:
        shown = str(value)[:32]
        raise _refuse(f"{name} must be a whole number of seconds from 1 to {MAX_WINDOW_S}, not {shown}.")
    return value


def _no_window(stage: Stage) -> Refusal:
    """Why there is no open window to act on."""
    if stage.voting == "CLOSING" and stage.window:
        return _refuse(f"Voting has closed at {_clock(stage.window.closes_ms)} and is being counted.")
    if stage.voting == "CLOSED" and stage.window:
        return _refuse(f"Voting has closed at {_clock(stage.window.closes_ms)}.")
    return _refuse("Voting is not open.")


def _open_window(stage: Stage, now_ms: int) -> Window:
    window = stage.window
    if stage.voting != "OPEN" or window is None:
        raise _no_window(stage)
    return window


# --- the show -----------------------------------------------------------------------------------------------


def _start_show(stage: Stage, command: StartShow, now_ms: int) -> tuple[Stage, Events]:
    if stage.show is not None:
        on_air, asked = stage.show, command.show
        same = (on_air.show_id, on_air.episode) == (asked.show_id, asked.episode)
        raise _refuse(f"{on_air.title} (episode {on_air.episode}) is on air{' already' if same else ''}; end it first.")
    season = stage.season if stage.season and stage.season.show_id == command.show.show_id else None
    return replace(_empty(stage), show=command.show, season=season), _silent


def _empty(stage: Stage) -> Stage:
    """Nothing on air; what outlives a show is kept."""
    return Stage(
        organisation=stage.organisation, epoch=stage.epoch, offset=stage.offset, season=stage.season,
        lately_released=stage.lately_released,
    )


def _end_show(stage: Stage, command: EndShow, now_ms: int) -> tuple[Stage, Events]:
    _on_air(stage)
    if stage.voting == "OPEN" and stage.window:
        raise _refuse(f"Voting is open until {_clock(stage.window.closes_ms)}; close it first.")
    if stage.voting == "CLOSING":
        raise _refuse("The votes are being counted; end the show when the result is in.")
    _not_advancing(stage)
    return _empty(stage), _silent


def _start_performance(stage: Stage, command: StartPerformance, now_ms: int) -> tuple[Stage, Events]:
    show = _on_air(stage)
    if stage.performance is not None:
        raise _refuse(f"The performance of {stage.performance.contestant_id} has not ended.")
    if command.contestant_id not in {contestant.id for contestant in show.contestants}:
        raise _refuse(f"There is no contestant {command.contestant_id[:64]} in this episode.")
    performance = Performance(command.contestant_id, command.song_name, now_ms)
    return replace(stage, performance=performance), _silent


def _end_performance(stage: Stage, command: EndPerformance, now_ms: int) -> tuple[Stage, Events]:
    _on_air(stage)
    if stage.performance is None:
        raise _refuse("No performance is running.")
    if command.contestant_id not in (None, stage.performance.contestant_id):
        raise _refuse(f"The performance is that of {stage.performance.contestant_id}.")
    return replace(stage, performance=None), _silent


# --- voting -------------------------------------------------------------------------------------------------


def _open_voting(stage: Stage, command: OpenVoting, now_ms: int) -> tuple[Stage, Events]:
    show = _on_air(stage)
    if stage.voting == "OPEN" and stage.window:
        raise _refuse(f"Voting is already open until {_clock(stage.window.closes_ms)}.")
    if stage.voting == "CLOSING":
        raise _refuse("The votes of the last window are still being counted.")
    _not_advancing(stage)
    duration_s = _seconds(command.duration_s, "duration")
    # who has won a slot stands aside as long as the season lasts, in windows that are slots of it
    won = rounds.winners_of(stage.season) if command.ruleset.rounds and command.slot != 1 else frozenset()
    contestants = rounds.line_up(show, command.contestants, won)
    if not rounds.can_be_voted_on(contestants):
        raise _refuse("There is nobody to vote for: name at least one contestant who is not eliminated.")
    window = _window(command.window_id, now_ms, duration_s, command.grace_ms, command.ruleset, contestants)
    season = rounds.opening(stage, show, window, command.slot, duration_s)
    if season is not None and command.ruleset.rounds:
        window = replace(window, round=season.slot)
    return _opened(stage, window, season), lambda after: (window_info(after, window),)


def _window(
    window_id: str, now_ms: int, duration_s: int, grace_ms: int, ruleset: Ruleset,
    contestants: tuple[ContestantInfo, ...], slot: int = 0,
) -> Window:
    closes_ms = now_ms + duration_s * 1000
    return Window(
        window_id, now_ms, closes_ms, closes_ms + grace_ms, ruleset, contestants,
        warned=duration_s * 1000 <= WARNING_MS, round=slot,
    )


def _opened(stage: Stage, window: Window, season: Season | None) -> Stage:
    return replace(
        stage, voting="OPEN", window=window, season=season, results=None, released=False, release_cued=False
    )


def _extend_voting(stage: Stage, command: ExtendVoting, now_ms: int) -> tuple[Stage, Events]:
    window = _open_window(stage, now_ms)
    seconds = _seconds(command.seconds, "seconds")
    if close_due(window, now_ms):
        raise _refuse(f"Voting ended at {_clock(window.closes_ms)}.")
    closes_ms = window.closes_ms + seconds * 1000
    if closes_ms - window.opens_ms > MAX_WINDOW_S * 1000:
        raise _refuse("A window cannot be longer than 24 hours.")
    extended = replace(
        window, closes_ms=closes_ms, hard_closes_ms=window.hard_closes_ms + seconds * 1000,
        warned=closes_ms - now_ms <= WARNING_MS,
    )
    return replace(stage, window=extended), _silent


def _closing(
    stage: Stage, window: Window, closes_ms: int, reason: Literal["TIMER", "CUE"]
) -> tuple[Stage, Events]:
    grace_ms = window.hard_closes_ms - window.closes_ms
    closed = replace(window, closes_ms=closes_ms, hard_closes_ms=closes_ms + grace_ms, reason=reason)
    event = VotingClosed(window.window_id, iso(closes_ms), reason)
    return replace(stage, voting="CLOSING", window=closed), lambda after: (event,)


def _close_voting(stage: Stage, command: CloseVoting, now_ms: int) -> tuple[Stage, Events]:
    window = _open_window(stage, now_ms)
    # a director who is late must not make the window longer than announced
    return _closing(stage, window, max(window.opens_ms, min(now_ms, window.closes_ms)), "CUE")


def _close_by_timer(stage: Stage, command: CloseByTimer, now_ms: int) -> tuple[Stage, Events]:
    window = _open_window(stage, now_ms)
    if window.window_id != command.window_id or not close_due(window, now_ms):
        raise _refuse(f"The window is open until {_clock(window.closes_ms)}.")
    return _closing(stage, window, window.closes_ms, "TIMER")


def _warn(stage: Stage, command: Warn, now_ms: int) -> tuple[Stage, Events]:
    window = _open_window(stage, now_ms)
    remaining_ms = window.closes_ms - now_ms
    if window.window_id != command.window_id or window.warned or not 0 < remaining_ms <= WARNING_MS:
        raise _refuse("The last minute of the window has not begun, or its warning has been given.")
    event = Warning_("1_MINUTE", remaining_s(window.closes_ms, now_ms))
    return replace(stage, window=replace(window, warned=True)), lambda after: (event,)


# --- results ------------------------------------------------------------------------------------------------


def _certify(stage: Stage, command: Certify, now_ms: int) -> tuple[Stage, Events]:
    window, results = stage.window, command.results
    if stage.voting != "CLOSING" or window is None or window.window_id != results.window_id:
        raise _refuse("No window is waiting for this result.")
    if now_ms < window.hard_closes_ms:
        raise _refuse(f"Votes are taken until {_clock(window.hard_closes_ms)}.")
    season = stage.season
    advance = season.advance if season else None
    if season is not None and advance is not None and not (results.certified or advance.uncertified):
        season = replace(season, advance=None)  # the control room must look at the difference first
    # a slot that is advanced is decided in public
    release = command.release or advance is not None
    certified = replace(stage, voting="CLOSED", results=results, released=False, release_cued=False, season=season)
    return _released(certified) if release else certified, lambda after: (results,) if release else ()


def _released(stage: Stage) -> Stage:
    """The stage with its result public."""
    assert stage.window is not None  # there is a result, so there was a window
    earlier = [window_id for window_id in stage.lately_released if window_id != stage.window.window_id]
    return replace(stage, released=True, lately_released=(*earlier, stage.window.window_id)[-RELEASES_KEPT:])


def _release_results(stage: Stage, command: ReleaseResults, now_ms: int) -> tuple[Stage, Events]:
    _on_air(stage)
    results = stage.results
    if stage.voting != "CLOSED" or results is None:
        raise _refuse("There are no certified results to release yet.")
    if stage.release_cued:
        raise _refuse("The results have been released already.")
    return replace(_released(stage), release_cued=True), lambda after: (results,)


# --- rounds -------------------------------------------------------------------------------------------------


def _advancing(stage: Stage) -> bool:
    return stage.season is not None and stage.season.advance is not None


def _not_advancing(stage: Stage) -> None:
    if stage.season is not None and stage.season.advance is not None:
        raise _refuse(f"Slot {stage.season.slot} is being advanced; the next window opens by itself.")


def _can_advance(stage: Stage) -> bool:
    try:
        rounds.running(stage)
    except Refusal:
        return False
    return True


def _advance_slot(stage: Stage, command: AdvanceSlot, now_ms: int) -> tuple[Stage, Events]:
    show, season = _on_air(stage), rounds.running(stage)
    duration_s = season.duration_s if command.duration_s is None else _seconds(command.duration_s, "duration")
    if command.contestants is not None:
        rounds.line_up(show, command.contestants, rounds.winners_of(season))
    results = stage.results
    if results is not None and not (results.certified or command.uncertified):
        raise _refuse("The recount of this slot differs from its tally; look into it, or cue with uncertified: true.")
    advance = Advance(duration_s, command.contestants, command.uncertified)
    events: Events = _silent
    if stage.voting == "OPEN":
        stage, events = _close_voting(stage, CloseVoting(), now_ms)
    elif results is not None and not stage.released:
        stage, events = _released(stage), lambda after: (results,)
    return replace(stage, season=replace(season, advance=advance)), events


def _complete_advance(stage: Stage, command: CompleteAdvance, now_ms: int) -> tuple[Stage, Events]:
    season, window, won = stage.season, stage.window, command.won
    if season is None or season.advance is None or stage.voting != "CLOSED" or window is None or stage.show is None:
        raise _refuse("No slot is waiting to be advanced.")
    if (won.slot, won.window_id) != (season.slot, window.window_id):
        raise _refuse(f"Slot {season.slot} is the one that is waiting.")
    advance, after_it = season.advance, rounds.decided(season, won)
    said = slot_decided(after_it, won, window)
    named = None if advance.contestants is None else [one for one in advance.contestants if one != won.contestant_id]
    contestants = rounds.line_up(stage.show, named, rounds.winners_of(after_it))
    if after_it.finished or not rounds.can_be_voted_on(contestants):
        return replace(stage, season=after_it), lambda after: (said,)
    following = _window(
        command.window_id, now_ms, advance.duration_s, command.grace_ms, window.ruleset, contestants, after_it.slot
    )
    opened = _opened(stage, following, replace(after_it, duration_s=advance.duration_s))
    return opened, lambda after: (said, window_info(after, following))


_HANDLERS: Final[dict[type[Command], Callable[[Stage, Any, int], tuple[Stage, Events]]]] = {
    StartShow: _start_show,
    EndShow: _end_show,
    StartPerformance: _start_performance,
    EndPerformance: _end_performance,
    OpenVoting: _open_voting,
    ExtendVoting: _extend_voting,
    CloseVoting: _close_voting,
    CloseByTimer: _close_by_timer,
    Warn: _warn,
    Certify: _certify,
    ReleaseResults: _release_results,
    AdvanceSlot: _advance_slot,
    CompleteAdvance: _complete_advance,
}
