"""Clients of Valkey with one policy: bounded waits, no silent retries of scripts, bytes out."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from broadcast_sync.clock import EngineClock

VALKEY_ERRORS: Final = (RedisError, OSError, TimeoutError)
"""Whatever a command raises when the engine is away, slow or refuses; the command may have been executed."""


def connect(url: str, *, timeout_s: float = 5.0, connections: int = 16) -> Redis:
    """A client whose answers are bytes. Commands wait at most `timeout_s` and are never repeated behind the
    caller's back: a script that timed out may have run. Beyond `connections` at once a command waits for one, as
    long at most. The caller closes it."""
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        max_connections=connections,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    client: Redis = Redis.from_pool(pool)
    return client


def heed_cancellation() -> None:
    """Raises CancelledError if the running task has been cancelled and goes on all the same: redis-py sends with
    asyncio.wait_for, which in Python 3.11 swallows a cancellation that meets its end. Endless loops over the engine
    call it once a round."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def measure(client: Redis, clock: EngineClock) -> bool:
    """Corrects `clock` by the engine's; False if the engine's clock has stepped (see EngineClock.correct)."""
    sent = time.monotonic_ns()
    seconds, micros = await client.time()
    received = time.monotonic_ns()
    return clock.correct(int(seconds) * 1000 + int(micros) / 1000, sent, received)
