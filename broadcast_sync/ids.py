"""UUIDv7 (RFC 9562): 48 bits of milliseconds, 74 random bits; sorts by time."""

from __future__ import annotations

import random
import time
from uuid import UUID

_bits = random.Random().getrandbits
"""Seeded by the operating system. Ids are unique, not secret; a system call each would be felt on the vote path."""


def uuid7(now_ms: int | None = None, bits: int | None = None) -> UUID:
    """A new UUIDv7. `now_ms` (Unix milliseconds) and 74 random `bits` may be given; else they are made."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    tail = _bits(74) if bits is None else bits
    high, low = tail >> 62, tail & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=(ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | high << 64 | 0x2 << 62 | low)
