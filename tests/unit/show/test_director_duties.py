from __future__ import annotations

from broadcast_sync.show.director import next_duty
from broadcast_sync.show.model import Stage
from broadcast_sync.show.orders import Certify, CloseByTimer, Warn
from tests.support.stages import NOW, after, on_air, open_voting, results_of


def test_nothing_to_do_without_a_window_in_progress() -> None:
    assert next_duty(Stage("default"), NOW, 2_000) is None
    assert next_duty(on_air(), NOW, 2_000) is None


def test_a_long_window_is_warned_of_closed_and_settled() -> None:
    stage = after(on_air(), open_voting(90))
    duty = next_duty(stage, NOW, 2_000)
    assert duty is not None and (duty.what, duty.at_ms) == ("warn", NOW + 30_000)
    stage = after(stage, Warn("w1"), NOW + 30_000)
    duty = next_duty(stage, NOW + 30_000, 2_000)
    assert duty is not None and (duty.what, duty.at_ms) == ("close", NOW + 90_000)
    stage = after(stage, CloseByTimer("w1"), NOW + 90_000)
    duty = next_duty(stage, NOW + 90_000, 2_000)
    assert duty is not None and (duty.what, duty.at_ms) == ("settle", NOW + 97_000)
    stage = after(stage, Certify(results_of("w1"), True), NOW + 97_000)
    assert next_duty(stage, NOW + 97_000, 2_000) is None


def test_a_short_window_is_only_closed() -> None:
    duty = next_duty(after(on_air(), open_voting(60)), NOW, 2_000)
    assert duty is not None and duty.what == "close"


def test_a_director_who_comes_late_warns_late_or_not_at_all() -> None:
    stage = after(on_air(), open_voting(90))
    late, too_late = next_duty(stage, NOW + 50_000, 0), next_duty(stage, NOW + 85_000, 0)
    assert late is not None and late.what == "warn"
    assert too_late is not None and too_late.what == "close"
