"""The canary: a word published through Valkey each second that has to come back on this node's own subscription.

`/readyz` is green only while it does, so a node that cannot hear the show takes itself out of the balancer.
"""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.pubsub import Payload, Subscription
from broadcast_sync.clock import Clock

INTERVAL_S: Final = 1.0
LATE_MS: Final = 5_000


class Canary:
    """`alive` while a word of ours came back within the last `LATE_MS`. The client is the caller's."""

    def __init__(self, client: Redis, channel: str, node: str, clock: Clock) -> None:
        self._client = client
        self._channel = f"{channel}:{node}"
        self._clock = clock
        self._heard_ms = 0

    @property
    def alive(self) -> bool:
        return self._clock.now_ms() - self._heard_ms <= LATE_MS

    async def run(self) -> None:
        """Runs until cancelled; outages show in `alive` and nowhere else."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._sing())

    async def _listen(self) -> None:
        async for report in Subscription(self._client, (self._channel,)).reports():
            if isinstance(report, Payload):
                self._heard_ms = self._clock.now_ms()

    async def _sing(self) -> None:
        while True:
            heed_cancellation()
            try:
                await self._client.publish(self._channel, b"tweet")
            except VALKEY_ERRORS:
                pass  # fails closed: `alive` turns false, and the mirror has logged the outage
            await asyncio.sleep(INTERVAL_S if self._heard_ms else 0.05)
