"""The identifiers in use on the cable, one format each. PURE.

Most sockets of an app use the same few identifiers; some apps write the user into it, so that no two are the same, and
a hostile client makes up its own. So only identifiers that many use have their frames kept and compressed, and only so
many of them; all others cost their own sockets a little more each message, and nobody else anything.
"""

from __future__ import annotations

from typing import Final

from broadcast_sync.wire.cable import Addressed
from broadcast_sync.wire.deflate import Deflate

SHARED_FROM: Final = 8
"""Subscriptions from which on an identifier's frames are worth keeping."""
SHARED_MOST: Final = 256
"""Identifiers at a time whose frames are kept. Who has a place keeps it until the last subscription has gone."""


class Addresses:
    """`take` the format of an identifier for each subscription, and `release` it when the subscription ends."""

    def __init__(self, deflate: Deflate | None) -> None:
        self._deflate = deflate
        self._formats: dict[tuple[str, bool], Addressed] = {}
        self._uses: dict[Addressed, int] = {}
        self._shared = 0

    def __len__(self) -> int:
        return len(self._formats)

    def take(self, identifier: str, agreed: bool) -> Addressed:
        """The format of sockets that have `agreed` on compression, or of those that have not."""
        format = self._formats.get((identifier, agreed))
        if format is None:
            format = self._formats[identifier, agreed] = Addressed(identifier, self._deflate if agreed else None)
        uses = self._uses[format] = self._uses.get(format, 0) + 1
        if uses >= SHARED_FROM and not format.shared and self._shared < SHARED_MOST:
            format.shared = True
            self._shared += 1
        return format

    def release(self, format: Addressed, agreed: bool) -> None:
        self._uses[format] -= 1
        if self._uses[format] == 0:
            del self._uses[format]
            del self._formats[format.identifier, agreed]
            self._shared -= format.shared
