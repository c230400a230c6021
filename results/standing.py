"""PURE: the last board whole, as the director leaves it in the engine for every node: 5,000 contestants in some 70 KB.

Whoever reads a board over HTTP reads this one: a board that is not published is not here either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from results.board import Board
from results.trend import TRENDING

WORDS: Final = tuple(TRENDING)


class Standing(Struct, frozen=True, array_like=True):
    """A board in columns: `order` are places in `ids`, best first; the others have one value for each of `ids`.
    `trends` are places in WORDS, `types` votes by type, null if they are not known."""

    window_id: str
    at_ms: int
    total: int
    ids: Sequence[str]
    order: Sequence[int]
    counts: Sequence[int]
    ranks: Sequence[int]
    tenths: Sequence[int]
    changes: Sequence[int]
    trends: Sequence[int]
    recent: Sequence[int]
    types: dict[str, int] | None
    voters: int | None

    @classmethod
    def of(cls, window_id: str, board: Board) -> Standing:
        now, turnout = board.ranking, board.turnout
        return cls(
            window_id, board.at_ms, now.total, board.line_up.ids, now.order, now.counts, now.ranks, now.tenths,
            board.changes, [_words[word] for word in board.trends], board.recent,
            turnout.types if turnout else None, turnout.voters if turnout else None,
        )

    def pack(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpack(cls, data: bytes) -> Standing:
        """From what `pack` made. Raises msgspec.MsgspecError for what another version has made."""
        return _standing.decode(data)


_words: Final = {word: number for number, word in enumerate(WORDS)}
_standing: Final = msgspec.msgpack.Decoder(Standing)
