"""The server's time on this machine, from PING and PONG: offset = ((t1 - t0) + (t2 - t3)) / 2 (RFC 5905, 8), of the
quickest of the last answers, because the error is at most half the round trip. Milliseconds throughout.

A better sample is approached, not jumped to: a countdown never stands still or runs backwards. Only the first sample
of all, and an error beyond `STEP_MS`, move the clock at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

SAMPLES: Final = 8
"""So many compete; old ones leave, so that drift is followed."""
SLEW: Final = 0.05
"""How much faster or slower than real time the clock may run while it is corrected."""
STEP_MS: Final = 1000.0
"""Beyond this a correction is a step: slewing a second away would take twenty."""
WALL_MS: Final = time.time() * 1000.0 - time.monotonic() * 1000.0
"""Makes the monotonic clock look like Unix milliseconds; a step of the wall clock after the start moves nothing."""


def local_ms() -> float:
    """Steady Unix milliseconds of this machine."""
    return time.monotonic() * 1000.0 + WALL_MS


class ServerClock:
    """`local` is this machine's steady time."""

    def __init__(self, local: Callable[[], float] = local_ms) -> None:
        self._local = local
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._target = 0.0
        self._offset = 0.0
        self._moved_at = local()
        self._measured = False
        self._round_trip = float("inf")

    @property
    def offset_ms(self) -> float:
        """Server - local, as far as it has been corrected by now."""
        at = self._local()
        most = max(0.0, at - self._moved_at) * SLEW
        self._moved_at = at
        self._offset += max(-most, min(most, self._target - self._offset))
        return self._offset

    @property
    def error_ms(self) -> float:
        """How far `now_ms` may be off: half the best round trip and what is still to be corrected; infinite before the
        first sample of a connection."""
        return self._round_trip / 2 + abs(self._target - self.offset_ms)

    def now_ms(self) -> float:
        """Unix milliseconds as the server has them."""
        return self._local() + self.offset_ms

    def guess(self, server_ms: float) -> None:
        """A first idea, from a message that carried the server's time; ignored once there was a sample."""
        if not self._measured:
            self._aim(server_ms - self._local(), at_once=True)

    def add(self, t0: float, t1: float, t2: float, t3: float) -> None:
        """One PING: sent `t0`, received `t3` by the local clock; `t1`, `t2` the same by the server's. An answer
        that seems to arrive before it was asked for says that the local clock was stepped, and is left out."""
        if t3 < t0:
            return
        # the server's times are whole milliseconds, so on a quick network the difference can come out negative
        round_trip = max(0.0, (t3 - t0) - (t2 - t1))
        self._samples.append((round_trip, ((t1 - t0) + (t2 - t3)) / 2))
        self._round_trip, offset = min(reversed(self._samples), key=lambda sample: sample[0])
        self._aim(offset, at_once=not self._measured)
        self._measured = True

    def restart(self) -> None:
        """Forgets the samples, because a new connection may lead to another machine; the offset stays until the
        next one corrects it."""
        self._samples.clear()
        self._round_trip = float("inf")

    def _aim(self, offset: float, *, at_once: bool) -> None:
        reached = self.offset_ms
        self._target = offset
        if at_once or abs(offset - reached) > STEP_MS:
            self._offset = offset
