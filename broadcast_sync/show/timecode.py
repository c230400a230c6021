"""SMPTE ST 12-1 time code: labels, frame counts and instants, in exact rational arithmetic. PURE.

A label is `HH:MM:SS:FF`, drop-frame `HH:MM:SS;FF`. Drop-frame counting leaves out labels, never frames: at 29.97 the
first two (at 59.94 the first four) of each minute but every tenth, so that labels keep close to the clock. Above 30
frames a second FF counts every frame of the second. Counts wrap at midnight, after `Rate.day` frames, which is a day
of labels and, at the rates with 1001 in them, not exactly a day of the clock.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil, floor
from typing import Final

from msgspec import Struct

from broadcast_sync.errors import Refusal

_LABEL: Final = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})([:;])([0-9]{2})", re.ASCII)
_SHAPE: Final = "A timecode is HH:MM:SS:FF, drop-frame HH:MM:SS;FF, such as 20:15:00:12."


class Rate(Struct, frozen=True):
    """A frame rate and how its frames are labelled. `dropped` labels are left out at the start of each minute that
    is no multiple of ten; 0 for non-drop."""

    name: str
    fps: Fraction
    dropped: int = 0

    @property
    def nominal(self) -> int:
        """Labels a second: 30 at 29.97."""
        return ceil(self.fps)

    @property
    def per_minute(self) -> int:
        """Frames of a minute of labels that drops."""
        return 60 * self.nominal - self.dropped

    @property
    def per_ten_minutes(self) -> int:
        return 10 * self.per_minute + self.dropped

    @property
    def day(self) -> int:
        """Frames from 00:00:00:00 until that label comes again."""
        return 144 * self.per_ten_minutes


RATES: Final[dict[str, Rate]] = {
    rate.name: rate
    for rate in (
        Rate("23.976", Fraction(24000, 1001)),
        Rate("24", Fraction(24)),
        Rate("25", Fraction(25)),
        Rate("29.97df", Fraction(30000, 1001), dropped=2),
        Rate("29.97ndf", Fraction(30000, 1001)),
        Rate("30", Fraction(30)),
        Rate("50", Fraction(50)),
        Rate("59.94df", Fraction(60000, 1001), dropped=4),
        Rate("60", Fraction(60)),
    )
}
"""Every rate by its name."""


class Reference(Struct, frozen=True, rename="camel"):
    """What ties a show's labels to the clock: the frame `label` began at `at_ms`, Unix milliseconds."""

    label: str
    at_ms: int
    rate: str


def rate_named(name: str) -> Rate:
    """Raises Refusal TIMECODE_INVALID for a name that is not in RATES."""
    try:
        return RATES[name]
    except KeyError:
        raise _invalid(f"There is no frame rate {name[:16]!r}; there are {', '.join(RATES)}.") from None


def check_timecode(label: str) -> None:
    """Raises Refusal TIMECODE_INVALID unless `label` exists at one of the RATES."""
    if _LABEL.fullmatch(label) is None:
        raise _invalid(_SHAPE)
    if not any(_exists(label, rate) for rate in RATES.values()):
        raise _invalid(f"{label} does not exist at any of the rates {', '.join(RATES)}.")


def _exists(label: str, rate: Rate) -> bool:
    try:
        frames_of(label, rate)
    except Refusal:
        return False
    return True


def frames_of(label: str, rate: Rate) -> int:
    """Frames from 00:00:00:00 to `label`: 0 to `rate.day` - 1. Raises Refusal TIMECODE_INVALID, with the reason, for
    a label that does not exist at this rate."""
    found = _LABEL.fullmatch(label)
    if found is None:
        raise _invalid(_SHAPE)
    hours, minutes, seconds, frame = (int(found[part]) for part in (1, 2, 3, 5))
    if (found[4] == ";") != bool(rate.dropped):
        wanted = "drop-frame, HH:MM:SS;FF" if rate.dropped else "not drop-frame, HH:MM:SS:FF"
        raise _invalid(f"{label} is a label of another rate: {rate.name} is {wanted}.")
    if hours > 23 or minutes > 59 or seconds > 59:
        raise _invalid(f"{label} is no time of day.")
    if frame >= rate.nominal:
        raise _invalid(f"{label} does not exist: at {rate.name} frames are 00 to {rate.nominal - 1}.")
    if seconds == 0 and frame < rate.dropped and minutes % 10:
        raise _invalid(f"{label} does not exist: {rate.name} drops it.")
    minute = hours * 60 + minutes
    left_out = rate.dropped * (minute - minute // 10)
    return (minute * 60 + seconds) * rate.nominal + frame - left_out


def label_of(frames: int, rate: Rate) -> str:
    """The label of a frame count; counts beyond a day, and negative ones, wrap."""
    tens, rest = divmod(frames % rate.day, rate.per_ten_minutes)
    # of ten minutes the first drops nothing
    minute = 0 if rest < 60 * rate.nominal else 1 + (rest - 60 * rate.nominal) // rate.per_minute
    count = rest + rate.dropped * minute
    seconds, frame = divmod(count, rate.nominal)
    hours, minutes = divmod(tens * 10 + minute, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{';' if rate.dropped else ':'}{frame:02d}"


def offset_of(frames: int, rate: Rate) -> Fraction:
    """Seconds that so many frames last, exactly."""
    return frames / rate.fps


def frames_in(seconds: Fraction, rate: Rate) -> int:
    """Whole frames that have begun after `seconds`, the inverse of `offset_of`."""
    return floor(seconds * rate.fps)


def instant(label: str, reference: Reference, near_ms: int) -> int:
    """When the frame `label` begins, Unix milliseconds, rounded up so that it has begun: of all days' the one nearest
    to `near_ms`. Raises Refusal TIMECODE_INVALID."""
    rate = rate_named(reference.rate)
    frames = frames_of(label, rate) - frames_of(reference.label, rate)
    near = (near_ms - reference.at_ms) * rate.fps / 1000
    days = round((near - frames) / rate.day)
    return reference.at_ms + ceil(offset_of(frames + days * rate.day, rate) * 1000)


def label_at(now_ms: int, reference: Reference) -> str:
    """The label of the frame that is on air at `now_ms`."""
    rate = rate_named(reference.rate)
    return label_of(frames_of(reference.label, rate) + frames_in(Fraction(now_ms - reference.at_ms, 1000), rate), rate)


def _invalid(reason: str) -> Refusal:
    return Refusal("TIMECODE_INVALID", reason)
