"""One node's subscription: the payloads of its channels in order, over one connection that is replaced when it dies.

Pub/sub forgets what it cannot deliver, so whoever reads here must make good what was missed when `Connected` is
reported: it comes after the subscription stands and before any payload of it. A dead connection is noticed within
two ping intervals; a dead subscription on a living connection by who expects a payload now and then (`silence_s`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as EngineConnectionError

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation

log = structlog.get_logger()

BACKOFF_S: Final = (0.05, 1.0)
"""The first and the longest wait before connecting again; each wait is drawn from its upper half."""


class Connected(Struct, frozen=True):
    """The subscription stands; what was published before it is not going to be seen here."""


class Disconnected(Struct, frozen=True):
    """The connection is gone; reported once, then connecting goes on until the next `Connected`."""

    reason: str


class Payload(Struct, frozen=True):
    """One message of a channel."""

    channel: str
    body: bytes


Report = Connected | Disconnected | Payload


class Subscription:
    """A reader of `channels`. The client is the caller's; one connection of its pool is taken while reading. Where no
    payload for `silence_s` means that something is wrong (None: it never does), the connection is replaced then."""

    def __init__(
        self, client: Redis, channels: tuple[str, ...], *, ping_s: float = 0.9, silence_s: float | None = None
    ) -> None:
        self._client = client
        self._channels = channels
        self._ping_s = ping_s
        self._silence_s = silence_s

    async def reports(self) -> AsyncGenerator[Report, None]:
        """Endless. Engine errors become `Disconnected`; connecting is tried again with bounded backoff and jitter."""
        failures, connected = 0, False
        while True:
            try:
                async with aclosing(self._connection()) as connection:
                    async for report in connection:
                        if isinstance(report, Connected):
                            failures, connected = 0, True
                        yield report
            except VALKEY_ERRORS as error:
                if connected or failures == 0:
                    log.warning("subscription_lost", error=str(error), channels=self._channels)
                    yield Disconnected(str(error))
                connected = False
                first, longest = BACKOFF_S
                failures += 1
                await asyncio.sleep(min(longest, first * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))

    async def _connection(self) -> AsyncGenerator[Report, None]:
        """One connection's life; ends by an engine error."""
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(*self._channels)
            standing, asked, heard = 0, False, time.monotonic()
            while True:
                heed_cancellation()
                if pubsub.connection is not None and pubsub.connection.should_reconnect():
                    raise EngineConnectionError("the engine has failed over")
                if self._silence_s is not None and time.monotonic() - heard > self._silence_s:
                    raise EngineConnectionError(f"no payload for {self._silence_s:.1f} s")
                message: dict[str, Any] | None = await pubsub.get_message(timeout=self._ping_s)
                if message is None:
                    if asked or standing < len(self._channels):
                        raise EngineConnectionError(f"silent for {2 * self._ping_s:.1f} s")
                    await pubsub.ping()
                    asked = True
                    continue
                asked = False
                if message["type"] == "subscribe":
                    standing += 1
                    if standing == len(self._channels):
                        yield Connected()
                elif message["type"] == "message":
                    heard = time.monotonic()
                    yield Payload(message["channel"].decode(), message["data"])
