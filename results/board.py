"""PURE: counts -> the board, with percentages that add up to 100.0, shared ranks, places gained and trends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from broadcast_sync.wire.server import BoardRow, ContestantInfo, ContestantUpdate, LeanRow, LiveResults, VoteUpdate
from broadcast_sync.wire.times import iso
from results.history import History

TREND_MS: Final = 300_000
"""A trend compares the last five minutes with the five before."""
RECENT_MS: Final = 60_000
_UNITS: Final = ("", "K", "M", "B", "T")


def percentages(counts: Sequence[int]) -> list[float]:
    """Shares of the sum with one decimal that add up to exactly 100.0 (largest remainder, the larger count and then
    the earlier first); all 0.0 when there are no votes. A larger count never has the smaller share."""
    total = sum(counts)
    if total == 0:
        return [0.0] * len(counts)
    tenths = [count * 1000 // total for count in counts]
    order = sorted(range(len(counts)), key=lambda i: (-(counts[i] * 1000 % total), -counts[i], i))
    for index in order[: 1000 - sum(tenths)]:
        tenths[index] += 1
    return [share / 10 for share in tenths]


def ranks(counts: Sequence[int]) -> list[int]:
    """Ranks of counts that stand in descending order; equal counts share one (1, 1, 3)."""
    given: list[int] = []
    for index, count in enumerate(counts):
        given.append(given[-1] if index and counts[index - 1] == count else index + 1)
    return given


def formatted(count: int) -> str:
    """A count for people: 950, 1.2K, 3.4M. Rounded to one decimal, and carried: never 1000.0K."""
    if count < 1000:
        return str(count)
    scale = 1000
    for unit in _UNITS[1:]:
        tenths = (count * 10 + scale // 2) // scale
        if tenths < 10_000 or unit == _UNITS[-1]:
            return f"{tenths // 10}.{tenths % 10}{unit}"
        scale *= 1000
    raise AssertionError("the last unit takes any count")


def trend(recent: int, before: int) -> str:
    """The trend word of the votes of five minutes and of the five before; `stable` when those were none."""
    if before <= 0:
        return "stable"
    change = (recent - before) * 100
    if change > 20 * before:
        return "rising_fast"
    if change > 5 * before:
        return "rising"
    if change < -20 * before:
        return "falling_fast"
    return "falling" if change < -5 * before else "stable"


def trends(history: History | None, counts: Mapping[str, int], now_ms: int) -> dict[str, str]:
    """The trend of each contestant in `counts`."""
    middle = history.at(now_ms - TREND_MS) if history else None
    early = history.at(now_ms - 2 * TREND_MS) if history else None
    if middle is None or early is None:
        return dict.fromkeys(counts, "stable")
    return {
        name: trend(count - middle.get(name, 0), middle.get(name, 0) - early.get(name, 0))
        for name, count in counts.items()
    }


def rows(
    counts: Mapping[str, int],
    contestants: Iterable[ContestantInfo],
    *,
    previous: Mapping[str, int] | None = None,
    trending: Mapping[str, str] | None = None,
) -> list[BoardRow]:
    """The ranked rows, one for each of `contestants`. `previous` are the ranks of the board before this one.

    Votes for anybody else are no part of the board or of its percentages.
    """
    ordered = sorted(contestants, key=lambda contestant: (-counts.get(contestant.id, 0), contestant.number))
    votes = [counts.get(contestant.id, 0) for contestant in ordered]
    return [
        BoardRow(
            contestant_id=contestant.id,
            contestant_name=contestant.name,
            contestant_photo=contestant.photo_url,
            vote_count=count,
            formatted_count=formatted(count),
            percentage=share,
            rank=rank,
            change=(previous or {}).get(contestant.id, rank) - rank,
            trend=(trending or {}).get(contestant.id, "stable"),
        )
        for contestant, count, share, rank in zip(ordered, votes, percentages(votes), ranks(votes), strict=True)
    ]


def live_results(board: list[BoardRow], now_ms: int, closes_ms: int) -> LiveResults:
    """The board of this moment; `timeRemaining` in whole seconds, rounded up, 0 after the close."""
    remaining = max(0, -((now_ms - closes_ms) // 1000))
    return LiveResults(board, sum(row.vote_count for row in board), iso(now_ms), remaining)


def vote_update(board: list[BoardRow]) -> VoteUpdate:
    """The lean form of the same board."""
    lean = [LeanRow(row.contestant_id, row.vote_count, row.percentage, row.rank) for row in board]
    return VoteUpdate(lean, sum(row.vote_count for row in board))


def contestant_update(row: BoardRow, history: History | None, now_ms: int) -> ContestantUpdate:
    """One contestant's row for those who follow only them; `recentVotes` of the last minute, 0 if unknown."""
    then = history.at(now_ms - RECENT_MS) if history else None
    recent = 0 if then is None else row.vote_count - then.get(row.contestant_id, 0)
    return ContestantUpdate(row.contestant_id, row.vote_count, row.percentage, row.rank, recent, row.trend)
