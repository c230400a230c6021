"""Times on the wire: ISO 8601 UTC with milliseconds, `2026-11-21T20:15:00.123Z`; inside, Unix milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso(ms: int) -> str:
    """Unix milliseconds as the wire shows them."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


def parse_iso(text: str) -> int:
    """Unix milliseconds of an ISO 8601 time with an offset or `Z`; ValueError if it has none or is not a time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset or Z")
    return round(moment.timestamp() * 1000)
