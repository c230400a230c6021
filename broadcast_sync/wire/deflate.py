"""Compression of messages (RFC 7692), without context takeover: each message stands alone, so one compressed frame
serves every socket, and none keeps a window in memory between messages."""

from __future__ import annotations

import zlib
from typing import Final

WINDOW_BITS: Final = 12
"""What the server compresses with: a window of 4 KB, which a client must hold to read it."""

_MEMORY_LEVEL: Final = 5
_TAIL: Final = b"\x00\x00\xff\xff"


class Deflate:
    """Compresses payloads with a window of `WINDOW_BITS` at `level`, 1 (fast) to 9 (small)."""

    __slots__ = ("_level",)

    def __init__(self, level: int) -> None:
        if not 1 <= level <= 9:
            raise ValueError("levels of compression are 1 to 9")
        self._level = level

    def __call__(self, payload: bytes) -> bytes:
        """The payload of a compressed message (7.2.1)."""
        compressor = zlib.compressobj(self._level, zlib.DEFLATED, -WINDOW_BITS, _MEMORY_LEVEL)
        made = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return made.removesuffix(_TAIL)
