"""Token buckets as one number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.hub.limits import Limit


def allowed(limit: Limit, times: list[float]) -> int:
    """How many of those at `times` are within the limit; refused ones are not counted against it."""
    level, count = 0.0, 0
    for now in times:
        after = limit.spend(level, now)
        if limit.excess(after, now) <= 0:
            level, count = after, count + 1
    return count


def test_a_burst_and_then_the_rate() -> None:
    limit = Limit(10, 5)
    assert allowed(limit, [100.0] * 20) == 5
    assert allowed(limit, [100.0] * 5 + [100.1, 100.1, 100.2]) == 7


def test_what_is_refused_counts_as_well() -> None:
    limit = Limit(10, 5)
    level = 0.0
    for _ in range(15):
        level = limit.spend(level, 50.0)
    assert limit.excess(level, 50.0) == pytest.approx(1.0)
    assert limit.excess(limit.spend(level, 50.9), 50.9) > 0
    assert limit.excess(limit.spend(level, 51.1), 51.1) <= 0


def test_cost() -> None:
    limit = Limit(1, 1)
    level = 0.0
    for _ in range(100):
        level = limit.spend(level, 0.0, 0.01)
    assert limit.excess(level, 0.0) <= 0
    assert limit.excess(limit.spend(level, 0.0, 0.01), 0.0) > 0


@pytest.mark.parametrize(("rate", "burst"), [(0, 5), (-1, 5), (1, 0)])
def test_a_limit_that_lets_nothing_through_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Limit(rate, burst)


@given(
    st.floats(0.1, 1000), st.integers(1, 100),
    st.lists(st.floats(0, 10), min_size=1, max_size=200).map(lambda gaps: [sum(gaps[:n]) for n in range(len(gaps))]),
)
def test_never_more_than_burst_plus_rate_in_any_stretch(rate: float, burst: int, times: list[float]) -> None:
    limit = Limit(rate, burst)
    assert allowed(limit, times) <= burst + rate * (times[-1] - times[0]) + 1e-3
