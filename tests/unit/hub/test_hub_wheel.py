"""The timing wheel, without time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.hub.wheel import Wheel


def test_due_at_most_one_tick_late_and_never_early() -> None:
    wheel: Wheel[str] = Wheel(100.0, tick=0.1)
    wheel.hang("b", 100.25)
    wheel.hang("a", 100.05)
    assert wheel.turn(100.05) == []
    assert wheel.turn(100.11) == ["a"]
    assert wheel.turn(100.24) == []
    assert wheel.turn(100.31) == ["b"]
    assert len(wheel) == 0


def test_the_past_is_due_at_the_next_turn() -> None:
    wheel: Wheel[str] = Wheel(100.0, tick=0.1)
    wheel.hang("late", 3.0)
    assert wheel.turn(100.11) == ["late"]


def test_a_long_sleep() -> None:
    wheel: Wheel[int] = Wheel(0.0, tick=0.1)
    for at in (5, 3, 4, 90_000):
        wheel.hang(at, float(at))
    assert wheel.turn(80_000.0) == [3, 4, 5]
    assert wheel.turn(90_000.2) == [90_000]


@given(st.lists(st.floats(0, 100)), st.lists(st.floats(0, 30), max_size=20))
def test_each_item_comes_once_and_in_its_time(times: list[float], steps: list[float]) -> None:
    wheel: Wheel[float] = Wheel(0.0, tick=0.5)
    for at in times:
        wheel.hang(at, at)
    now, seen = 0.0, []
    for step in [*steps, 200.0]:
        now += step
        due = wheel.turn(now)
        assert all(at <= now for at in due)
        seen += due
        assert all(at > now - 0.5 - 1e-9 for at in times if at not in seen)
    assert sorted(seen) == sorted(times)
