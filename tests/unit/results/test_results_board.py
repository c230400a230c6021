"""The board's arithmetic."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_sync.wire.codecs import EXACT
from broadcast_sync.wire.server import ContestantInfo, RecentVote
from results.board import TOP, Board, board_of, contestant_update, envelope, live_results, rows, vote_update
from results.compact import LOCALES, formatted
from results.history import SAMPLES, STEP_MS, History, Sample
from results.leaderboard import LineUp, changes, ranked, ranking, ranks, tenths
from results.sent import OTHERS, ROUND, Sent
from results.standing import WORDS, Standing, contestants_of
from results.trend import RECENT_MS, recent_votes, trend, trends
from voting.ballot.gates import Turnout

COUNTS = st.lists(st.integers(0, 10**12), min_size=1, max_size=40)


def singers(count: int) -> list[ContestantInfo]:
    return [ContestantInfo(f"c{n}", n, f"Singer {n}", f"/p/{n}.svg", "active") for n in range(1, count + 1)]


def board(*counts: int, at_ms: int = 0, history: History | None = None) -> Board:
    line_up = LineUp(singers(len(counts)))
    return board_of(line_up, dict(zip(line_up.ids, counts, strict=True)), at_ms, history=history)


@given(COUNTS)
def test_percentages_add_up_to_100_and_are_close_to_the_truth(counts: list[int]) -> None:
    counts.sort(reverse=True)
    shares, total = tenths(counts), sum(counts)
    if total == 0:
        assert shares == [0] * len(counts)
        return
    assert sum(shares) == 1000
    assert all(abs(share - 1000 * count / total) < 1 + 1e-9 for share, count in zip(shares, counts, strict=True))


@given(COUNTS)
def test_more_votes_never_have_a_smaller_share(counts: list[int]) -> None:
    counts.sort(reverse=True)
    for (more, large), (less, small) in pairwise(zip(counts, tenths(counts), strict=True)):
        assert less == more or small <= large


@given(COUNTS)
def test_a_rank_is_one_more_than_the_number_of_those_ahead(counts: list[int]) -> None:
    ordered = sorted(counts, reverse=True)
    assert ranks(ordered) == [1 + sum(other > count for other in ordered) for count in ordered]


@given(COUNTS)
def test_rows_stand_by_votes_then_number_and_hold_every_vote(counts: list[int]) -> None:
    people = singers(len(counts))
    by_id = {person.id: count for person, count in zip(people, counts, strict=True)}
    made = rows(by_id, list(reversed(people)))
    assert [(-row.vote_count, int(row.contestant_id[1:])) for row in made] == sorted(
        (-count, person.number) for person, count in zip(people, counts, strict=True)
    )
    assert round(sum(row.percentage for row in made), 6) in (0.0, 100.0)
    assert all(row.percentage == round(row.percentage, 1) for row in made)
    now = board(*counts)
    assert live_results(now, 0).total_votes == vote_update(now).total_votes == sum(counts)


@given(COUNTS)
def test_ranks_alone_are_those_of_the_ranking(counts: list[int]) -> None:
    line_up = LineUp(singers(len(counts)))
    assert ranked(line_up, counts) == (ranking(line_up, counts).ranks if any(counts) else None)


def test_equal_counts_share_a_rank_in_number_order() -> None:
    made = rows({"c1": 5, "c2": 9, "c3": 9, "c4": 1}, singers(4))
    assert [(row.contestant_id, row.rank) for row in made] == [("c2", 1), ("c3", 1), ("c1", 3), ("c4", 4)]


def test_changes_are_places_gained_since_then_and_none_while_nothing_was_ranked() -> None:
    assert changes([3, 1, 2], [1, 3, 2]) == [-2, 2, 0]
    assert changes([3, 1, 2], None) == [0, 0, 0]


def test_votes_beyond_what_javascript_counts_make_no_board() -> None:
    assert board(EXACT - 1, 1).ranking.total == EXACT
    with pytest.raises(OverflowError, match="more votes than can be shown"):
        board(EXACT, 1)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (950, "950"), (999, "999"), (1000, "1.0K"), (1249, "1.2K"), (1250, "1.3K"), (999_949, "999.9K"),
     (999_950, "1.0M"), (3_400_000, "3.4M"), (999_950_000, "1.0B"), (10**15, "1000.0T")],
)  # fmt: skip
def test_formatted(count: int, text: str) -> None:
    assert formatted(count) == text


def test_formatted_in_khmer() -> None:
    assert [formatted(count, "km") for count in (950, 1_234, 3_400_000, 10**9, 10**12)] == [
        "950", "1.2ពាន់", "3.4លាន", "1.0ប៊ីលាន", "1.0ទ្រីលាន",
    ]  # fmt: skip


@given(st.integers(1000, 10**14), st.sampled_from(sorted(LOCALES)))
def test_formatted_is_never_a_thousand_of_a_unit(count: int, locale: str) -> None:
    assert not formatted(count, locale).startswith("1000.")


@pytest.mark.parametrize(
    ("recent", "before", "word"),
    [(5, 0, "stable"), (0, 0, "stable"), (121, 100, "rising_fast"), (120, 100, "rising"), (106, 100, "rising"),
     (105, 100, "stable"), (95, 100, "stable"), (94, 100, "falling"), (80, 100, "falling"), (79, 100, "falling_fast"),
     (-3, 100, "falling_fast"), (5, -1, "stable")],
)  # fmt: skip
def test_trend(recent: int, before: int, word: str) -> None:
    assert trend(recent, before) == word


def test_trends_compare_five_minutes_with_the_five_before() -> None:
    history = History(0, 3)
    for second in range(0, 601):
        history.feed(second * 1000, [second, min(second, 300), max(0, second - 300) * 2])
    middle, early = history.at(300_000), history.at(0)
    assert middle is not None and early is not None
    assert trends([600, 300, 600], middle.counts, early.counts) == ["stable", "falling_fast", "stable"]
    assert trends([600, 300, 600], None, None) == ["stable"] * 3
    now = board(600, 300, 600, at_ms=600_000, history=history)
    assert list(now.trends) == ["stable", "falling_fast", "stable"]


def test_votes_that_were_voided_are_no_recent_votes() -> None:
    assert recent_votes([5, 3], [4, 9]) == [1, 0]


def test_history_is_bounded_and_honest_about_what_it_has_not_seen() -> None:
    late = History(0, 1)
    late.feed(60_000, [10])
    assert late.at(59_999) is None
    found = late.at(60_000)
    assert found is not None and list(found.counts) == [10]
    early = History(0, 1)
    early.feed(1_000, [1])
    for before in (0, -1):
        found = early.at(before)
        assert found is not None and list(found.counts) == [0]
    for second in range(2, 3_000):
        early.feed(second * 1000, [second])
    assert len(early) == SAMPLES
    assert early.at(2_999_000 - 600_000) is not None and early.at(0) is None


@given(st.lists(st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=2), max_size=6))
def test_a_history_that_is_handed_over_is_the_same(fed: list[list[int]]) -> None:
    first, heir = History(0, 2), History(0, 2)
    handed = [sample.pack() for n, counts in enumerate(fed) for sample in first.feed(n * STEP_MS, counts)]
    assert heir.restore([Sample.unpack(packed) for packed in handed]) == len(first)
    for at_ms in range(-1, len(fed) * STEP_MS + 1, STEP_MS // 2):
        one, other = first.at(at_ms), heir.at(at_ms)
        assert (one is None) == (other is None)
        assert one is None or other is None or (one.at_ms, list(one.counts)) == (other.at_ms, list(other.counts))


def test_samples_of_another_line_up_or_out_of_order_are_left_out() -> None:
    history = History(1_000, 2)
    left = ((0, [1, 1]), (1_000, [0, 0]), (6_000, [1]), (5_000, [1, 2]), (4_000, [9, 9]))
    assert history.restore([Sample(at_ms, counts) for at_ms, counts in left]) == 2
    found = history.at(9_000)
    assert found is not None and list(found.counts) == [1, 2]


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\x90", b"\x91\xa1x", b"\x92\x01\xcf" + b"\xff" * 8])
def test_what_is_no_sample_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Sample.unpack(data)


def test_contestant_update_counts_the_last_minute() -> None:
    history = History(0, 1)
    for second in range(0, 121, 5):
        history.feed(second * 1000, [second])
    now = board(120, at_ms=120_000, history=history)
    update = contestant_update(now, 0, [RecentVote("so***", "free", 1, "")])
    assert (update.total_votes, update.recent_votes, update.percentage, update.rank) == (120, 60, 100.0, 1)
    assert update.trending == "stable" and update.recent == [RecentVote("so***", "free", 1, "")]
    assert contestant_update(board(120), 0).recent_votes == 0


def test_trending_has_four_words() -> None:
    history = History(0, 2)
    for second in range(0, 601, 5):
        history.feed(second * 1000, [second + max(0, second - 300), min(second, 300)])
    now = board(900, 300, at_ms=600_000, history=history)
    assert [contestant_update(now, place).trending for place in (0, 1)] == ["hot", "falling"]


@pytest.mark.parametrize(("now", "left"), [(0, 90), (1, 90), (1_000, 89), (89_999, 1), (90_000, 0), (99_000, 0)])
def test_time_remaining_is_rounded_up(now: int, left: int) -> None:
    assert live_results(board(1, at_ms=now), 90_000).time_remaining == left


def test_a_board_says_who_voted_how_where_it_is_known() -> None:
    line_up = LineUp(singers(1))
    known = live_results(board_of(line_up, {"c1": 3}, 0, turnout=Turnout({"free": 3}, 2)), 0)
    assert (known.breakdown, known.unique_voters, known.contestant_count) == ({"free": 3}, 2, 1)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 30), min_size=TOP + 40, max_size=TOP + 40), min_size=1, max_size=5))
def test_who_applies_every_vote_update_has_the_board(turns: list[list[int]]) -> None:
    """Whatever changes, also for contestants who come into the best hundred and leave it again."""
    sent, held = Sent(TOP + 40), dict[str, tuple[int, float, int]]()
    for counts in turns:
        now = board(*counts)
        update = vote_update(now, sent.others(now))
        assert [row.contestant_id for row in update.results[:TOP]] == [row.contestant_id for row in now.rows(TOP)]
        held |= {row.contestant_id: (row.vote_count, row.percentage, row.rank) for row in update.results}
        assert held == {row.contestant_id: (row.vote_count, row.percentage, row.rank) for row in now.rows()}


def test_who_missed_updates_has_every_row_again_after_a_round() -> None:
    size = TOP + 211
    sent, now = Sent(size), board(*range(size))
    assert len(sent.others(now)) == size - TOP
    seen: set[int] = set()
    for _ in range(ROUND + 1):
        others = sent.others(now)
        assert len(others) <= -(-size // ROUND)
        seen.update(others)
    assert seen == set(now.ranking.order[TOP:])


@settings(deadline=None, max_examples=20)
@given(st.integers(TOP + 1, TOP + 3 * OTHERS), st.integers(0, 10**6))
def test_a_storm_of_changes_goes_out_bit_by_bit_and_in_the_end_whole(size: int, seed: int) -> None:
    line_up, sent, held = LineUp(singers(size)), Sent(size), dict[str, tuple[int, int]]()
    for turn in range(2):
        counts = {name: (seed * place + turn * 7919) % 1_000 for place, name in enumerate(line_up.ids)}
        for _ in range(-(-size // OTHERS)):
            now = board_of(line_up, counts, 0)
            others = sent.others(now)
            assert len(others) <= OTHERS
            held |= {row.contestant_id: (row.vote_count, row.rank) for row in vote_update(now, others).results}
        assert held == {row.contestant_id: (row.vote_count, row.rank) for row in now.rows()}


def test_few_contestants_have_no_others_and_only_what_changes_is_told_to_who_follows_one() -> None:
    sent = Sent(3)
    assert sent.others(board(1, 2, 3)) == []
    assert sent.contestants(board(1, 2, 3)) == [0, 1, 2]
    assert sent.contestants(board(1, 2, 3)) == []
    assert sent.contestants(board(1, 2, 3), {"c2": [RecentVote("so***", "free", 1, "")]}) == [1]
    assert sent.contestants(board(2, 2, 3)) == [0, 1, 2]  # c1 is no longer third, and every share has changed


@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=5), st.booleans())
def test_a_standing_tells_of_each_contestant_what_their_own_channel_was_told(
    turns: list[list[int]], with_ballots: bool
) -> None:
    history, counts = History(0, 3), [0, 0, 0]
    for turn, more in enumerate(turns):
        counts = [count + new for count, new in zip(counts, more, strict=True)]
        history.feed(turn * RECENT_MS, counts)
    made = board(*counts, at_ms=len(turns) * RECENT_MS, history=history)
    ballots = {"c2": [RecentVote("so***", "free", 2, "then")]} if with_ballots else None
    told = contestants_of(Standing.of("w1", made, ballots).pack())
    for place, name in enumerate(made.line_up.ids):
        update = contestant_update(made, place, None if ballots is None else ballots.get(name, ()))
        channel = f"contestant:{name}"
        assert told[channel] == msgspec.json.encode(envelope(update, channel, "w1", made.at_ms, made.at_ms))
    assert len(told) == 3


@pytest.mark.parametrize("left", [b"", b"of another version", msgspec.msgpack.encode(["w1", 1])])
def test_a_standing_of_another_version_tells_of_nobody(left: bytes) -> None:
    assert contestants_of(left) == {}


def test_a_standing_is_read_as_it_was_left() -> None:
    made = Standing.of("w1", board(3, 9, 9))
    read = Standing.unpack(made.pack())
    assert read == made
    assert ([WORDS[word] for word in read.trends], read.order, read.types) == (["stable"] * 3, [1, 2, 0], None)
