"""The board's arithmetic."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.wire.server import ContestantInfo
from results.board import (
    contestant_update,
    formatted,
    live_results,
    percentages,
    ranks,
    rows,
    trend,
    trends,
    vote_update,
)
from results.history import History

COUNTS = st.lists(st.integers(0, 10**12), min_size=1, max_size=40)


def singers(count: int) -> list[ContestantInfo]:
    return [ContestantInfo(f"c{n}", n, f"Singer {n}", f"/p/{n}.svg", "active") for n in range(1, count + 1)]


@given(COUNTS)
def test_percentages_add_up_to_100_and_are_close_to_the_truth(counts: list[int]) -> None:
    shares = percentages(counts)
    total = sum(counts)
    if total == 0:
        assert shares == [0.0] * len(counts)
        return
    assert sum(round(share * 10) for share in shares) == 1000
    assert all(abs(share - 100 * count / total) < 0.1 + 1e-9 for share, count in zip(shares, counts, strict=True))
    assert all(share == round(share, 1) for share in shares)


@given(COUNTS)
def test_more_votes_never_have_a_smaller_share(counts: list[int]) -> None:
    pairs = sorted(zip(counts, percentages(counts), strict=True))
    for (less, small), (more, large) in pairwise(pairs):
        assert less == more or small <= large


@given(COUNTS)
def test_a_rank_is_one_more_than_the_number_of_those_ahead(counts: list[int]) -> None:
    ordered = sorted(counts, reverse=True)
    assert ranks(ordered) == [1 + sum(other > count for other in ordered) for count in ordered]


@given(COUNTS)
def test_rows_stand_by_votes_then_number_and_hold_every_vote(counts: list[int]) -> None:
    people = singers(len(counts))
    by_id = {person.id: count for person, count in zip(people, counts, strict=True)}
    board = rows(by_id, reversed(people))
    assert [(-row.vote_count, int(row.contestant_id[1:])) for row in board] == sorted(
        (-count, person.number) for person, count in zip(people, counts, strict=True)
    )
    assert live_results(board, 0, 0).total_votes == vote_update(board).total_votes == sum(counts)


def test_equal_counts_share_a_rank_in_number_order() -> None:
    board = rows({"c1": 5, "c2": 9, "c3": 9, "c4": 1}, singers(4))
    assert [(row.contestant_id, row.rank) for row in board] == [("c2", 1), ("c3", 1), ("c1", 3), ("c4", 4)]


def test_change_is_places_gained_since_the_last_board() -> None:
    board = rows({"c1": 1, "c2": 3, "c3": 2}, singers(3), previous={"c1": 1, "c2": 3})
    assert {row.contestant_id: row.change for row in board} == {"c1": -2, "c2": 2, "c3": 0}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (950, "950"), (999, "999"), (1000, "1.0K"), (1249, "1.2K"), (1250, "1.3K"), (999_949, "999.9K"),
     (999_950, "1.0M"), (3_400_000, "3.4M"), (999_950_000, "1.0B"), (10**15, "1000.0T")],
)  # fmt: skip
def test_formatted(count: int, text: str) -> None:
    assert formatted(count) == text


@given(st.integers(1000, 10**14))
def test_formatted_is_never_a_thousand_of_a_unit(count: int) -> None:
    assert not formatted(count).startswith("1000.")


@pytest.mark.parametrize(
    ("recent", "before", "word"),
    [(5, 0, "stable"), (0, 0, "stable"), (121, 100, "rising_fast"), (120, 100, "rising"), (106, 100, "rising"),
     (105, 100, "stable"), (95, 100, "stable"), (94, 100, "falling"), (80, 100, "falling"), (79, 100, "falling_fast")],
)  # fmt: skip
def test_trend(recent: int, before: int, word: str) -> None:
    assert trend(recent, before) == word


def test_trends_compare_five_minutes_with_the_five_before() -> None:
    history = History(0)
    for second in range(0, 601):
        history.feed(second * 1000, {"c1": second, "c2": min(second, 300), "c3": max(0, second - 300) * 2})
    now = {"c1": 600, "c2": 300, "c3": 600}
    assert trends(history, now, 600_000) == {"c1": "stable", "c2": "falling_fast", "c3": "stable"}
    assert trends(history, now, 599_000)["c1"] == "stable"
    assert trends(None, now, 600_000) == dict.fromkeys(now, "stable")


def test_history_is_bounded_and_honest_about_what_it_has_not_seen() -> None:
    late = History(0)
    late.feed(60_000, {"c1": 10})
    assert late.at(59_999) is None and late.at(60_000) == {"c1": 10}
    early = History(0)
    early.feed(1_000, {"c1": 1})
    assert early.at(0) == {} and early.at(-1) == {}
    for second in range(2, 3_000):
        early.feed(second * 1000, {"c1": second})
    assert len(early) <= 122
    assert early.at(2_999_000 - 600_000) is not None and early.at(0) is None


def test_contestant_update_counts_the_last_minute() -> None:
    history = History(0)
    for second in range(0, 121, 5):
        history.feed(second * 1000, {"c1": second})
    row = rows({"c1": 120}, singers(1))[0]
    update = contestant_update(row, history, 120_000)
    assert (update.total_votes, update.recent_votes, update.percentage, update.rank) == (120, 60, 100.0, 1)
    assert contestant_update(row, None, 120_000).recent_votes == 0


@pytest.mark.parametrize(("now", "left"), [(0, 90), (1, 90), (1_000, 89), (89_999, 1), (90_000, 0), (99_000, 0)])
def test_time_remaining_is_rounded_up(now: int, left: int) -> None:
    assert live_results([], now, 90_000).time_remaining == left
