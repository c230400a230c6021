"""How many cues a second one operator may send: GCRA, bounded in memory. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from broadcast_sync.errors import Refusal

OPERATORS: Final = 1_024
"""Operators remembered; the one unheard of longest is forgotten first, and starts with a full allowance."""


class Pace:
    """`per_second` cues an operator, up to one second's worth at once (at least one)."""

    def __init__(self, per_second: float) -> None:
        self._interval_ms = 1000 / per_second
        self._burst_ms = max(1000.0, self._interval_ms)
        self._due: OrderedDict[str, float] = OrderedDict()

    def take(self, operator: str, now_ms: int) -> None:
        """Counts one cue. Raises Refusal RATE_LIMIT with `retry_after`."""
        due = max(self._due.pop(operator, 0.0), now_ms)
        over_ms = due + self._interval_ms - now_ms - self._burst_ms
        self._due[operator] = due if over_ms > 0 else due + self._interval_ms
        if len(self._due) > OPERATORS:
            self._due.popitem(last=False)
        if over_ms > 0:
            raise Refusal("RATE_LIMIT", retry_after=round(over_ms / 1000, 3))
