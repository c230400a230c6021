"""Who is subscribed to what, and how far each has been served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from broadcast_sync.hub.session import Session

SHOW: Final = "show"
RESULTS: Final = "results"
CONTROL: Final = "control"

_CONTESTANT: Final = re.compile(r"contestant:[^\s\x00-\x1f\x7f]{1,64}")

Place: TypeAlias = "tuple[str, int]"
"""Epoch and offset. One tuple is shared by all sessions that were served the same message."""


def is_public(name: str) -> bool:
    """True for the channels that anybody may subscribe to."""
    return name == SHOW or name == RESULTS or _CONTESTANT.fullmatch(name) is not None


class Channel:
    """The subscribers of one channel, in order of joining."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[Session, None] = {}


class Channels:
    """All channels somebody is subscribed to; a channel without subscribers costs nothing.

    What a session has been given of a channel stands in `session.channels`.
    """

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self.departures = 0
        """Grows whenever somebody leaves a channel but stays connected."""

    def get(self, name: str) -> Channel | None:
        return self._channels.get(name)

    def join(self, session: Session, name: str, place: Place) -> None:
        """Subscribes, or moves a subscriber to `place`: it gets every message beyond it, and none before."""
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel()
        channel.members[session] = None
        session.channels[name] = place

    def leave(self, session: Session, name: str) -> None:
        """Does nothing if it was not subscribed."""
        if session.channels.pop(name, None) is not None:
            self.departures += 1
            self._remove(session, name)

    def forget(self, session: Session) -> None:
        """Takes a session that has closed out of all its channels."""
        for name in session.channels:
            self._remove(session, name)
        session.channels.clear()

    def _remove(self, session: Session, name: str) -> None:
        channel = self._channels[name]
        del channel.members[session]
        if not channel.members:
            del self._channels[name]

    def counts(self) -> dict[str, int]:
        """Subscribers by channel; all contestants' channels together as `contestant`."""
        found: dict[str, int] = {}
        for name, channel in self._channels.items():
            kind = name.partition(":")[0]
            found[kind] = found.get(kind, 0) + len(channel.members)
        return found
