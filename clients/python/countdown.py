"""The local countdown: each whole second of the open window, by the corrected clock and not by messages."""

from __future__ import annotations

import math
from collections.abc import Callable

from clients.python.timers import Timers


def whole_seconds(remaining_s: float | None) -> int | None:
    """The seconds to show: 1 until the very end, then 0; None when no window is open."""
    return None if remaining_s is None else math.ceil(remaining_s)


class Countdown:
    """Tells `told` of each new second. `remaining_s` is the time left, None when no window is open."""

    def __init__(self, remaining_s: Callable[[], float | None], told: Callable[[int], None]) -> None:
        self._remaining_s = remaining_s
        self._told = told
        self._timers = Timers()
        self._shown: int | None = None

    def watch(self) -> None:
        """To be called when the window or the clock may have changed; goes on by itself until the close."""
        remaining_s = self._remaining_s()
        seconds = whole_seconds(remaining_s)
        if seconds != self._shown:
            self._shown = seconds
            if seconds is not None:
                self._told(seconds)
        if seconds is None or remaining_s is None or seconds == 0:
            self.stop()
        else:
            self._timers.after("second", remaining_s - (seconds - 1) + 0.001, self.watch)

    def stop(self) -> None:
        self._timers.cancel_all()
