"""PURE: the samples of a window's counts that trends and recent votes are read from; a bounded ring."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

SPAN_MS: Final = 600_000
"""What a trend looks back on: five minutes, and the five before them."""
STEP_MS: Final = 5_000
"""The distance of two samples at least, so that a ring holds at most SPAN_MS / STEP_MS + 2 of them."""


class Sample(NamedTuple):
    """Votes by contestant at a moment (Unix milliseconds); a contestant without votes may be missing."""

    at_ms: int
    counts: Mapping[str, int]


class History:
    """One window's samples. When the first is fed within `STEP_MS` of the opening, the zero at the opening is known
    as well; a director that takes over later starts with what it sees."""

    def __init__(self, opens_ms: int) -> None:
        self._opens_ms = opens_ms
        self._samples: deque[Sample] = deque(maxlen=SPAN_MS // STEP_MS + 2)

    def feed(self, at_ms: int, counts: Mapping[str, int]) -> None:
        """Takes a sample, if the last one is `STEP_MS` old. Fed each second."""
        if not self._samples and at_ms - self._opens_ms <= STEP_MS:
            self._samples.append(Sample(self._opens_ms, {}))
        if not self._samples or at_ms - self._samples[-1].at_ms >= STEP_MS:
            self._samples.append(Sample(at_ms, dict(counts)))

    def at(self, at_ms: int) -> Mapping[str, int] | None:
        """The counts at the last sample not later than `at_ms`; None if the ring does not reach back so far."""
        index = bisect_right(self._samples, at_ms, key=lambda sample: sample.at_ms)
        if index:
            return self._samples[index - 1].counts
        known_from_start = bool(self._samples) and self._samples[0].at_ms == self._opens_ms
        return {} if known_from_start else None

    def __len__(self) -> int:
        return len(self._samples)
