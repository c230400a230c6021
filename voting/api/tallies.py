"""The votes of a window as they stand, read from the engine at most once a second however many ask, and told only while
they are for everybody."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from broadcast_sync.bus.connect import VALKEY_ERRORS
from broadcast_sync.clock import Clock
from broadcast_sync.show.embargo import embargoed
from broadcast_sync.show.model import Stage
from broadcast_sync.wire.codecs import EXACT

FRESH_MS: Final = 1_000


class Gates(Protocol):
    """Whoever can read the shards' tallies."""

    async def tallies(self, window_id: str) -> dict[str, int]: ...
    async def votes_of(self, window_id: str, contestant_id: str) -> int: ...


class Tallies:
    """The votes of a stage's window by contestant, kept for a second. None while they are under an embargo, whoever
    asks, when the engine is away, and beyond what JavaScript can count (they are for display only)."""

    def __init__(self, gates: Gates, clock: Clock) -> None:
        self._gates = gates
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept: tuple[str, int, dict[str, int]] = ("", 0, {})

    async def of(self, stage: Stage) -> dict[str, int] | None:
        """Votes by contestant, at most a second old; contestants without votes are missing."""
        if stage.window is None or embargoed(stage):
            return None
        window_id = stage.window.window_id
        async with self._lock:
            kept_id, at_ms, counts = self._kept
            now_ms = self._clock.now_ms()
            if kept_id == window_id and 0 <= now_ms - at_ms < FRESH_MS:
                return counts
            try:
                counts = await self._gates.tallies(window_id)
            except VALKEY_ERRORS:
                return None
            if sum(counts.values()) > EXACT:
                return None
            self._kept = (window_id, now_ms, counts)
            return counts

    async def exactly(self, stage: Stage, contestant_id: str) -> int | None:
        """One contestant's votes of this moment, for whom has just voted for them."""
        if stage.window is None or embargoed(stage):
            return None
        try:
            votes = await self._gates.votes_of(stage.window.window_id, contestant_id)
        except VALKEY_ERRORS:
            return None
        return votes if votes <= EXACT else None
