from __future__ import annotations

import time

import pytest

from broadcast_sync.clock import EngineClock
from broadcast_sync.show.countdown import close_due, ticks
from tests.support.stages import after, on_air, open_voting

HOUR_MS = 3_600_000


class Machine:
    """A machine whose wall clock can be set, as the monotonic clock goes on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wall_ms, self.steady_ms = 1_795_000_000_000, 5_000
        patch.setattr(time, "time_ns", lambda: self.wall_ms * 1_000_000)
        patch.setattr(time, "monotonic_ns", lambda: self.steady_ms * 1_000_000)

    def run(self, ms: int) -> None:
        self.wall_ms += ms
        self.steady_ms += ms


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def measured(clock: EngineClock, machine: Machine, engine_ms: int) -> bool:
    """As `measure` does: the engine says its TIME."""
    sent = time.monotonic_ns()
    return clock.correct(engine_ms, sent, sent)


@pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS])
def test_a_step_of_wall_and_engine_clock_in_mid_window_moves_nothing(machine: Machine, step_ms: int) -> None:
    clock = EngineClock()
    assert measured(clock, machine, machine.wall_ms)
    opened_ms = clock.now_ms()
    window = after(on_air(), open_voting(90), opened_ms).window
    assert window is not None
    machine.run(60_000)
    machine.wall_ms += step_ms
    seen = []
    for second in range(1, 31):
        before_ms = clock.now_ms()
        machine.run(1_000)
        assert not measured(clock, machine, machine.wall_ms)
        now_ms = clock.now_ms()
        assert now_ms == opened_ms + 60_000 + second * 1_000
        seen += [tick.remaining for tick in ticks(window.closes_ms, before_ms, now_ms) if tick.countdown]
        assert close_due(window, now_ms) == (second == 30)
    assert seen == list(range(10, 0, -1))
    assert abs(clock.offset_ms) >= HOUR_MS - 1_000


def test_small_differences_are_approached_gently_and_time_never_goes_back(machine: Machine) -> None:
    clock = EngineClock()
    measured(clock, machine, machine.wall_ms + 40)
    assert clock.now_ms() == machine.wall_ms + 40
    last = clock.now_ms()
    for _ in range(100):
        measured(clock, machine, machine.wall_ms)
        assert clock.now_ms() >= last
        machine.run(10)
        last = clock.now_ms()
    assert abs(clock.now_ms() - machine.wall_ms) <= 1
