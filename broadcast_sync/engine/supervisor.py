"""Starts an engine again that died while the server runs: on the same socket, with its data."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

import structlog

from broadcast_sync.engine.embedded import Embedded
from broadcast_sync.errors import StartError

log = structlog.get_logger()

WATCH_S: Final = 0.1
FIRST_S: Final = 0.1
LONGEST_S: Final = 5.0
STEADY_S: Final = 30.0
"""An engine that lived this long is well again: the next death is answered at once."""


def backoff(previous_s: float, lived_s: float) -> float:
    """Seconds to wait before the next start: doubles up to LONGEST_S while deaths come quickly."""
    if lived_s >= STEADY_S or previous_s == 0.0:
        return FIRST_S
    return min(previous_s * 2, LONGEST_S)


async def supervise(engine: Embedded, restarted: Callable[[], None]) -> None:
    """Watches `engine` until cancelled. It never gives up: each failed start is one log line and a longer wait.
    `restarted` is called after each successful one; what it raises counts as a failed attempt to record it."""
    wait_s = 0.0
    while True:
        since = time.monotonic()
        process = engine.process
        if process is not None:
            await process.gone(math.inf, WATCH_S)
        log.error(
            "engine_died",
            engine=engine.title,
            pid=process.pid if process else None,
            exit_code=process.exit_code if process else None,
        )
        while True:
            wait_s = backoff(wait_s, time.monotonic() - since)
            since = time.monotonic()
            await asyncio.sleep(wait_s)
            try:
                await engine.start()
                restarted()
            except StartError as error:
                log.error("engine_restart_failed", engine=engine.title, reason=str(error), again_s=wait_s)
            except Exception:
                # whatever it was, a server without its engine must go on trying
                log.exception("engine_restart_failed", engine=engine.title, again_s=wait_s)
            if engine.alive():
                break
