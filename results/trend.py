"""PURE: where a contestant is heading, in the board's words and in those of a contestant's own channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

TREND_MS: Final = 300_000
"""A trend compares the last five minutes with the five before."""
RECENT_MS: Final = 60_000
"""`recentVotes` are those of the last minute."""

TRENDING: Final = {
    "rising_fast": "hot", "rising": "rising", "stable": "stable", "falling": "falling", "falling_fast": "falling",
}
"""A contestant's own channel knows four words."""


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


def trends(now: Sequence[int], middle: Sequence[int] | None, early: Sequence[int] | None) -> list[str]:
    """The trend of each contestant, of their counts now, five and ten minutes ago; all `stable` while those are not
    known."""
    if middle is None or early is None:
        return ["stable"] * len(now)
    return [trend(last - half, half - first) for last, half, first in zip(now, middle, early, strict=True)]


def recent_votes(now: Sequence[int], then: Sequence[int] | None) -> list[int]:
    """What each contestant has got since `then`; 0 if that is not known, or when votes were voided meanwhile."""
    if then is None:
        return [0] * len(now)
    return [max(0, last - first) for last, first in zip(now, then, strict=True)]
