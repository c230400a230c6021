"""What waits for a client that does not read: bounded, in order of arrival, old news replaced. PURE.

It holds something only while the transport is paused; an idle socket has none.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from broadcast_sync.wire.delivery import Delivery

Key: TypeAlias = "tuple[str | None, str]"
"""Channel and type of a newest-only message."""


class Outbox:
    """Frames in order of arrival. At most `max_messages` and `max_bytes`, or one message of any size.

    MUST_ARRIVE and REPLY are kept until popped. A NEWEST_ONLY message takes the place of an older one with the
    same key, at the end of the line, and makes room for the others when the bound is met.
    """

    __slots__ = ("_frames", "_max_bytes", "_max_messages", "_serial", "size")

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._frames: OrderedDict[int | Key, bytes] = OrderedDict()
        self._serial = 0
        self.size = 0
        """Bytes that wait."""

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, delivery: Delivery, key: Key, frame: bytes) -> bool:
        """Takes a frame. False if it must be kept and cannot be: the outbox has overflowed, nothing was taken.

        A NEWEST_ONLY message that does not fit is dropped, which is no overflow: a newer one will come.
        """
        if delivery is Delivery.NEWEST_ONLY:
            self._forget(key)
            if self._fits(frame):
                self._add(key, frame)
            return True
        if not self._fits(frame) and not self._make_room(frame):
            return False
        self._serial += 1
        self._add(self._serial, frame)
        return True

    def pop(self) -> bytes:
        """The frame that has waited longest. KeyError when empty."""
        _, frame = self._frames.popitem(last=False)
        self.size -= len(frame)
        return frame

    def _fits(self, frame: bytes) -> bool:
        count = len(self._frames)
        return count == 0 or (count < self._max_messages and self.size + len(frame) <= self._max_bytes)

    def _make_room(self, frame: bytes) -> bool:
        """Gives up newest-only messages, oldest first, if that is enough for `frame`; else touches nothing."""
        news = [(key, len(held)) for key, held in self._frames.items() if not isinstance(key, int)]
        count, size, given = len(self._frames), self.size, 0
        for _, length in news:
            count, size, given = count - 1, size - length, given + 1
            if count == 0 or (count < self._max_messages and size + len(frame) <= self._max_bytes):
                break
        else:
            return False
        for key, _ in news[:given]:
            self._forget(key)
        return True

    def _add(self, key: int | Key, frame: bytes) -> None:
        self._frames[key] = frame
        self.size += len(frame)

    def _forget(self, key: Key) -> None:
        old = self._frames.pop(key, None)
        if old is not None:
            self.size -= len(old)


class Progress:
    """Whether a client that does not keep up takes anything at all, by what its connection has not sent yet.

    What the server adds meanwhile (pings, pongs) hides as many bytes that were taken: a client that asks for more than
    it takes is making none.
    """

    __slots__ = ("_since", "_unsent")

    def __init__(self, unsent: int, now: float) -> None:
        self._unsent = unsent
        self._since = now

    def stuck_s(self, unsent: int, now: float) -> float:
        """Seconds for which nothing is known to have been taken; 0 if something was since the last look."""
        if unsent < self._unsent:
            self._since = now
        self._unsent = unsent
        return now - self._since
