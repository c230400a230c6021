"""What a node refuses before the engine is asked: counted here, added to the window's counts in the engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final
from uuid import uuid4

import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.bus.scripts import Script

INTERVAL_S: Final = 0.5
"""How often they are added; well within the drain time after a window's hard close."""
KEPT_MS: Final = 30 * 86_400_000
WINDOWS_MAX: Final = 16
"""Windows whose counts wait for an engine that is away; beyond it the oldest is given up, and the log says so."""

_log = structlog.get_logger()


class Refusals:
    """Refused ballots by window and code. Every one is added exactly once to the window's counts of `keys`' shard,
    also when an answer of the engine is lost on the way: reports are numbered."""

    def __init__(self, client: Redis, keys: ShardKeys) -> None:
        """`client` stays the caller's."""
        self._client = client
        self._keys = keys
        self._node = uuid4().hex
        self._script = Script("voting.ballot", "count_refused")
        self._counts: dict[str, Counter[str]] = {}
        self._sending: tuple[int, str, Counter[str]] | None = None
        self._number = 0
        self._lock = asyncio.Lock()

    def count(self, window_id: str, code: str) -> None:
        """One ballot of a window was refused here."""
        counts = self._counts.get(window_id)
        if counts is None:
            if len(self._counts) >= WINDOWS_MAX:
                oldest = next(iter(self._counts))
                _log.error("refusals_given_up", window=oldest, refused=dict(self._counts.pop(oldest)))
            counts = self._counts[window_id] = Counter()
        counts[code] += 1

    async def flush(self) -> None:
        """Returns when all that was counted before is in the engine. Engine errors pass through; what was under way is
        sent again by the next flush."""
        async with self._lock:
            while self._sending or self._counts:
                if self._sending is None:
                    self._number += 1
                    window_id = next(iter(self._counts))
                    self._sending = self._number, window_id, self._counts.pop(window_id)
                number, window_id, counts = self._sending
                said = [word for code, ballots in counts.items() for word in (code, ballots)]
                keys = self._keys.refused(window_id), self._keys.refusers(window_id)
                await self._script(self._client, keys, (self._node, number, KEPT_MS, *said))
                self._sending = None

    async def run(self) -> None:
        """Flushes now and then, until cancelled; through an outage the counts wait."""
        while True:
            heed_cancellation()
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.flush()
            except VALKEY_ERRORS:
                pass  # the batchers and the mirror report the engine; the next round sends again
