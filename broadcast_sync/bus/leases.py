"""Leases: which one node holds a role (director, a shard's writer) at a time.

A lease lives in Valkey for `ttl_ms` and is renewed three times within its life; who waits for it looks six times, so a
dead holder has a successor after 7/6 of it at most, even if the engine's clock is set back. The holder judges `held` by
its own monotonic clock from the moment it *asked*, less a margin, so it is over for the holder before another can have
it; except that an engine whose clock is set forward may give it away a third of its life too early. The fencing number
grows with each change of holder: what is committed under a lease is compared by it. An outage of the engine ends every
lease: fails closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.scripts import Script

log = structlog.get_logger()

_TAKE: Final = Script("broadcast_sync.bus", "lease_take")
_RELEASE: Final = Script("broadcast_sync.bus", "lease_release")
MARGIN: Final = 0.1
"""The part of its life by which a lease ends earlier for its holder: what two clocks may drift meanwhile."""


class Lease:
    """One role's lease as one node sees it. `holder` must be unique to the process. The client is the caller's."""

    def __init__(
        self, client: Redis, key: str, holder: str, ttl_ms: int = 2000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key: Final = key
        self.holder: Final = holder
        self._client = client
        self._ttl_s = ttl_ms / 1000
        self._monotonic = monotonic
        self._until = 0.0
        self._token = 0
        self._taken = asyncio.Event()
        self._beat = b""
        self._beat_since = 0.0

    @property
    def held(self) -> bool:
        """True while the role is this node's; false before any other node can have it."""
        return self._monotonic() < self._until

    @property
    def token(self) -> int:
        """The fencing number of the current or last holding; 0 before the first."""
        return self._token

    async def run(self) -> None:
        """Takes the lease whenever it is free and renews it, until cancelled. Engine errors are survived."""
        down = False
        while True:
            heed_cancellation()
            was_held = self.held
            try:
                await self._take()
                if down:
                    down = False
                    log.info("lease_engine_back", key=self.key)
            except VALKEY_ERRORS as error:
                if not down:
                    down = True
                    log.warning("lease_engine_lost", key=self.key, error=str(error))
            if was_held and not self.held:
                log.warning("lease_lost", key=self.key, token=self._token)
            await asyncio.sleep(self._ttl_s / (10 if down else 3 if self.held else 6))

    async def wait_held(self) -> None:
        """Returns when the lease is held."""
        while not self.held:
            self._taken.clear()
            await self._taken.wait()

    async def wait_lost(self) -> None:
        """Returns when the lease is no longer held, at latest when its own clock says so."""
        while (left := self._until - self._monotonic()) > 0:  # noqa: ASYNC110 - a lease ends by the clock, not by an event
            await asyncio.sleep(left)

    async def release(self) -> None:
        """Gives the lease up at once, so that another node need not wait for its end. Engine errors are logged:
        the lease then simply runs out. End `run` before, or it takes the lease again."""
        if not self.held:
            return
        self._until = 0.0
        try:
            async with asyncio.timeout(self._ttl_s):
                await _RELEASE(self._client, [self.key], [self.holder])
        except VALKEY_ERRORS as error:
            log.info("lease_left_to_expire", key=self.key, error=str(error))

    async def _take(self) -> None:
        asked = self._monotonic()
        async with asyncio.timeout(self._ttl_s / 3):
            token, beat = await _TAKE(
                self._client, [self.key, f"{self.key}:fence"],
                [self.holder, int(self._ttl_s * 1000), self._beat if self._stopped(asked) else b""],
            )
        if beat != self._beat:
            self._beat, self._beat_since = beat, self._monotonic()
        if token == 0:
            self._until = 0.0
            return
        until = asked + self._ttl_s * (1 - MARGIN)
        if until <= self._monotonic():
            return
        if token != self._token:
            log.info("lease_taken", key=self.key, token=token)
        self._token, self._until = token, until
        self._taken.set()

    def _stopped(self, now: float) -> bool:
        """Whether the holder has left no beat for a whole life."""
        return self._beat != b"" and now - self._beat_since >= self._ttl_s
