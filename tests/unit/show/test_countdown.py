from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.show.countdown import close_due, next_instant, remaining_s, ticks, warning_due
from broadcast_sync.show.orders import CloseVoting, ExtendVoting, Warn
from tests.support.stages import NOW, after, on_air, open_voting

durations = st.integers(1, 86_400)


def test_a_window_of_25_s_ticks_at_20_and_from_10_to_1() -> None:
    found = ticks(NOW + 25_000, NOW, NOW + 25_000)
    assert [tick.remaining for tick in found if tick.time_update] == [20, 10]
    assert [tick.remaining for tick in found if tick.countdown] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert [tick.at_ms for tick in found[:2]] == [NOW + 5_000, NOW + 15_000]


def test_the_first_instant_belongs_to_a_window_of_round_length() -> None:
    assert ticks(NOW + 30_000, NOW - 1, NOW)[0].remaining == 30


def test_nothing_falls_on_the_close_or_after_it() -> None:
    assert ticks(NOW, NOW - 1_000, NOW + 60_000) == []
    assert next_instant(NOW, NOW) is None
    assert remaining_s(NOW, NOW + 1) == 0


def test_remaining_is_rounded_up() -> None:
    assert [remaining_s(NOW, NOW - ms) for ms in (1, 1_000, 1_001, 59_999)] == [1, 1, 2, 60]


@given(durations, st.lists(st.integers(0, 86_400_000), max_size=20))
def test_every_tick_comes_once_however_the_time_is_cut(duration_s: int, cuts: list[int]) -> None:
    closes = NOW + duration_s * 1000
    edges = sorted({NOW, closes, *(NOW + cut for cut in cuts if cut < duration_s * 1000)})
    pieces = [tick for first, last in pairwise(edges) for tick in ticks(closes, first, last)]
    assert pieces == ticks(closes, NOW, closes)
    expected = {r for r in range(1, duration_s) if r <= 10 or r % 10 == 0}
    assert {tick.remaining for tick in pieces} == expected
    assert len(pieces) == len(expected)


@given(durations, st.integers(-1_000, 90_000_000))
def test_the_next_instant_is_that_of_the_next_tick(duration_s: int, elapsed_ms: int) -> None:
    closes, now = NOW + duration_s * 1000, NOW + elapsed_ms
    at = next_instant(closes, now)
    coming = ticks(closes, now, closes)
    assert at == (coming[0].at_ms if coming else None)
    if at is not None:
        assert at > now and (closes - at) % 1000 == 0


@given(durations, st.integers(0, 86_400_000))
def test_a_warning_is_due_once_in_windows_longer_than_a_minute(duration_s: int, elapsed_ms: int) -> None:
    stage = after(on_air(), open_voting(duration_s))
    window, now = stage.window, NOW + elapsed_ms
    assert window is not None
    left_ms = window.closes_ms - now
    assert warning_due(window, now) == (duration_s > 60 and 10_000 < left_ms <= 60_000)
    assert close_due(window, now) == (left_ms <= 0)
    if warning_due(window, now):
        warned = after(stage, Warn("w1"), now).window
        assert warned is not None and not warning_due(warned, now)


def test_an_extension_brings_a_second_warning_only_if_there_is_a_minute_to_come() -> None:
    stage = after(on_air(), open_voting(90))
    stage = after(stage, Warn("w1"), NOW + 30_000)
    short = after(stage, ExtendVoting(10), NOW + 45_000).window
    long = after(stage, ExtendVoting(60), NOW + 45_000).window
    assert short is not None and short.warned
    assert long is not None and not long.warned
    assert after(stage, CloseVoting(), NOW + 40_000).voting == "CLOSING"
