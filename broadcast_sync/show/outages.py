"""Engine outages as the show meets them: which errors they are, one log line each, and how long to wait."""

from __future__ import annotations

import random
from typing import Final

import asyncpg
import structlog

from broadcast_sync.bus.connect import VALKEY_ERRORS

log = structlog.get_logger()

ENGINE_ERRORS: Final = (*VALKEY_ERRORS, asyncpg.PostgresError, asyncpg.InterfaceError)
"""Valkey or PostgreSQL away, slow or refusing."""


class Outage:
    """The outages of one duty: a line when one begins, a line when it is over, backoff with jitter between."""

    def __init__(self, duty: str, longest_s: float = 2.0) -> None:
        self._duty = duty
        self._longest_s = longest_s
        self._failures = 0

    def failed(self, error: BaseException) -> float:
        """Counts a failure; returns the seconds to wait before the next try."""
        if self._failures == 0:
            log.warning("duty_interrupted", duty=self._duty, error=str(error) or type(error).__name__)
        self._failures += 1
        return min(self._longest_s, 0.05 * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)

    def over(self) -> None:
        """The duty worked."""
        if self._failures:
            log.info("duty_resumed", duty=self._duty, failures=self._failures)
            self._failures = 0
