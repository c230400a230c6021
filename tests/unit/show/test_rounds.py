from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from broadcast_sync.errors import Refusal
from broadcast_sync.show.machine import decide, legal_events
from broadcast_sync.show.model import SlotWinner, Stage, Window
from broadcast_sync.show.orders import AdvanceSlot, Certify, CloseByTimer, Command, CompleteAdvance, EndShow, StartShow
from broadcast_sync.show.rounds import Support, TieRule, winner
from broadcast_sync.wire.server import BoardRow, ContestantInfo
from tests.support.stages import NOW, ROUNDS, SHOW, after, on_air, open_voting, results_of, types

PEOPLE = tuple(ContestantInfo(f"c{n:02d}", n, f"Clip {n}", "", "active") for n in range(1, 7))
SIX = replace(SHOW, contestants=PEOPLE)
WINDOW = Window("w1", NOW, NOW + 1, NOW + 1, ROUNDS, PEOPLE, round=1)


def board(**votes: int) -> list[BoardRow]:
    return [BoardRow(name, name, "", count, str(count), 0.0, 1, 0, "stable") for name, count in votes.items()]


def refused(stage: Stage, command: Command, now_ms: int = NOW) -> str:
    with pytest.raises(Refusal) as caught:
        decide(stage, command, now_ms)
    assert caught.value.code == "CUE_REJECTED" and caught.value.message.endswith(".")
    return caught.value.message


def first_slot(slot: int | None = None) -> Stage:
    stage = after(Stage("default"), StartShow(SIX))
    return after(stage, open_voting(60, "w1", rules=ROUNDS, slot=slot))


def locked(stage: Stage, certified: bool = True, **how: object) -> Stage:
    """`stage` with its open slot advanced, closed and counted."""
    assert stage.window is not None
    now_ms = stage.window.opens_ms + 1_000
    closing = after(stage, AdvanceSlot(**how), now_ms)  # type: ignore[arg-type]  # duration_s, contestants, uncertified
    result = replace(results_of(stage.window.window_id), certified=certified)
    return after(closing, Certify(result, False), now_ms + 59_000)


def complete(stage: Stage, who: str = "c01", next_id: str = "w2") -> Stage:
    assert stage.window is not None and stage.season is not None
    won = SlotWinner(stage.season.slot, stage.window.window_id, who, 7, "SCORE")
    return after(stage, CompleteAdvance(won, next_id, 5_000), stage.window.opens_ms + 60_000)


# --- who wins -----------------------------------------------------------------------------------------------


def test_the_highest_score_wins_and_nobody_without_votes() -> None:
    won = winner(1, WINDOW, board(c01=3, c02=9, c03=8), "voters", {})
    assert (won.contestant_id, won.score, won.decided_by) == ("c02", 9, "SCORE")
    assert winner(1, WINDOW, board(c01=0, c02=0), "voters", {}) == SlotWinner(1, "w1", "", 0, "NO_VOTES")
    assert winner(1, WINDOW, [], "number", {}).decided_by == "NO_VOTES"


@pytest.mark.parametrize(
    ("ties", "support", "who", "by"),
    [
        ("voters", {"c03": Support(2, 5), "c05": Support(9, 9)}, "c05", "VOTERS"),
        ("voters", {"c03": Support(4, 5), "c05": Support(4, 1)}, "c03", "NUMBER"),
        ("first", {"c03": Support(2, 9), "c05": Support(1, 5)}, "c05", "FIRST"),
        ("first", {"c03": Support(2, 9), "c05": Support(1, 9)}, "c03", "NUMBER"),
        ("number", {}, "c03", "NUMBER"),
    ],
)
def test_equal_scores_are_told_apart_by_the_rule(
    ties: TieRule, support: dict[str, Support], who: str, by: str
) -> None:
    won = winner(1, WINDOW, board(c05=9, c01=8, c03=9), ties, support)
    assert (won.contestant_id, won.score, won.decided_by) == (who, 9, by)


@given(
    st.dictionaries(st.sampled_from([one.id for one in PEOPLE]), st.integers(0, 3), min_size=1, max_size=4),
    st.sampled_from(["voters", "first", "number"]),
    st.data(),
)
def test_the_winner_does_not_depend_on_the_order_of_the_rows(
    votes: dict[str, int], ties: TieRule, data: st.DataObject
) -> None:
    support = {name: Support(data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))) for name in votes}
    rows = board(**votes)
    won = {winner(1, WINDOW, order, ties, support) for order in itertools.permutations(rows)}
    assert len(won) == 1 and won.pop().score == max(votes.values())


# --- the season ---------------------------------------------------------------------------------------------


def test_a_season_from_its_first_slot_to_its_last() -> None:
    stage = first_slot()
    for slot in (1, 2, 3):
        assert stage.window is not None and stage.window.round == slot and stage.voting == "OPEN"
        assert "ADVANCE_SLOT" in legal_events(stage)
        stage = locked(stage)
        assert stage.released and "VOTING_OPEN" not in legal_events(stage) and "SHOW_END" not in legal_events(stage)
        stage = complete(stage, f"c0{slot}", f"w{slot + 1}")
    assert stage.season is not None and stage.season.finished and stage.season.slot == 3
    assert [won.contestant_id for won in stage.season.winners] == ["c01", "c02", "c03"]
    assert stage.voting == "CLOSED" and stage.results is not None
    assert "finished" in refused(stage, AdvanceSlot())
    assert "finished" in refused(stage, open_voting(60, "w9", rules=ROUNDS))
    again = after(stage, open_voting(60, "w9", rules=ROUNDS, slot=1))
    assert again.season is not None and again.season.id == "w9" and again.season.winners == ()


