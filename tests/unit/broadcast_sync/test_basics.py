from __future__ import annotations

import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.clock import SLEW_MS, EngineClock
from broadcast_sync.errors import CODES, Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.wire.times import iso, parse_iso

MILLIS = st.integers(min_value=0, max_value=4_102_444_800_000)


@given(MILLIS)
def test_times_round_trip(ms: int) -> None:
    assert parse_iso(iso(ms)) == ms
    assert len(iso(ms)) == 24


@pytest.mark.parametrize("text", ["", "2026-11-21", "2026-11-21T20:15:00", "25:61:61;45", "now"])
def test_times_without_offset_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_iso(text)


@given(MILLIS, st.integers(min_value=0, max_value=2**74 - 1))
def test_uuid7_is_a_version_7_of_its_time(ms: int, bits: int) -> None:
    made = uuid7(ms, bits)
    assert made.version == 7
    assert made.variant == UUID(int=0x8 << 60).variant
    assert made.int >> 80 == ms
    assert (made.int >> 64 & 0xFFF) << 62 | made.int & (2**62 - 1) == bits


def test_uuid7s_differ() -> None:
    assert len({uuid7(1) for _ in range(10_000)}) == 10_000


def test_a_refusal_carries_its_code_everywhere() -> None:
    refusal = Refusal("BUSY", retry_after=0.5)
    assert (refusal.code, refusal.retryable, refusal.status) == ("BUSY", True, 503)
    assert all(400 <= code.status < 600 and code.message for code in CODES.values())


def measured(clock: EngineClock, difference_ms: float) -> bool:
    moment = time.monotonic_ns()
    return clock.correct(clock._base_ms + moment / 1e6 + difference_ms, moment, moment)


def test_the_first_measurement_sets_the_clock_and_later_ones_slew_it() -> None:
    clock = EngineClock()
    before = clock.now_ms()
    assert measured(clock, 60_000)
    assert clock.now_ms() - before >= 60_000
    base = clock._base_ms
    assert measured(clock, 500)
    assert clock._base_ms - base == SLEW_MS
    assert clock.offset_ms == pytest.approx(500) and clock.error_ms == pytest.approx(500 - SLEW_MS)


def test_a_clock_is_healthy_while_it_was_measured_lately_and_little_was_left() -> None:
    clock = EngineClock()
    assert (clock.healthy, clock.age_ms) == (False, None)
    assert measured(clock, 60_000)
    assert clock.healthy and clock.age_ms is not None and clock.error_ms == 0
    assert measured(clock, 20) and clock.healthy
    assert measured(clock, -30) and not clock.healthy
    assert measured(clock, 3) and clock.healthy
    clock._measured_ns = time.monotonic_ns() - 36_000_000_000
    assert not clock.healthy


def test_a_clock_step_of_the_engine_is_not_followed_and_time_never_goes_back() -> None:
    clock = EngineClock()
    assert measured(clock, 0)
    now = clock.now_ms()
    assert not measured(clock, 3_600_000)
    assert not measured(clock, -3_600_000)
    assert clock.offset_ms == clock.error_ms == pytest.approx(-3_600_000)
    assert not clock.healthy
    assert measured(clock, -900)
    assert clock.now_ms() >= now


def test_only_who_is_told_to_follow_a_step_does_and_may_go_back() -> None:
    clock = EngineClock()
    measured(clock, 0)
    now = clock.now_ms()
    assert not measured(clock, -3_600_000)
    clock.follow()
    assert clock.now_ms() - now == pytest.approx(-3_600_000, abs=1_000) and clock.error_ms == 0
    assert measured(clock, 0) and clock.healthy
