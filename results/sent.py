"""PURE: what of a window's boards has gone out, so that only what has changed goes out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from broadcast_sync.wire.server import RecentVote
from results.board import TOP, Board

ROUND: Final = 60
"""Boards after which every row has gone out once more, changed or not: VOTE_UPDATE is never queued, so a slow socket
misses some."""
OTHERS: Final = 500
"""Rows beyond the best that one VOTE_UPDATE has at most; what does not fit is first in the next one."""


class Sent:
    """The rows of one window as they were sent last. A row that is new has changed."""

    def __init__(self, size: int) -> None:
        self._lean: list[Any] = [None] * size
        self._contestants: list[Any] = [None] * size
        self._turn = 0

    def others(self, board: Board) -> list[int]:
        """The places beyond the best that VOTE_UPDATE must have: those that have changed, and a part of the rest by
        turns. They count as sent, as the best do."""
        ranked = board.ranking
        size = len(ranked.order)
        if size <= TOP:
            return []
        best = set(ranked.order[:TOP])
        now = list(zip(ranked.counts, ranked.tenths, ranked.ranks, strict=True))
        part, turn, last = -(-size // ROUND), self._turn, self._lean
        round_ = [*range(turn, size), *range(turn)]
        due = [place for place in round_[:part] if place not in best]
        due += [place for place in round_[part:] if now[place] != last[place] and place not in best]
        self._turn = (turn + part) % size if len(due) <= OTHERS else due[OTHERS]
        del due[OTHERS:]
        for place in (*best, *due):
            last[place] = now[place]
        return sorted(due, key=ranked.ranks.__getitem__)

    def contestants(self, board: Board, ballots: Mapping[str, Sequence[RecentVote]] | None = None) -> list[int]:
        """The places whose CONTESTANT_UPDATE would not say the same as the last one. They count as sent."""
        ranked = board.ranking
        last = [ballots.get(name) for name in board.line_up.ids] if ballots else [None] * len(ranked.order)
        now = list(zip(ranked.counts, ranked.tenths, ranked.ranks, board.recent, board.trends, last, strict=True))
        due = [place for place, (row, sent) in enumerate(zip(now, self._contestants, strict=True)) if row != sent]
        self._contestants = now
        return due