def test_each_step_says_what_it_did() -> None:
    closing = decide(first_slot(), AdvanceSlot(), NOW + 1_000)
    assert types(closing.events) == ["VOTING_CLOSED", "STATE_UPDATE"]
    assert closing.events[-1].season.status == "locked"  # type: ignore[attr-defined]  # a STATE_UPDATE
    closed = decide(closing.stage, Certify(results_of("w1"), False), NOW + 60_000)
    assert types(closed.events) == ["RESULTS_READY", "STATE_UPDATE"]
    won = SlotWinner(1, "w1", "c01", 7, "VOTERS")
    done = decide(closed.stage, CompleteAdvance(won, "w2", 5_000), NOW + 60_000)
    assert types(done.events) == ["SLOT_DECIDED", "VOTING_OPEN", "STATE_UPDATE"]
    assert done.events[0].contestant_name == "Clip 1"  # type: ignore[attr-defined]  # a SLOT_DECIDED
    assert done.stage.window is not None and done.stage.window.closes_ms == NOW + 120_000
    assert PEOPLE[0] not in done.stage.window.contestants


def test_the_next_slot_is_as_the_cue_wants_it() -> None:
    stage = complete(locked(first_slot(), duration_s=600, contestants=("c01", "c04", "c05")), "c04")
    assert stage.window is not None
    assert [one.id for one in stage.window.contestants] == ["c01", "c05"]
    assert stage.window.closes_ms - stage.window.opens_ms == 600_000
    assert stage.season is not None and stage.season.duration_s == 600


def test_a_slot_that_the_timer_closed_is_advanced_later() -> None:
    closing = after(first_slot(), CloseByTimer("w1"), NOW + 60_000)
    wanted = decide(closing, AdvanceSlot(), NOW + 61_000)
    assert types(wanted.events) == ["STATE_UPDATE"]
    closed = after(closing, Certify(results_of("w1"), False), NOW + 65_000)
    released = decide(closed, AdvanceSlot(), NOW + 70_000)
    assert types(released.events) == ["RESULTS_READY", "STATE_UPDATE"] and released.stage.released
    assert complete(released.stage).voting == "OPEN"


def test_a_difference_is_looked_at_before_a_winner_is_named() -> None:
    stage = locked(first_slot(), certified=False)
    assert stage.season is not None and stage.season.advance is None
    assert "differs" in refused(stage, AdvanceSlot())
    assert complete(after(stage, AdvanceSlot(uncertified=True))).voting == "OPEN"
    told_before = locked(first_slot(), certified=False, uncertified=True)
    assert complete(told_before).voting == "OPEN"


def test_with_nobody_left_the_season_waits_for_a_line_up() -> None:
    stage = complete(locked(first_slot(), contestants=("c02",)), "c02")
    assert stage.season is not None and (stage.season.slot, stage.season.finished) == (2, False)
    assert stage.voting == "CLOSED" and "opened" in refused(stage, AdvanceSlot())
    opened = after(stage, open_voting(60, "w2", rules=ROUNDS))
    assert opened.window is not None and opened.window.round == 2
    assert "c02" not in {one.id for one in opened.window.contestants}


def test_what_does_not_fit_is_refused() -> None:
    assert "rounds" in refused(on_air(), AdvanceSlot())
    assert "No show" in refused(Stage("default"), AdvanceSlot())
    assert "rounds" in refused(after(on_air(), open_voting(60)), AdvanceSlot())
    assert "no rounds" in refused(on_air(), open_voting(60, slot=2))
    assert "1 to 3" in refused(on_air(), open_voting(60, rules=ROUNDS, slot=4))
    stage = first_slot()
    assert "whole number" in refused(stage, AdvanceSlot(duration_s=0))
    assert "no contestant" in refused(stage, AdvanceSlot(contestants=("c99",)))
    pending = after(stage, AdvanceSlot())
    assert "already" in refused(pending, AdvanceSlot())
    done = locked(first_slot())
    assert "being advanced" in refused(done, open_voting(60, rules=ROUNDS))
    assert "being advanced" in refused(done, EndShow())
    second = complete(done)
    assert "won a slot" in refused(second, AdvanceSlot(contestants=("c01",)))
    for won in (SlotWinner(2, "w1", "c01", 7, "SCORE"), SlotWinner(1, "w9", "c01", 7, "SCORE")):
        assert "waiting" in refused(done, CompleteAdvance(won, "w2", 5_000))
    assert "waiting" in refused(second, CompleteAdvance(SlotWinner(1, "w1", "c01", 7, "SCORE"), "w3", 5_000))


def test_a_slot_is_not_voted_on_twice_by_mistake() -> None:
    closing = after(first_slot(), CloseByTimer("w1"), NOW + 60_000)
    closed = after(closing, Certify(results_of("w1"), True), NOW + 65_000)
    for rules in (ROUNDS, None):
        window = open_voting(60, "w2", rules=rules) if rules else open_voting(60, "w2")
        assert "advance it" in refused(closed, window)


def test_a_season_outlives_the_evening() -> None:
    second = complete(locked(first_slot()))
    closed = after(after(second, CloseByTimer("w2"), NOW + 200_000), Certify(results_of("w2"), True), NOW + 300_000)
    tomorrow = after(after(closed, EndShow()), StartShow(SIX))
    # the slot that nobody advanced is voted on again
    stage = after(tomorrow, open_voting(60, "w3", rules=ROUNDS))
    assert stage.season is not None and stage.season.slot == 2 and len(stage.season.winners) == 1
    other = after(after(closed, EndShow()), StartShow(replace(SIX, show_id="other")))
    assert other.season is None
