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
from broadcast_sync.show.countdown import WARNING_MS, close_due, remaining_s
from broadcast_sync.show.model import Performance, Ruleset, Show, Stage, Window
from broadcast_sync.show.views import state_update, window_info
from broadcast_sync.wire.server import Data, ResultsReady, VotingClosed, Warning_
from broadcast_sync.wire.times import iso

MAX_WINDOW_S: Final = 86_400
"""No window is longer than a day, extensions included."""


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
    room: whatever is no whole number of seconds in 1..86400 is refused."""

    window_id: str
    duration_s: object
    contestants: tuple[str, ...] | None
    ruleset: Ruleset
    grace_ms: int


class ExtendVoting(Command, frozen=True):
    """Moves the close of the open window; `seconds` is checked as `duration_s` is."""

    seconds: object


class CloseVoting(Command, frozen=True):
    """Closes the open window now; ballots already on their way have the grace time."""


class ReleaseResults(Command, frozen=True):
    """Makes the certified results public."""


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
    on_air, voting = stage.show is not None, stage.voting
    legal = {
        "SHOW_START": not on_air,
        "PERFORMANCE_START": on_air and stage.performance is None,
        "PERFORMANCE_END": stage.performance is not None,
        "VOTING_OPEN": on_air and voting in ("IDLE", "CLOSED"),
        "VOTING_EXTEND": voting == "OPEN",
        "VOTING_CLOSE": voting == "OPEN",
        "RESULTS_RELEASE": voting == "CLOSED" and stage.results is not None and not stage.release_cued,
        "SHOW_END": on_air and voting in ("IDLE", "CLOSED"),
    }
    return tuple(event for event, accepted in legal.items() if accepted)


Events = Callable[[Stage], tuple[Data, ...]]
"""The events of a change, made from the changed stage once its revision is known."""


def _silent(stage: Stage) -> tuple[Data, ...]:
    return ()


def _refuse(reason: str) -> Refusal:
    return Refusal("CUE_REJECTED", reason)


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
    started = Stage(organisation=stage.organisation, epoch=stage.epoch, offset=stage.offset, show=command.show)
    return started, _silent


def _end_show(stage: Stage, command: EndShow, now_ms: int) -> tuple[Stage, Events]:
    _on_air(stage)
    if stage.voting == "OPEN" and stage.window:
        raise _refuse(f"Voting is open until {_clock(stage.window.closes_ms)}; close it first.")
    if stage.voting == "CLOSING":
        raise _refuse("The votes are being counted; end the show when the result is in.")
    return Stage(organisation=stage.organisation, epoch=stage.epoch, offset=stage.offset), _silent


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
    duration_s = _seconds(command.duration_s, "duration")
    contestants = show.contestants
    if command.contestants is not None:
        named = set(command.contestants)
        unknown = sorted(named - {contestant.id for contestant in contestants})
        if unknown:
            raise _refuse(f"There is no contestant {unknown[0][:64]} in this episode.")
        contestants = tuple(contestant for contestant in contestants if contestant.id in named)
    if all(contestant.status == "eliminated" for contestant in contestants):
        raise _refuse("There is nobody to vote for: name at least one contestant who is not eliminated.")
    closes_ms = now_ms + duration_s * 1000
    window = Window(
        command.window_id, now_ms, closes_ms, closes_ms + command.grace_ms, command.ruleset, contestants,
        warned=duration_s * 1000 <= WARNING_MS,
    )
    opened = replace(stage, voting="OPEN", window=window, results=None, released=False, release_cued=False)
    return opened, lambda after: (window_info(after, window),)


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
    certified = replace(stage, voting="CLOSED", results=results, released=command.release, release_cued=False)
    return certified, lambda after: (results,) if command.release else ()


def _release_results(stage: Stage, command: ReleaseResults, now_ms: int) -> tuple[Stage, Events]:
    _on_air(stage)
    results = stage.results
    if stage.voting != "CLOSED" or results is None:
        raise _refuse("There are no certified results to release yet.")
    if stage.release_cued:
        raise _refuse("The results have been released already.")
    return replace(stage, released=True, release_cued=True), lambda after: (results,)


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
}
