"""The countdown, derived from absolute times: right after any restart, for any window. Pure.

A tick belongs to the instant at which a whole number of seconds remains. TIME_UPDATE falls on every remaining
that is a multiple of 10, COUNTDOWN on 10 to 1; nothing falls on 0, which is the close. Unix milliseconds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from broadcast_sync.show.model import Stage, Window

WARNING_MS: Final = 60_000
"""WARNING is given when this much remains, in windows that are longer."""
LATE_WARNING_MS: Final = 10_000
"""A warning that comes with no more than this left would only talk over the countdown."""
SOON_MS: Final = 3_600_000
"""A cue that is armed for within so long must not be moved by the clock."""


class Tick(NamedTuple):
    """One tick at `at_ms`: a TIME_UPDATE, a COUNTDOWN, or at 10 both."""

    at_ms: int
    remaining: int

    @property
    def time_update(self) -> bool:
        return self.remaining >= 10 and self.remaining % 10 == 0

    @property
    def countdown(self) -> bool:
        return 1 <= self.remaining <= 10


def remaining_s(closes_ms: int, now_ms: int) -> int:
    """Whole seconds that people see left: rounded up, never below 0."""
    return max(0, -((now_ms - closes_ms) // 1000))


def _first_after(closes_ms: int, after_ms: int) -> int:
    """The remaining of the first tick later than `after_ms`; 0 if there is none."""
    return _previous((closes_ms - after_ms - 1) // 1000 + 1)


def _previous(remaining: int) -> int:
    """The next smaller remaining that has a tick; 0 if there is none."""
    if remaining > 20:
        return (remaining - 1) // 10 * 10
    return 10 if remaining > 10 else max(0, remaining - 1)


def ticks(closes_ms: int, after_ms: int, until_ms: int) -> list[Tick]:
    """All ticks in (after_ms, until_ms], in order of time: none twice and none missed when the intervals of
    successive calls adjoin. At most 8,650 for a day."""
    found = []
    remaining = _first_after(closes_ms, after_ms)
    while remaining > 0 and (at_ms := closes_ms - remaining * 1000) <= until_ms:
        found.append(Tick(at_ms, remaining))
        remaining = _previous(remaining)
    return found


def next_instant(closes_ms: int, now_ms: int) -> int | None:
    """The instant of the first tick after `now_ms`; None when all have been."""
    remaining = _first_after(closes_ms, now_ms)
    return closes_ms - remaining * 1000 if remaining > 0 else None


def warning_at(window: Window) -> int | None:
    """When WARNING is to be given; None if there is none to come."""
    return None if window.warned else window.closes_ms - WARNING_MS


def warning_due(window: Window, now_ms: int) -> bool:
    """True from 60 s before the close, until it has been given or the countdown says it better."""
    at_ms = warning_at(window)
    return at_ms is not None and at_ms <= now_ms < window.closes_ms - LATE_WARNING_MS


def close_due(window: Window, now_ms: int) -> bool:
    """True from the announced close on."""
    return now_ms >= window.closes_ms


def time_matters(stage: Stage, now_ms: int) -> bool:
    """True while the clock must go on as it does, whatever the engine's is set to: a show is on air, or cues are armed
    for within the hour."""
    return stage.show is not None or bool(stage.armed and stage.armed[0].at_ms - now_ms < SOON_MS)
