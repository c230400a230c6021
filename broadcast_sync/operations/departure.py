"""When a node leaves: what SIGINT and SIGTERM ask for, and whether the show lets it.

SIGINT, Ctrl-C at a terminal, stops at once. SIGTERM, a deploy, drains: but not while a voting window is open, when
voters would lose their sockets in the minutes that count. The node goes on as if nothing had been asked, and drains
once the window has closed and its result is in. A second SIGTERM goes one step further: it drains all the same, or
ends a drain that is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from broadcast_sync.show.model import Stage

VOTING: Final = frozenset({"OPEN", "CLOSING"})

_log = structlog.get_logger()


class StageFeed(Protocol):
    """A live copy of the stage: the mirror."""

    stage: Stage

    async def wait_change(self, seen: Stage) -> None: ...


class Departure:
    """`terminate` and `interrupt` may be called at any time, from the loop's thread, and before there is a stage.

    `force`: an open window holds up no drain. `gentle` false: SIGTERM is SIGINT. `say` tells a person at the terminal.
    """

    def __init__(self, say: Callable[[str], None], *, force: bool = False, gentle: bool = True) -> None:
        self._say = say
        self._force = force
        self._gentle = gentle
        self._asked = 0
        self._now = asyncio.Event()
        self._changed = asyncio.Event()
        self.draining = False
        """True from the beginning of a drain."""

    def terminate(self) -> None:
        """SIGTERM."""
        self._asked += 1
        if not self._gentle or self.draining:
            self._now.set()
        self._changed.set()

    def interrupt(self) -> None:
        """SIGINT."""
        self._now.set()
        self._changed.set()

    async def decided(self, feed: StageFeed) -> bool:
        """Returns when the node is to leave: true if by a drain, false if at once."""
        refused = False
        while True:
            stage = feed.stage
            if self._now.is_set():
                return False
            if self._asked and (self._force or self._asked > 1 or stage.voting not in VOTING):
                self.draining = True
                return True
            if self._asked and not refused:
                refused = True
                self._refuse(stage)
            self._changed.clear()
            await _first(self._changed.wait(), feed.wait_change(stage))

    async def at_once(self) -> None:
        """Returns when the drain under way is to be cut short."""
        await self._now.wait()

    def _refuse(self, stage: Stage) -> None:
        window = stage.window.window_id if stage.window else None
        _log.warning("drain_refused", voting=stage.voting, window_id=window)
        self._say(
            "SIGTERM while voting is open: this node goes on until the window is closed and counted, then drains. "
            "Send it again to drain now."
        )


async def _first(*these: Awaitable[object]) -> None:
    """Returns when one of them has."""
    tasks = [asyncio.ensure_future(one) for one in these]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
