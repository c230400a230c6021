from __future__ import annotations

from collections import Counter

from broadcast_sync.wire.server import BoardRow, ResultsReady
from clients.load import narrator
from clients.load.audience import Ledger


def results(counts: dict[str, int], *, certified: bool = True) -> ResultsReady:
    rows = [BoardRow(one, one.upper(), "", count, str(count), 50.0, 1, 0, "stable") for one, count in counts.items()]
    total = sum(counts.values())
    return ResultsReady("w1", rows, total, certified, total if certified else total - 1, {})


def ledger(whole: bool = True, unconfirmed: int = 0) -> Ledger:
    return Ledger("w1", whole, {"a": {"1", "2"}, "b": {"3"}, "c": set()}, Counter(NO_FREE_VOTES=2), unconfirmed)


def test_equal_counts_are_checked() -> None:
    assert narrator.checked(ledger(), results({"a": 2, "b": 1})) == ("checked", "3 acked = 3 certified")


def test_a_lost_vote_is_loud_even_if_the_totals_agree() -> None:
    what, words = narrator.checked(ledger(), results({"a": 1, "b": 2}))
    assert what == narrator.LOUD and "MISMATCH: 3 acked, 1 are NOT in the result (1 of a)" in words
    assert narrator.checked(ledger(), results({}))[0] == narrator.LOUD


def test_more_votes_than_ours_are_explained() -> None:
    more = results({"a": 3, "b": 1})
    assert narrator.checked(ledger(), more)[1].endswith("1 more: other people voted too")
    assert "voting had begun before" in narrator.checked(ledger(whole=False), more)[1]
    assert "1 of ours had no answer, or" in narrator.checked(ledger(unconfirmed=1), more)[1]


def test_an_uncertified_result_is_loud() -> None:
    assert narrator.certified(results({"a": 2}))[0] == "certified"
    what, words = narrator.certified(results({"a": 2}, certified=False))
    assert what == narrator.LOUD and "tally 2, ledger 1" in words


def test_the_close_names_what_was_refused() -> None:
    assert narrator.closed("on time", ledger(unconfirmed=4)) == (
        "on time; 3 votes acked, refused: NO_FREE_VOTES 2, 4 without an answer"
    )
    assert narrator.closed("on time", None) == "on time"
