"""PURE: one moment's board of a window, and the messages that it goes out in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import UNSET, Struct

from broadcast_sync.wire.server import (
    BoardRow,
    ContestantInfo,
    ContestantUpdate,
    Data,
    Envelope,
    LeanRow,
    LiveResults,
    RecentVote,
    VoteUpdate,
)
from broadcast_sync.wire.times import iso
from results.compact import formatted
from results.history import History
from results.leaderboard import LineUp, Ranking, changes, ranked, ranking
from results.trend import RECENT_MS, TREND_MS, TRENDING, recent_votes, trends
from voting.ballot.gates import Turnout

TOP: Final = 100
"""Rows that go out with every board; of the others only what changes."""


class Board(Struct, frozen=True):
    """Who stands where at `at_ms`, with places gained, trends and recent votes in the order of the line-up."""

    at_ms: int
    line_up: LineUp
    ranking: Ranking
    changes: Sequence[int]
    trends: Sequence[str]
    recent: Sequence[int]
    turnout: Turnout | None = None

    def rows(self, limit: int | None = None, locale: str = "en") -> list[BoardRow]:
        """The best `limit` rows, best first."""
        return [self._row(place, locale) for place in self.ranking.order[:limit]]

    def _row(self, place: int, locale: str) -> BoardRow:
        person, now = self.line_up.people[place], self.ranking
        return BoardRow(
            contestant_id=person.id,
            contestant_name=person.name,
            contestant_photo=person.photo_url,
            vote_count=now.counts[place],
            formatted_count=formatted(now.counts[place], locale),
            percentage=now.tenths[place] / 10,
            rank=now.ranks[place],
            change=self.changes[place],
            trend=self.trends[place],
        )

    def lean(self, places: Iterable[int]) -> list[LeanRow]:
        now, ids = self.ranking, self.line_up.ids
        return [LeanRow(ids[place], now.counts[place], now.tenths[place] / 10, now.ranks[place]) for place in places]


def board_of(
    line_up: LineUp, counts: Mapping[str, int], at_ms: int, *,
    history: History | None = None, change_ms: int = 60_000, turnout: Turnout | None = None,
) -> Board:
    """The board of these counts. Raises OverflowError as `ranking` does."""
    now = ranking(line_up, line_up.column(counts))

    def then(ms: int) -> Sequence[int] | None:
        sample = history.at(at_ms - ms) if history is not None else None
        return None if sample is None else sample.counts

    before = then(change_ms)
    return Board(
        at_ms, line_up, now,
        changes(now.ranks, None if before is None else ranked(line_up, before)),
        trends(now.counts, then(TREND_MS), then(2 * TREND_MS)),
        recent_votes(now.counts, then(RECENT_MS)),
        turnout,
    )


def rows(counts: Mapping[str, int], contestants: Sequence[ContestantInfo], locale: str = "en") -> list[BoardRow]:
    """All ranked rows of counts that stand for themselves: a final result. Raises OverflowError as `ranking` does."""
    return board_of(LineUp(contestants), counts, 0).rows(locale=locale)


def live_results(board: Board, closes_ms: int, locale: str = "en") -> LiveResults:
    """The best of the board; `timeRemaining` in whole seconds, rounded up, 0 after the close."""
    remaining = max(0, -((board.at_ms - closes_ms) // 1000))
    turnout = board.turnout
    return LiveResults(
        board.rows(TOP, locale), board.ranking.total, iso(board.at_ms), remaining,
        UNSET if turnout is None else turnout.types, UNSET if turnout is None else turnout.voters,
        len(board.line_up),
    )


def vote_update(board: Board, others: Sequence[int] = ()) -> VoteUpdate:
    """The lean form of the same board: its best, then `others`, places in the line-up."""
    return VoteUpdate(board.lean([*board.ranking.order[:TOP], *others]), board.ranking.total, len(board.line_up))


def envelope(data: Data, channel: str, window_id: str, at_ms: int, offset: int) -> Envelope:
    """A message about the board of `at_ms`: boards are counted by window and moment, so offsets grow whoever makes
    them."""
    return Envelope(data.TYPE, data, iso(at_ms), channel, window_id, offset)


def contestant_update(board: Board, place: int, ballots: Sequence[RecentVote] | None = None) -> ContestantUpdate:
    """One contestant's part of the board, for those who follow only them."""
    now = board.ranking
    return ContestantUpdate(
        board.line_up.ids[place], now.counts[place], now.tenths[place] / 10, now.ranks[place],
        board.recent[place], TRENDING[board.trends[place]], UNSET if ballots is None else list(ballots),
    )
