"""The bounded queue between the socket and whoever iterates over the messages.

Of a newest-only type the waiting message is replaced where it stands, so a slow reader never sees an old board
after a newer one. Everything else is kept in order. When there is no room all that waits is dropped, and what
comes too, until the reader is back: then `behind` is called, to bring it the whole state instead of what it missed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from broadcast_sync.wire.delivery import Delivery
from clients.python.messages import Message


class Inbox:
    """One reader, one writer, one event loop."""

    def __init__(self, most: int, behind: Callable[[], None]) -> None:
        self._most = most
        self._behind = behind
        self._overflowed = False
        self._waiting: deque[list[Message]] = deque()
        self._newest: dict[tuple[str, str | None], list[Message]] = {}
        self._reader: asyncio.Future[None] | None = None
        self._ended = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> bool:
        """Queues `message`; False if it was dropped, with all that waited, because the reader is too slow."""
        if self._overflowed:
            return False
        if message.delivery is Delivery.NEWEST_ONLY:
            key = (message.type, message.channel)
            if key in self._newest:
                self._newest[key][0] = message
                return True
        if len(self._waiting) >= self._most:
            self._overflowed = True
            self._waiting.clear()
            self._newest.clear()
            return False
        cell = [message]
        self._waiting.append(cell)
        if message.delivery is Delivery.NEWEST_ONLY:
            self._newest[key] = cell
        self._wake()
        return True

    def end(self) -> None:
        """Nothing more will come; the reader gets what waits, then None."""
        self._ended = True
        self._wake()

    async def get(self) -> Message | None:
        """The next message; None at the end."""
        if self._overflowed and not self._ended:
            self._overflowed = False
            self._behind()
        while not self._waiting:
            if self._ended:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        message = self._waiting.popleft()[0]
        if message.delivery is Delivery.NEWEST_ONLY:
            del self._newest[(message.type, message.channel)]
        return message

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
