"""The newest stage a node knows: what the bus has told, or what it has committed or read itself since."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from broadcast_sync.show.model import Stage


class StageFeed(Protocol):
    """A live copy of the stage: the mirror."""

    stage: Stage

    async def wait_change(self, seen: Stage) -> None: ...


class Fresh:
    """`feed` is the caller's."""

    def __init__(self, feed: StageFeed) -> None:
        self._feed = feed
        self._own: Stage | None = None

    @property
    def fed(self) -> Stage:
        """The feed's stage; what `wait_change` takes."""
        return self._feed.stage

    @property
    def stage(self) -> Stage:
        """The feed's stage, or a newer one of the same epoch that was noted."""
        fed, own = self._feed.stage, self._own
        return own if own is not None and own.epoch == fed.epoch and own.revision > fed.revision else fed

    def note(self, stage: Stage) -> None:
        """`stage` has been read from the store, or committed to it."""
        self._own = stage

    async def wait_change(self, seen: Stage) -> None:
        """Returns when the feed's stage is no longer `seen`."""
        await self._feed.wait_change(seen)

    async def wait_change_or(self, seen: Stage, wait_s: float) -> None:
        """The same, or after `wait_s` at the latest."""
        # not wait_for: in Python 3.11 it may swallow a cancellation that meets the change
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._feed.wait_change(seen)
