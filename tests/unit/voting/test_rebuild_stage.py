"""The show as far as the ledger knows it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from broadcast_sync.show.model import Ruleset, SlotWinner, Window
from tests.support.stages import LINE_UP, NOW, SHOW, results_of
from voting.rebuild.stage import AHEAD, Cue, Known, moved, stage_of

WINDOW = Window("w1", NOW, NOW + 90_000, NOW + 95_000, Ruleset("hybrid", "h", {}, 3), LINE_UP)
KNOWN = Known(SHOW, WINDOW, None, False)


def cue(event: str, later_ms: int, revision: int, **data: Any) -> Cue:
    return Cue(event, data, NOW + later_ms, revision)


STARTED = cue("SHOW_START", -5_000, 3, showId="demo", episode=1)


def test_an_open_window_goes_on_and_a_passed_one_is_to_be_settled() -> None:
    stage = stage_of("default", SHOW, KNOWN, [STARTED], NOW + 1_000)
    assert (stage.voting, stage.window, stage.show, stage.revision) == ("OPEN", WINDOW, SHOW, 3 + AHEAD)
    late = stage_of("default", SHOW, KNOWN, [STARTED], NOW + 90_000)
    assert late.voting == "CLOSING" and late.window is not None and late.window.reason == "TIMER"
    assert stage.epoch != late.epoch


def test_a_settled_window_is_closed_with_its_result() -> None:
    settled = replace(KNOWN, result=results_of("w1"), released=True)
    stage = stage_of("default", SHOW, settled, [STARTED, cue("VOTING_EXTEND", 9, 4, seconds=30)], NOW + 1_000)
    assert (stage.voting, stage.results, stage.released) == ("CLOSED", results_of("w1"), True)
    assert stage.window is not None and stage.window.closes_ms == WINDOW.closes_ms


def test_without_a_show_there_is_no_window() -> None:
    assert stage_of("default", None, KNOWN, [STARTED, cue("SHOW_END", 1, 4)], NOW).window is None
    other = replace(SHOW, episode_ref=8)
    assert stage_of("default", other, KNOWN, [STARTED], NOW).window is None
    assert stage_of("default", SHOW, KNOWN, [cue("SHOW_START", 95_000, 9)], NOW + 99_000).window is None
    assert stage_of("default", None, None, [], NOW).show is None


def test_a_window_that_the_cue_log_does_not_know_brings_its_show() -> None:
    """The cue log is written by PostgreSQL's time as well, but not by the writer of the votes."""
    assert stage_of("default", None, KNOWN, [], NOW + 1).show == SHOW
    assert stage_of("default", None, replace(KNOWN, result=results_of("w1")), [], NOW + 1).show is None


@pytest.mark.parametrize(
    ("cues", "closes_ms", "reason"),
    [
        ([cue("VOTING_EXTEND", 1, 4, seconds=30), cue("VOTING_EXTEND", 2, 5, seconds=10)], 130_000, ""),
        ([cue("VOTING_EXTEND", -1, 2, seconds=30)], 90_000, ""),
        ([cue("VOTING_CLOSE", 40_000, 4)], 40_000, "CUE"),
        ([cue("VOTING_EXTEND", 1, 4, seconds=30), cue("VOTING_CLOSE", 100_000, 5)], 100_000, "CUE"),
    ],
)
def test_a_window_moves_as_the_cues_said(cues: list[Cue], closes_ms: int, reason: str) -> None:
    window = moved(WINDOW, cues)
    assert (window.closes_ms, window.hard_closes_ms) == (NOW + closes_ms, NOW + closes_ms + 5_000)
    assert window.reason == reason


def test_a_season_goes_on_at_its_slot() -> None:
    round_two = replace(KNOWN, window=replace(WINDOW, round=2), season="s1")
    first, second, third = (SlotWinner(n, f"w{n}", "c01", 9, "SCORE") for n in (1, 2, 3))
    season = stage_of("default", SHOW, replace(round_two, winners=(first,)), [STARTED], NOW).season
    assert season is not None and (season.id, season.slot, season.slots, season.finished) == ("s1", 2, 3, False)
    season = stage_of("default", SHOW, replace(round_two, winners=(first, second)), [STARTED], NOW).season
    assert season is not None and (season.slot, season.duration_s, season.finished) == (3, 90, False)
    last = replace(KNOWN, window=replace(WINDOW, round=3), season="s1", winners=(first, second, third))
    season = stage_of("default", SHOW, last, [STARTED], NOW).season
    assert season is not None and (season.slot, season.finished) == (3, True)
