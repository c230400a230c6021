"""The one source of time: Unix milliseconds, steady within the process, corrected to the time that all nodes share.

Time is read from the monotonic clock, so a step of the machine's wall clock moves nothing. The shared time is the
engine's clock (`TIME` of Valkey) and what bus/timekeeper.py keeps beside it; the difference is measured each second
and approached gently.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

STEP_MS: Final = 1_000
"""A measured difference beyond this is a clock step: it is reported and not followed."""
SLEW_MS: Final = 0.5
"""The most that one correction moves the clock, once it has been set."""
HEALTHY_MS: Final = 20.0
"""What a healthy clock may be off: a cue is taken within this of its instant."""
STALE_MS: Final = 35_000
"""A clock that was not measured for so long is not called healthy; nodes measure each second."""


class Clock(Protocol):
    """Whatever tells the time in Unix milliseconds."""

    def now_ms(self) -> int: ...


class EngineClock:
    """Monotonic time shown as Unix milliseconds, kept in step with the engine. Never goes back."""

    def __init__(self) -> None:
        self._base_ms = time.time_ns() / 1e6 - time.monotonic_ns() / 1e6
        self._set = False
        self._last = 0
        self._measured_ns: int | None = None
        self.offset_ms = 0.0
        """The last measured difference shared time - node, in milliseconds."""
        self.held_ms = 0
        """How far the shared time is from the engine's clock: not 0 while a step of that is held off."""
        self.error_ms = 0.0
        """What was left of it when this clock had been corrected; what health pages show."""

    @property
    def age_ms(self) -> int | None:
        """How long ago the last measurement was; None before the first."""
        return None if self._measured_ns is None else (time.monotonic_ns() - self._measured_ns) // 1_000_000

    @property
    def healthy(self) -> bool:
        """True while this clock is known to agree with the others': measured lately, and within `HEALTHY_MS`."""
        age = self.age_ms
        return age is not None and age <= STALE_MS and abs(self.error_ms) <= HEALTHY_MS

    def now_ms(self) -> int:
        now = int(time.monotonic_ns() / 1e6 + self._base_ms)
        if now < self._last:
            return self._last
        self._last = now
        return now

    def correct(self, shared_ms: float, sent_ns: int, received_ns: int) -> bool:
        """Takes one measurement: it was `shared_ms` between two `time.monotonic_ns()` readings.

        The first one sets the clock, later ones slew it by at most `SLEW_MS`. Returns False for a step
        beyond `STEP_MS`, which is not followed.
        """
        middle_ms = (sent_ns + received_ns) / 2e6
        difference = shared_ms - (middle_ms + self._base_ms)
        self.offset_ms = self.error_ms = difference
        self._measured_ns = received_ns
        if self._set and abs(difference) > STEP_MS:
            return False
        moved = max(-SLEW_MS, min(SLEW_MS, difference)) if self._set else difference
        self._base_ms += moved
        self.error_ms -= moved
        self._set = True
        return True

    def follow(self) -> None:
        """Steps to the shared time as it was last measured. The only way for this clock to go back."""
        self._base_ms += self.error_ms
        self.error_ms = 0.0
        self._last = 0
