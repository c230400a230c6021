"""The days of a time zone: they follow each other, also where clocks change at midnight or a date is left out."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voting.ballot.days import day_of

HOUR_MS = 3_600_000
ZONES = [
    "UTC", "Asia/Phnom_Penh", "Europe/London", "America/New_York", "Australia/Lord_Howe", "America/Havana",
    "Asia/Beirut", "Africa/Cairo", "America/Santiago", "Pacific/Apia", "Asia/Kathmandu", "Pacific/Chatham",
]
moments = st.integers(0, int(datetime(2037, 1, 1, tzinfo=UTC).timestamp() * 1000))


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@given(at_ms=moments, name=st.sampled_from(ZONES))
def test_every_moment_is_on_one_day_and_the_next_one_follows_at_once(at_ms: int, name: str) -> None:
    zone = ZoneInfo(name)
    day = day_of(at_ms, zone)
    assert day.start_ms <= at_ms < day.end_ms
    assert day_of(day.start_ms, zone) == day == day_of(day.end_ms - 1, zone)
    after = day_of(day.end_ms, zone)
    assert after.start_ms == day.end_ms
    assert after.name > day.name


@pytest.mark.parametrize(
    ("zone", "date", "hours"),
    [
        ("Europe/London", "2026-03-29", 23), ("Europe/London", "2026-10-25", 25), ("Europe/London", "2026-06-01", 24),
        ("America/Santiago", "2026-09-06", 23),  # midnight itself is skipped
        ("America/Havana", "2026-11-01", 25),  # midnight comes twice
        ("Asia/Beirut", "2026-03-29", 23), ("Australia/Lord_Howe", "2026-10-04", 23.5),
    ],
)
def test_days_on_which_the_clocks_change_are_shorter_or_longer(zone: str, date: str, hours: float) -> None:
    day = day_of(ms(f"{date}T12:00:00+00:00"), ZoneInfo(zone))
    assert (day.name, day.end_ms - day.start_ms) == (date, hours * HOUR_MS)


def test_a_day_begins_at_the_shows_midnight() -> None:
    day = day_of(ms("2026-11-24T17:30:00+00:00"), ZoneInfo("Asia/Phnom_Penh"))
    assert day.name == "2026-11-25"
    assert day.start_ms == ms("2026-11-24T17:00:00+00:00")


def test_a_date_that_a_country_left_out_has_no_day() -> None:
    zone = ZoneInfo("Pacific/Apia")
    day = day_of(ms("2011-12-29T12:00:00-10:00"), zone)
    assert (day.name, day_of(day.end_ms, zone).name) == ("2011-12-29", "2011-12-31")
