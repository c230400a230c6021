"""PURE: the samples of a window's counts that changes, trends and recent votes are read from; a bounded ring.

Each sample is also kept in the engine, as the bytes that `Sample.pack` makes, so that a new director carries on with
the history instead of starting blind.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

SPAN_MS: Final = 600_000
"""What a trend looks back on: five minutes, and the five before them."""
STEP_MS: Final = 5_000
"""The distance of two samples at least, so that a ring holds at most SAMPLES of them."""
SAMPLES: Final = SPAN_MS // STEP_MS + 2


class Sample(Struct, frozen=True):
    """The votes of each contestant, in the order of the line-up, at a moment (Unix milliseconds)."""

    at_ms: int
    counts: Sequence[int]

    def pack(self) -> bytes:
        """MessagePack: moment, count, count, ..."""
        return msgspec.msgpack.encode([self.at_ms, *self.counts])

    @classmethod
    def unpack(cls, data: bytes) -> Sample:
        """From what `pack` made. Raises ValueError for anything else."""
        try:
            at_ms, *counts = _numbers.decode(data)
            return cls(at_ms, array("q", counts))
        except (msgspec.MsgspecError, OverflowError) as error:
            raise ValueError(f"no sample: {error}") from None


_numbers: Final = msgspec.msgpack.Decoder(list[int])


class History:
    """One window's samples, of `size` contestants. When the first is fed within `STEP_MS` of the opening, the zero at
    the opening is known as well."""

    def __init__(self, opens_ms: int, size: int) -> None:
        self._opens_ms = opens_ms
        self._size = size
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)

    def restore(self, samples: Sequence[Sample]) -> int:
        """Takes what another director has left, oldest first, and says how much of it fits: of this window's line-up,
        since its opening, each later than the one before. Only before the first sample of its own."""
        for sample in samples:
            last_ms = self._samples[-1].at_ms if self._samples else self._opens_ms - 1
            if len(sample.counts) == self._size and sample.at_ms > last_ms:
                self._samples.append(sample)
        return len(self._samples)

    def feed(self, at_ms: int, counts: Sequence[int]) -> list[Sample]:
        """Takes a sample, if the last one is `STEP_MS` old. Fed each second; returns what is new in the ring."""
        new = []
        if not self._samples and 0 < at_ms - self._opens_ms <= STEP_MS:
            new.append(Sample(self._opens_ms, array("q", bytes(8 * self._size))))
        last = new or self._samples
        if not last or at_ms - last[-1].at_ms >= STEP_MS:
            new.append(Sample(at_ms, array("q", counts)))
        self._samples.extend(new)
        return new

    def at(self, at_ms: int) -> Sample | None:
        """The last sample not later than `at_ms`; None if the ring does not reach back so far. Before the opening it is
        the zero at the opening, where that is known."""
        index = bisect_right(self._samples, at_ms, key=lambda sample: sample.at_ms)
        if index:
            return self._samples[index - 1]
        known_from_start = bool(self._samples) and self._samples[0].at_ms == self._opens_ms
        return self._samples[0] if known_from_start else None

    def __len__(self) -> int:
        return len(self._samples)
