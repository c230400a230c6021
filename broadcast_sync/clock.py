"""The one source of time: Unix milliseconds, steady within the process, corrected to the engine's clock.

Time is read from the monotonic clock, so a step of the machine's wall clock moves nothing. The engine's clock
(`TIME` of Valkey) is what all nodes share; the offset to it is measured now and then and approached gently.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

STEP_MS: Final = 1_000
"""A measured difference beyond this is a clock step: it is reported and not followed."""
SLEW_MS: Final = 5.0
"""The most that one correction moves the clock, once it has been set."""


class Clock(Protocol):
    """Whatever tells the time in Unix milliseconds."""

    def now_ms(self) -> int: ...


class EngineClock:
    """Monotonic time shown as Unix milliseconds, kept in step with the engine. Never goes back."""

    def __init__(self) -> None:
        self._base_ms = time.time_ns() / 1e6 - time.monotonic_ns() / 1e6
        self._set = False
        self._last = 0
        self.offset_ms = 0.0
        """The last measured difference engine - node, in milliseconds; what health pages show."""

    def now_ms(self) -> int:
        now = int(time.monotonic_ns() / 1e6 + self._base_ms)
        if now < self._last:
            return self._last
        self._last = now
        return now

    def correct(self, engine_ms: float, sent_ns: int, received_ns: int) -> bool:
        """Takes one measurement: the engine said `engine_ms` between two `time.monotonic_ns()` readings.

        The first one sets the clock, later ones slew it by at most `SLEW_MS`. Returns False for a step
        beyond `STEP_MS`, which is not followed.
        """
        middle_ms = (sent_ns + received_ns) / 2e6
        difference = engine_ms - (middle_ms + self._base_ms)
        self.offset_ms = difference
        if not self._set:
            self._base_ms += difference
            self._set = True
            return True
        if abs(difference) > STEP_MS:
            return False
        self._base_ms += max(-SLEW_MS, min(SLEW_MS, difference))
        return True
