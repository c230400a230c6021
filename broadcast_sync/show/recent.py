"""The last must-arrive events of a channel, contiguous, for those who come back. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from broadcast_sync.wire.prepared import Prepared


class Recent:
    """At most `size` events up to `offset` of `epoch`; the oldest make room for new ones."""

    def __init__(self, size: int = 256) -> None:
        self.size = size
        self.epoch = ""
        self.offset = 0
        self._events: deque[Prepared] = deque(maxlen=size)

    def reset(self, epoch: str, offset: int, events: Iterable[Prepared] = ()) -> None:
        """Starts again at a known position; of `events` those are kept that lead up to it without a gap."""
        self.epoch, self.offset = epoch, offset
        self._events.clear()
        expected = offset
        kept: deque[Prepared] = deque(maxlen=self.size)
        for event in sorted(events, key=lambda event: event.offset or 0, reverse=True):
            if event.offset != expected or event.epoch != epoch:
                break
            kept.appendleft(event)
            expected -= 1
        self._events.extend(kept)

    def append(self, event: Prepared) -> None:
        """The next event. Raises ValueError if it is not the one after `offset`."""
        if event.epoch != self.epoch or event.offset != self.offset + 1:
            raise ValueError(f"{event.epoch}/{event.offset} does not follow {self.epoch}/{self.offset}")
        self.offset += 1
        self._events.append(event)

    def since(self, epoch: str, offset: int) -> list[Prepared] | None:
        """Everything after `offset`, in order; None if that is not known: another epoch, too long ago, or a
        position this node has not come to."""
        missed = self.offset - offset
        if epoch != self.epoch or not 0 <= missed <= len(self._events):
            return None
        return list(self._events)[len(self._events) - missed:]
