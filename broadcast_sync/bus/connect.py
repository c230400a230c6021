"""Clients of Valkey with one policy: bounded waits, no silent retries of scripts, bytes out, and after a failover
new connections, so that a URL that follows the primary is followed."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import structlog
from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    ReadOnlyError,
    RedisError,
)

VALKEY_ERRORS: Final = (RedisError, OSError, TimeoutError)
"""Whatever a command raises when the engine is away, slow or refuses; the command may have been executed."""


MOVED_ON: Final = (ReadOnlyError, AskError, ClusterDownError, MasterDownError)
"""What an engine answers that does not take writes, or not of this key (MOVED is a kind of ASK): a primary that has
become a replica, a replica cut off, a node of a cluster. Nothing was changed by the command."""
AFRESH_S: Final = 0.5
"""The least time between two rounds of giving up connections, while the URL still leads to the wrong engine."""

log = structlog.get_logger()


class EngineClient(Redis):
    """A client that does not cling to an engine which has stopped being the primary.

    When an engine answers that it is the wrong one, all connections are given up: idle ones at once, those in use when
    they are done. Each is made anew from the URL, which by then leads to the new primary (a virtual address, a
    name, a proxy). The command's own error goes to its caller all the same.
    """

    _afresh_at = 0.0

    async def parse_response(self, connection: Connection, command_name: str | bytes, **options: Any) -> Any:
        try:
            return await super().parse_response(connection, command_name, **options)
        except MOVED_ON as error:
            await self._start_afresh(error)
            raise

    async def _start_afresh(self, error: RedisError) -> None:
        now = time.monotonic()
        if now < self._afresh_at:
            return
        self._afresh_at = now + AFRESH_S
        log.warning("engine_moved_on", error=f"{type(error).__name__}: {error}")
        pool = self.connection_pool
        await pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]  # as redis-py has it
        await pool.disconnect(inuse_connections=False)


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
    client: Redis = EngineClient.from_pool(pool)
    return client


def heed_cancellation() -> None:
    """Raises CancelledError if the running task has been cancelled and goes on all the same: redis-py sends with
    asyncio.wait_for, which in Python 3.11 swallows a cancellation that meets its end. Endless loops over the engine
    call it once a round."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
