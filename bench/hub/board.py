"""The message that every contender sends: a board as a show sends it, 12 contestants, 2.6 KB of JSON."""

from __future__ import annotations

from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import BoardRow, LiveResults


def board() -> Prepared:
    """Made anew for each round, so that a round pays for encoding, framing and compressing it once."""
    rows = [
        BoardRow(
            f"c{number:02d}", f"Contestant Number {number:02d}", f"/photos/demo/c{number:02d}.svg",
            123_456 - number, "123.5K", 8.3, number, 0, "rising_fast",
        )
        for number in range(1, 13)
    ]
    return Prepared.of(LiveResults(rows, 1_481_472, "2026-11-21T20:15:00.123Z", 754), 0, "results")
