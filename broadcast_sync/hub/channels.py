"""Who is subscribed to what, and how far each has been served."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from broadcast_sync.wire.formats import Format
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.visibility import is_beside

SHOW: Final = "show"
RESULTS: Final = "results"
CONTROL: Final = "control"

_CONTESTANT: Final = re.compile(r"contestant:[^\s\x00-\x1f\x7f]{1,64}")

Place: TypeAlias = "tuple[str, int]"
"""Epoch and offset. One tuple is shared by all sessions that were served the same message."""


class Member(Protocol):
    """Whoever subscribes: a session, or one of several subscriptions of a session."""

    channels: dict[str, Place]
    """Channels subscribed to, each with the last position given. `Channels` keeps it."""

    @property
    def acked(self) -> Place | None:
        """How far in channel `show` its client says it has got; None if it has not said."""
        ...
    @property
    def format(self) -> Format: ...
    @property
    def ready(self) -> bool:
        """True while a frame may go straight to `write`."""
        ...
    @property
    def write(self) -> Callable[[bytes], None]: ...
    def send(self, prepared: Prepared) -> None:
        """Sends by delivery class, whether the client reads or not."""
        ...
    def sees_counts(self) -> bool:
        """Whether it may be sent, at this moment, what is for screens and the control room alone."""
        ...
    def close(self, code: int, reason: str = "") -> None:
        """Closes the socket with a code of the table."""
        ...


def is_public(name: str) -> bool:
    """True for the channels that anybody may subscribe to."""
    return name == SHOW or name == RESULTS or _CONTESTANT.fullmatch(name) is not None


class Channel:
    """The subscribers of one channel, in order of joining."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[Member, None] = {}


class Channels:
    """All channels somebody is subscribed to; a channel without subscribers costs nothing.

    What a member has been given of a channel stands in its `channels`.
    """

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self.departures = 0
        """Grows whenever somebody leaves a channel but stays connected."""

    def get(self, name: str) -> Channel | None:
        return self._channels.get(name)

    def join(self, member: Member, name: str, place: Place) -> None:
        """Subscribes, or moves a subscriber to `place`: it gets every message beyond it, and none before."""
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel()
        channel.members[member] = None
        member.channels[name] = place

    def leave(self, member: Member, name: str) -> None:
        """Does nothing if it was not subscribed."""
        if member.channels.pop(name, None) is not None:
            self.departures += 1
            self._remove(member, name)

    def forget(self, member: Member) -> None:
        """Takes a member whose socket has closed out of all its channels."""
        for name in member.channels:
            self._remove(member, name)
        member.channels.clear()

    def _remove(self, member: Member, name: str) -> None:
        channel = self._channels[name]
        del channel.members[member]
        if not channel.members:
            del self._channels[name]

    def counts(self) -> dict[str, int]:
        """Subscribers by channel; all contestants' channels together as `contestant`. Who is beside one is counted on
        it."""
        found: dict[str, int] = {}
        for name, channel in self._channels.items():
            if is_beside(name):
                continue
            kind = name.partition(":")[0]
            found[kind] = found.get(kind, 0) + len(channel.members)
        return found
