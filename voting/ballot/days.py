"""PURE: the calendar days of a time zone, as limits a day need them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_MS: Final = timedelta(milliseconds=1)


class Day(Struct, frozen=True):
    """One calendar day: `name` is its ISO date; it is on in [start_ms, end_ms), Unix milliseconds. Where clocks change
    it has 23 or 25 hours, or whatever the zone decreed."""

    name: str
    start_ms: int
    end_ms: int


def day_of(at_ms: int, zone: ZoneInfo) -> Day:
    """The day that `at_ms` falls on in `zone`. Days follow each other without gap or overlap, also where midnight does
    not exist: then the day begins when the clocks change."""
    today = (_START + at_ms * _MS).astimezone(zone).date()
    return Day(today.isoformat(), _midnight(today, zone), _midnight(today + _DAY, zone))


def _midnight(day: date, zone: ZoneInfo) -> int:
    """When `day` begins. A midnight that does not exist has the offset before the change, which makes it the change."""
    return (datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) - _START) // _MS
