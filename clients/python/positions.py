"""Where the client is in each channel, so that nothing arrives twice and a reconnect asks only for the rest. Pure."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from broadcast_sync.wire.client import Position


class _Place(Struct):
    epoch: str
    offset: int
    snapshot: bool
    """True until a message beyond `offset` comes: those of a snapshot carry offsets at or below it."""


class Positions:
    """The last offset of each channel."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._resuming: set[str] = set()

    def resume(self, channels: Collection[str]) -> None:
        """A new connection begins. It greets with a snapshot, but what a channel missed comes only after SUBSCRIBED:
        until then nothing of it is taken, so that the rest arrives in order. Other channels are forgotten."""
        self._places = {name: place for name, place in self._places.items() if name in channels}
        self._resuming = set(self._places)

    def since(self) -> dict[str, Position]:
        """What SUBSCRIBE says."""
        return {channel: Position(place.epoch, place.offset) for channel, place in self._places.items()}

    def subscribed(self, channel: str, epoch: str, offset: int, *, recovered: bool) -> None:
        """SUBSCRIBED arrived: unless the rest follows, a snapshot that stands for this position does."""
        self._resuming.discard(channel)
        if not recovered:
            self._places[channel] = _Place(epoch, offset, True)

    def is_new(self, channel: str, epoch: str, offset: int) -> bool:
        """False for a message that was here before; else the position moves to it. Another epoch is a new count."""
        if channel in self._resuming:
            return False
        place = self._places.get(channel)
        if place is not None and place.epoch == epoch and offset <= place.offset:
            return place.snapshot
        self._places[channel] = _Place(epoch, offset, False)
        return True

    def forget(self) -> None:
        """The next SUBSCRIBE gets snapshots."""
        self._places.clear()
        self._resuming.clear()

    @property
    def resuming(self) -> bool:
        """True while some channel waits for its SUBSCRIBED."""
        return bool(self._resuming)
