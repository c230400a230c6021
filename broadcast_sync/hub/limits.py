"""How often is too often: a token bucket kept as one number (GCRA), so that a million of them cost little.

A `Limit` holds the figures and is shared; whoever is limited keeps one float, its level: the time until which what
it has spent is paid off. PURE: the time, in seconds, is an argument.
"""

from __future__ import annotations


class Limit:
    """`per_second` on average, `burst` at once."""

    __slots__ = ("interval", "window")

    def __init__(self, per_second: float, burst: float) -> None:
        if per_second <= 0 or burst < 1:
            raise ValueError("a limit lets at least one through")
        self.interval = 1.0 / per_second
        """Seconds that one costs."""
        self.window = burst / per_second
        """Seconds that may be owed."""

    def spend(self, level: float, now: float, cost: float = 1.0) -> float:
        """The level after one more, allowed or not. Refused ones count as well, so a flood never earns."""
        return (level if level > now else now) + self.interval * cost

    def excess(self, level: float, now: float) -> float:
        """Seconds by which `level` is over what is allowed; zero or less is within."""
        # a nanosecond of rounding in sums of intervals is no excess
        return level - now - self.window - 1e-9
