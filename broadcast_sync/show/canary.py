"""The canary: a word published through Valkey each second that has to come back on the mirror's own subscription.

It carries the position that the store had before it was published. A subscription gets what is published in order, so
whoever hears the word must have every event up to that position; one that is missing was lost on the way.
"""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import uuid4

import msgspec
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import Clock
from broadcast_sync.show.store import StageStore
from broadcast_sync.wire.client import Position

INTERVAL_S: Final = 1.0
LATE_MS: Final = 5_000

_position = msgspec.json.Decoder(Position)


class Canary:
    """`alive` while a word of ours was heard within the last `LATE_MS`; `/readyz` is green only then, so a node that
    cannot hear the show takes itself out of the balancer. The client is the caller's."""

    def __init__(self, client: Redis, keys: StageKeys, store: StageStore, clock: Clock) -> None:
        self.channel: Final = f"{keys.canary_channel}:{uuid4().hex}"
        """Where it sings: nobody else does, so nobody else's word is taken for ours."""
        self._client = client
        self._store = store
        self._clock = clock
        self._heard_ms = 0

    @property
    def alive(self) -> bool:
        return self._clock.now_ms() - self._heard_ms <= LATE_MS

    async def sing(self) -> None:
        """Sings until cancelled; outages show in `alive` and nowhere else."""
        while True:
            heed_cancellation()
            try:
                stage = await self._store.load()
                word = msgspec.json.encode(Position(stage.epoch, stage.offset))
                await self._client.publish(self.channel, word)
            except VALKEY_ERRORS:
                pass  # fails closed: `alive` turns false, and the mirror has logged the outage
            await asyncio.sleep(INTERVAL_S if self._heard_ms else 0.05)

    def heard(self, word: bytes) -> Position:
        """A word has come back; the position it carries. Raises msgspec.DecodeError if it is none of ours."""
        position = _position.decode(word)
        self._heard_ms = self._clock.now_ms()
        return position
