"""The timing wheel, without time."""

from __future__ import annotations

import asyncio
from math import inf
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.hub.closes import EXPIRED
from broadcast_sync.hub.session import Session
from broadcast_sync.hub.wheel import STRIDE, Watch, Wheel


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


class Expiring:
    """A session whose token is at its end."""

    def __init__(self) -> None:
        self.is_open, self.closed, self.wake_at, self.expires_at = True, 0, inf, 0.0
        self.close_by = self.next_ping = self.auth_by = self.look_at = self.whole_by = inf

    def close(self, code: int) -> None:
        self.is_open, self.closed = False, code


async def test_others_get_a_turn_while_a_crowd_is_looked_at() -> None:
    watch = Watch(20.0, 10.0, 10.0)
    crowd = [Expiring() for _ in range(10 * STRIDE)]
    for session in crowd:
        watch.authenticated(cast(Session, session), 0.0)
    task, partly = asyncio.create_task(watch.run()), 0
    while not all(session.closed for session in crowd):
        await asyncio.sleep(0)
        partly += 0 < sum(session.closed > 0 for session in crowd) < len(crowd)
    task.cancel()
    assert {session.closed for session in crowd} == {EXPIRED}
    assert partly >= 9
