"""PURE: the last board whole, as the director leaves it in the engine for every node: 5,000 contestants in some 70 KB.

Whoever reads a board over HTTP reads this one: a board that is not published is not here either. A node that has missed
what went out of single contestants has it from here as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from broadcast_sync.wire.server import ContestantUpdate, RecentVote
from results.board import Board, envelope
from results.trend import TRENDING

WORDS: Final = tuple(TRENDING)


class Standing(Struct, frozen=True, array_like=True):
    """A board in columns: `order` are places in `ids`, best first; the others have one value for each of `ids`.
    `trends` are places in WORDS, `types` votes by type, null if they are not known; so are `ballots`, the last of each
    contestant."""

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
    ballots: Mapping[str, Sequence[RecentVote]] | None = None

    @classmethod
    def of(
        cls, window_id: str, board: Board, ballots: Mapping[str, Sequence[RecentVote]] | None = None
    ) -> Standing:
        now, turnout = board.ranking, board.turnout
        return cls(
            window_id, board.at_ms, now.total, board.line_up.ids, now.order, now.counts, now.ranks, now.tenths,
            board.changes, [_words[word] for word in board.trends], board.recent,
            turnout.types if turnout else None, turnout.voters if turnout else None, ballots,
        )

    def pack(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpack(cls, data: bytes) -> Standing:
        """From what `pack` made. Raises msgspec.MsgspecError for what another version has made."""
        return _standing.decode(data)

    def contestants(self) -> dict[str, bytes]:
        """CONTESTANT_UPDATE of each contestant, by channel, as it goes out with this board."""
        found = {}
        for place, name in enumerate(self.ids):
            ballots = UNSET if self.ballots is None else list(self.ballots.get(name, ()))
            update = ContestantUpdate(
                name, self.counts[place], self.tenths[place] / 10, self.ranks[place], self.recent[place],
                TRENDING[WORDS[self.trends[place]]], ballots,
            )
            channel = f"contestant:{name}"
            found[channel] = msgspec.json.encode(envelope(update, channel, self.window_id, self.at_ms, self.at_ms))
        return found


def contestants_of(packed: bytes) -> dict[str, bytes]:
    """What a node is told of single contestants by a packed standing; nothing by one of another version."""
    try:
        return Standing.unpack(packed).contestants()
    except (msgspec.MsgspecError, LookupError):
        return {}


_words: Final = {word: number for number, word in enumerate(WORDS)}
_standing: Final = msgspec.msgpack.Decoder(Standing)
