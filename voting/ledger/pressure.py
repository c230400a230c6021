"""Back-pressure: what waits in the vote streams for the ledger, against the memory they may take.

While PostgreSQL is down votes wait in the streams. At half of the budget this is an alarm; at nine tenths ballots are
refused with TRY_AGAIN, so that the engine never runs out of memory: a vote that was acknowledged is never lost. It is
over by itself once the writers have caught up to four fifths.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal

import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import ShardKeys
from voting.ledger.metrics import STREAM_BUDGET, STREAM_BYTES, STREAM_STATE

Level = Literal["OK", "ALARM", "FULL"]

INTERVAL_S: Final = 1.0
ALARM: Final = 0.5
FULL: Final = 0.9
AGAIN: Final = 0.8
"""Below this share a stream that was full takes ballots again."""
SAMPLES: Final = 16
"""Stream nodes that MEMORY USAGE looks at; it multiplies the rest."""

log = structlog.get_logger()


def level(share: float, before: Level) -> Level:
    """PURE. The state at `share` of the budget, coming from `before`."""
    if share >= FULL or (before == "FULL" and share >= AGAIN):
        return "FULL"
    return "ALARM" if share >= ALARM else "OK"


class StreamPressure:
    """One node's view of all shards' streams, a second old at most. Each node looks for itself, so no message can be
    missed. An outage of Valkey leaves the last state: ballots fail there anyway."""

    def __init__(self, client: Redis, organisation: str, shards: int, budget_mb: int) -> None:
        self.level: Level = "OK"
        self.share = 0.0
        """Bytes of all streams as a share of the budget; above 1.0 when more arrived within a second than was left."""
        self._client = client
        self._streams = [ShardKeys(organisation, shard).stream for shard in range(shards)]
        self._budget = budget_mb * 1024 * 1024
        self._labels = (organisation,)
        STREAM_BUDGET.labels(*self._labels).set(self._budget)

    @property
    def full(self) -> bool:
        """True while ballots must be refused."""
        return self.level == "FULL"

    async def run(self) -> None:
        """Looks about once a second, until cancelled."""
        while True:
            heed_cancellation()
            try:
                await self.look()
            except VALKEY_ERRORS:
                pass  # the mirror has logged the outage; the last state stands
            await asyncio.sleep(INTERVAL_S)

    async def look(self) -> None:
        """One look. Engine errors pass through."""
        used = 0
        for stream in self._streams:
            # a stream that has been trimmed to nothing still has the size of its last node
            if await self._client.xlen(stream):
                used += await self._client.memory_usage(stream, SAMPLES) or 0
        self.share = used / self._budget
        found = level(self.share, self.level)
        STREAM_BYTES.labels(*self._labels).set(used)
        STREAM_STATE.labels(*self._labels).set({"OK": 0, "ALARM": 1, "FULL": 2}[found])
        if found != self.level:
            self._say(found, used)
        self.level = found

    def _say(self, found: Level, used: int) -> None:
        say = {"OK": log.info, "ALARM": log.error, "FULL": log.critical}[found]
        share = round(self.share, 3)
        say("ledger_streams", state=found, before=self.level, bytes=used, budget=self._budget, share=share)
