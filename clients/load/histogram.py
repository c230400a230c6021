"""Latencies in logarithmic buckets of at most 1.6 % width, after Gil Tene's HdrHistogram. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_FINE: Final = 128
_SIZE: Final = 64 * 34
"""Enough for a day in microseconds; what is longer counts as the longest."""


class Histogram:
    """Counts of durations in microseconds. `counts` may be added to another's."""

    __slots__ = ("counts", "total")

    def __init__(self, counts: Iterable[int] = ()) -> None:
        self.counts = list(counts) or [0] * _SIZE
        self.total = sum(self.counts)

    def add(self, micros: int) -> None:
        """Counts one duration; a negative one counts as 0."""
        if micros < _FINE:
            index = micros if micros > 0 else 0
        else:
            shift = micros.bit_length() - 7
            index = shift * 64 + (micros >> shift)
            if index >= _SIZE:
                index = _SIZE - 1
        self.counts[index] += 1
        self.total += 1

    def merge(self, counts: Iterable[int]) -> None:
        """Takes the counts of another in."""
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, counts, strict=True)]
        self.total = sum(self.counts)

    def percentile_ms(self, percent: float) -> float | None:
        """The duration in milliseconds that `percent` of all do not exceed, at most 1.6 % too high; None of none."""
        if self.total == 0:
            return None
        wanted = max(1, -(-self.total * percent // 100))
        seen = 0
        for index, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                return _upper(index) / 1000.0
        raise AssertionError("unreachable: the counts add up to total")


def _upper(index: int) -> int:
    """The longest duration of a bucket, in microseconds."""
    if index < _FINE:
        return index
    shift = index // 64 - 1
    return ((index - shift * 64 + 1) << shift) - 1
