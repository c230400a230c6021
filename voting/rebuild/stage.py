"""PURE: the show as far as the ledger knows it: the episode and its last window, moved as the cue log says.

Not known there, and so not restored: the performance on stage, and an advance that had been asked for and not done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace

from broadcast_sync.show.model import Season, Show, SlotWinner, Stage, Voting, Window
from broadcast_sync.wire.server import ResultsReady

AHEAD: Final = 1_000
"""How far the revision goes beyond the last one in the cue log: timers move it too, and are not in there."""


class Known(Struct, frozen=True):
    """A window as the ledger has it. `season` is empty without rounds; `winners` are those of its season so far."""

    show: Show
    window: Window
    result: ResultsReady | None
    released: bool
    season: str = ""
    winners: tuple[SlotWinner, ...] = ()


class Cue(Struct, frozen=True):
    """A cue that was executed. `at_ms` in Unix milliseconds."""

    event: str
    data: dict[str, Any]
    at_ms: int
    revision: int


def moved(window: Window, cues: Sequence[Cue]) -> Window:
    """`window` with the times that extensions and an early close have given it since it opened."""
    grace_ms = window.hard_closes_ms - window.closes_ms
    for cue in cues:
        if cue.at_ms < window.opens_ms:
            continue
        if cue.event == "VOTING_EXTEND" and window.reason == "":
            closes_ms = window.closes_ms + int(cue.data.get("seconds", 0)) * 1000
            window = replace(window, closes_ms=closes_ms, hard_closes_ms=closes_ms + grace_ms)
        elif cue.event == "VOTING_CLOSE" and cue.at_ms < window.closes_ms:
            window = replace(window, closes_ms=cue.at_ms, hard_closes_ms=cue.at_ms + grace_ms, reason="CUE")
    return window


def stage_of(organisation: str, show: Show | None, last: Known | None, cues: Sequence[Cue], now_ms: int) -> Stage:
    """The stage. `show` is the one that was started last, None if it has ended; `last` the newest window. A show whose
    start the cue log does not know yet is known by its window, if that has no result."""
    revision = max([cue.revision for cue in cues], default=0) + AHEAD
    stage = Stage(organisation, revision, uuid4().hex, show=show)
    if last is None:
        return stage
    if show is None and not cues and last.result is None:
        show = last.show
    if show is None or show.episode_ref != last.show.episode_ref:
        return stage
    if cues and last.window.opens_ms < cues[0].at_ms:
        return stage  # of an earlier start of the same episode
    window = last.window if last.result is not None else moved(last.window, cues)
    voting: Voting = "OPEN" if now_ms < window.closes_ms else "CLOSING"
    if last.result is not None:
        voting = "CLOSED"
    return replace(
        stage, show=show, voting=voting, window=replace(window, reason=window.reason or _reason(voting)),
        results=last.result, released=last.released, season=_season(last),
    )


def _reason(voting: Voting) -> Any:
    return "" if voting == "OPEN" else "TIMER"


def _season(last: Known) -> Season | None:
    window = last.window
    if not last.season:
        return None
    slots = max(window.ruleset.rounds, window.round)
    done = any(winner.slot == window.round for winner in last.winners)
    return Season(
        last.season, last.show.show_id, slots, min(slots, window.round + 1) if done else window.round,
        max(1, (window.closes_ms - window.opens_ms) // 1000), last.winners, finished=done and window.round == slots,
    )
