"""The server's clock as seen from here: offset = ((t1 - t0) + (t2 - t3)) / 2 (RFC 5905, 8), of the quickest of
the last answers, because the error is at most half the round trip. Pure; milliseconds throughout."""

from __future__ import annotations

from collections import deque
from typing import Final

SAMPLES: Final = 8


class ClockOffset:
    """`offset_ms` is server - local; `error_ms` how far it may be off, infinite before the first sample."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self.offset_ms = 0.0
        self.error_ms = float("inf")

    def guess(self, server_ms: float, local_ms: float) -> None:
        """A first idea, from a message that carried the server's time; any PONG replaces it."""
        if not self._samples:
            self.offset_ms = server_ms - local_ms

    def add(self, t0: float, t1: float, t2: float, t3: float) -> None:
        """One PING: sent `t0`, received `t3` by the local clock; `t1`, `t2` the same by the server's. An answer
        that seems to arrive before it was asked for says that the local clock was stepped, and is left out."""
        if t3 < t0:
            return
        # the server's times are whole milliseconds, so on a quick network the difference can come out negative
        round_trip = max(0.0, (t3 - t0) - (t2 - t1))
        self._samples.append((round_trip, ((t1 - t0) + (t2 - t3)) / 2))
        best = min(self._samples)
        self.offset_ms, self.error_ms = best[1], best[0] / 2

    def restart(self) -> None:
        """Forgets the samples, because a new connection may lead to another machine; the offset stays until the
        next one."""
        self._samples.clear()
        self.error_ms = float("inf")
