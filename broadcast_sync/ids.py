"""UUIDv7 (RFC 9562): 48 bits of milliseconds, 74 random bits; sorts by time."""

from __future__ import annotations

import random
import time
from struct import Struct
from uuid import UUID

_pack = Struct(">QQ").pack
_bits = random.Random().getrandbits
"""Seeded by the operating system. Ids are unique, not secret; a system call each would be felt on the vote path."""


def uuid7_bytes(now_ms: int, bits: int | None = None) -> bytes:
    """The 16 bytes of a new UUIDv7. 74 random `bits` may be given; else they are made."""
    tail = _bits(74) if bits is None else bits
    high, low = tail >> 62, tail & 0x3FFF_FFFF_FFFF_FFFF
    return _pack((now_ms & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | high, 0x8000_0000_0000_0000 | low)


def uuid7(now_ms: int | None = None, bits: int | None = None) -> UUID:
    """A new UUIDv7 of `now_ms` (Unix milliseconds, by default now)."""
    return UUID(bytes=uuid7_bytes(time.time_ns() // 1_000_000 if now_ms is None else now_ms, bits))
