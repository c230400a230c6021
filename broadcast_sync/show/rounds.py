"""A season of slots, each a window; the best of a slot wins it. Pure.

ADVANCE_SLOT only writes down what is wanted (`Advance`): the winner is not known before the window has closed, its
ballots have drained and the ledger has been counted again. The director does the rest when that is so, in one commit:
winner noted, next window open. So whoever is killed in between, the stage says what is still to be done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import Season, Show, SlotWinner, Stage, Window
from broadcast_sync.wire.server import BoardRow, ContestantInfo

TieRule = Literal["voters", "first", "number"]
NO_VOTES: Final = "NO_VOTES"


class Support(NamedTuple):
    """Who stands behind a score: different voters, and when the last of its votes arrived (Unix ms)."""

    voters: int
    last_ms: int


NOBODY: Final = Support(0, 2**62)
"""Behind a score that the ledger has no votes for: an uncertified result."""


def leaders(board: Sequence[BoardRow]) -> list[BoardRow]:
    """Those with the highest score, if anybody has votes."""
    best = max((row.vote_count for row in board), default=0)
    return [row for row in board if best and row.vote_count == best]


def winner(
    slot: int, window: Window, board: Sequence[BoardRow], ties: TieRule, support: Mapping[str, Support]
) -> SlotWinner:
    """Who has won `slot`: the highest weighted score. Equal ones are told apart by `ties`: `voters`, for whom more
    different people voted; `first`, who had the score earlier. What is then still equal, and always with `number`, goes
    to the lower contestant number. `support` is looked at for equal scores only."""
    best = leaders(board)
    if not best:
        return SlotWinner(slot, window.window_id, "", 0, NO_VOTES)
    numbers = {contestant.id: contestant.number for contestant in window.contestants}

    def merit(row: BoardRow) -> int:
        behind = support.get(row.contestant_id, NOBODY)
        return {"voters": -behind.voters, "first": behind.last_ms, "number": 0}[ties]

    first, *others = sorted(best, key=lambda row: (merit(row), numbers[row.contestant_id]))
    decided_by: Literal["SCORE", "VOTERS", "FIRST", "NUMBER"] = "SCORE"
    if others:
        told_apart = merit(first) != merit(others[0])
        decided_by = "NUMBER" if not told_apart else "VOTERS" if ties == "voters" else "FIRST"
    return SlotWinner(slot, window.window_id, first.contestant_id, first.vote_count, decided_by)


def refuse(reason: str) -> Refusal:
    return Refusal("CUE_REJECTED", reason)


def running(stage: Stage) -> Season:
    """The season that can be advanced. Raises Refusal CUE_REJECTED."""
    season = stage.season
    if stage.show is None:
        raise refuse("No show is on air.")
    if season is None or season.show_id != stage.show.show_id:
        raise refuse("This show has no rounds yet: open a window with a ruleset that has them.")
    if season.finished:
        raise refuse(f"The season has finished with slot {season.slots}.")
    if stage.window is None or stage.window.round != season.slot:
        raise refuse(f"Slot {season.slot} has not been opened.")
    if season.advance is not None:
        raise refuse(f"Slot {season.slot} is being advanced already.")
    return season


def opening(stage: Stage, show: Show, window: Window, slot: int | None, duration_s: int) -> Season | None:
    """The season as it is with `window` open, which is a slot of it if its rules have rounds. `slot` 1 begins a season
    anew; a show that has none yet may begin at any. Raises Refusal CUE_REJECTED."""
    slots, season, before = window.ruleset.rounds, stage.season, stage.window
    if season is not None and before is not None and before.round == season.slot and slot != 1 and not season.finished:
        raise refuse(f"Slot {season.slot} has been voted on: advance it.")
    if not slots:
        if slot is not None:
            raise refuse(f"The ruleset {window.ruleset.name} has no rounds.")
        return season
    if season is None or season.show_id != show.show_id or slot == 1:
        if slot is not None and not 1 <= slot <= slots:
            raise refuse(f"A season has slots 1 to {slots}.")
        return Season(window.window_id, show.show_id, slots, slot or 1, duration_s)
    if season.finished:
        raise refuse(f"The season has finished with slot {season.slots}; a new one begins with slot 1.")
    if slot not in (None, season.slot):
        raise refuse(f"The next slot is {season.slot}; slot 1 begins a season anew.")
    return replace(season, duration_s=duration_s)


def line_up(show: Show, named: Collection[str] | None, won: Collection[str]) -> tuple[ContestantInfo, ...]:
    """Who stands in a window: those named, or all; without those who have won a slot before. Raises Refusal
    CUE_REJECTED for a name that is not there, or that has won."""
    if named is None:
        return tuple(contestant for contestant in show.contestants if contestant.id not in won)
    known = {contestant.id for contestant in show.contestants}
    for contestant_id in sorted(named):
        if contestant_id not in known:
            raise refuse(f"There is no contestant {contestant_id[:64]} in this episode.")
        if contestant_id in won:
            raise refuse(f"{contestant_id[:64]} has won a slot before.")
    return tuple(contestant for contestant in show.contestants if contestant.id in named)


def can_be_voted_on(contestants: Sequence[ContestantInfo]) -> bool:
    """Whether anybody of them is not eliminated."""
    return any(contestant.status != "eliminated" for contestant in contestants)


def winners_of(season: Season | None) -> frozenset[str]:
    """The contestants who have won a slot of the season."""
    return frozenset(won.contestant_id for won in season.winners) if season else frozenset()


def decided(season: Season, won: SlotWinner) -> Season:
    """The season after `won`: at its next slot, or finished after the last."""
    last = season.slot >= season.slots
    return replace(
        season, winners=(*season.winners, won), advance=None, finished=last, slot=season.slot + (0 if last else 1)
    )
