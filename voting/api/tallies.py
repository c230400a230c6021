"""The votes of a window as they stand, read from the engine at most once a second however many ask."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from broadcast_sync.bus.connect import VALKEY_ERRORS
from broadcast_sync.clock import Clock

FRESH_MS: Final = 1_000


class Gates(Protocol):
    """Whoever can read the shards' tallies."""

    async def tallies(self, window_id: str) -> dict[str, int]: ...
    async def votes_of(self, window_id: str, contestant_id: str) -> int: ...


class Tallies:
    """One window's votes by contestant, kept for a second. An engine that is away brings None (for display only)."""

    def __init__(self, gates: Gates, clock: Clock) -> None:
        self._gates = gates
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept: tuple[str, int, dict[str, int]] = ("", 0, {})

    async def of(self, window_id: str) -> dict[str, int] | None:
        """Votes by contestant, at most a second old; contestants without votes are missing."""
        async with self._lock:
            kept_id, at_ms, counts = self._kept
            now_ms = self._clock.now_ms()
            if kept_id == window_id and now_ms - at_ms < FRESH_MS:
                return counts
            try:
                counts = await self._gates.tallies(window_id)
            except VALKEY_ERRORS:
                return None
            self._kept = (window_id, now_ms, counts)
            return counts

    async def exactly(self, window_id: str, contestant_id: str) -> int | None:
        """One contestant's votes of this moment, for whom has just voted for them."""
        try:
            return await self._gates.votes_of(window_id, contestant_id)
        except VALKEY_ERRORS:
            return None
