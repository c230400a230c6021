"""How long the event loop is held: while it is, nobody is read and nobody is written to.

The loop measures itself: a timer is set every few milliseconds, and when one comes late something held the loop, ours
or the machine's. It is always on: 200 beats a second of some microseconds each.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from time import monotonic
from typing import Final

BEAT_S: Final = 0.005
LATE_S: Final = 0.002
"""A beat so late is a stall. A timer of the loop has a resolution of 1 ms."""
BUCKETS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Upper bounds of the histogram, seconds."""
MEMORY_S: Final = 60
"""Seconds that `longest` looks back."""


class Stalls:
    """What the beats have shown. PURE: the time, in seconds, is an argument.

    A stall counts from the last beat, when the loop was known to be free, so it is never shown shorter than it was, and
    at most `BEAT_S` longer. What is less late than `LATE_S` counts by its lateness.
    """

    __slots__ = ("_longest", "_second", "buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self._longest = [0.0] * MEMORY_S
        """The longest of each of the last seconds."""
        self._second = 0

    def beat(self, last: float, now: float) -> None:
        """Takes a beat at `now` after one at `last`."""
        late = max(0.0, now - last - BEAT_S)
        held = late if late < LATE_S else now - last
        self.buckets[bisect_left(BUCKETS, held)] += 1
        self.seconds += held
        self._forget(now)
        cell = self._second % MEMORY_S
        if held > self._longest[cell]:
            self._longest[cell] = held

    def longest(self, now: float) -> float:
        """The longest stall of the last `MEMORY_S` seconds."""
        self._forget(now)
        return max(self._longest)

    def _forget(self, now: float) -> None:
        second = int(now)
        for passed in range(max(self._second + 1, second - MEMORY_S + 1), second + 1):
            self._longest[passed % MEMORY_S] = 0.0
        self._second = max(self._second, second)


class Pulse:
    """The timer. `start` it in a running loop; `stop` ends it."""

    def __init__(self, stalls: Stalls) -> None:
        self._stalls = stalls
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._last = monotonic()
        self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    def _beat(self) -> None:
        now = monotonic()
        self._stalls.beat(self._last, now)
        self._last = now
        self._arm()
