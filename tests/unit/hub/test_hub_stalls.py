"""The loop's own measure of how long it was held."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from broadcast_sync.hub.metrics import Counts, HubCollector
from broadcast_sync.hub.stalls import BEAT_S, BUCKETS, LATE_S, MEMORY_S, Pulse, Stalls


def test_beats_in_time_are_no_stalls() -> None:
    stalls = Stalls()
    for number in range(200):
        stalls.beat(100 + number * BEAT_S, 100 + (number + 1) * BEAT_S + 0.0005)
    assert stalls.buckets[0] == 200
    assert stalls.longest(101.0) < LATE_S


@given(st.floats(0.008, 5), st.floats(0, 0.999))
def test_a_stall_is_never_shown_shorter_than_it_was(held: float, phase: float) -> None:
    """It began some time after the last beat, and the timer that came due meanwhile fires when it is over."""
    stalls, last = Stalls(), 1000.0
    now = max(last + BEAT_S, last + BEAT_S * phase + held)
    stalls.beat(last, now)
    assert held - 1e-9 <= stalls.longest(now) <= held + BEAT_S


def test_the_longest_is_forgotten_after_a_minute() -> None:
    stalls = Stalls()
    stalls.beat(10.0, 10.5)
    stalls.beat(40.0, 40.1)
    assert stalls.longest(69.9) == pytest.approx(0.5)
    assert stalls.longest(70.5) == pytest.approx(0.1)
    assert stalls.longest(40.1 + 2 * MEMORY_S) == 0
    assert sum(stalls.buckets) == 2 and stalls.buckets[BUCKETS.index(0.5)] == 1


async def test_the_pulse_feels_a_loop_that_is_held() -> None:
    stalls = Stalls()
    pulse = Pulse(stalls)
    pulse.start()
    until = monotonic() + 0.03
    while monotonic() < until:
        pass  # holds the loop, which is what is to be felt
    while not sum(stalls.buckets[BUCKETS.index(0.05) :]):  # noqa: ASYNC110 - nothing tells that a timer was heard
        await asyncio.sleep(0)
    pulse.stop()
    assert stalls.longest(monotonic()) >= 0.03
    beats = sum(stalls.buckets)
    await asyncio.sleep(3 * BEAT_S)
    assert sum(stalls.buckets) == beats


def test_it_is_exported() -> None:
    stalls, registry = Stalls(), CollectorRegistry()
    now = monotonic()
    for held in (0.005, 0.015, 0.015, 3.0):
        stalls.beat(now - held, now)
    registry.register(HubCollector(Counts(), stalls, lambda: 0, dict, dict))
    name = "broadcast_sync_hub_loop_stall"
    assert registry.get_sample_value(f"{name}_max_seconds") == pytest.approx(3.0)
    assert registry.get_sample_value(f"{name}_seconds_count") == 4
    assert registry.get_sample_value(f"{name}_seconds_sum") == pytest.approx(3.03)
    counts = [registry.get_sample_value(f"{name}_seconds_bucket", {"le": le}) for le in ("0.01", "0.02", "1.0")]
    assert counts == [1, 3, 3]
