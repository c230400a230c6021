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


class Bomb(ValueError):
    """A message inflates to more than any message has a reason to."""


def inflate(payload: bytes, keep: int, limit: int) -> bytes | None:
    """The payload of a message that was compressed with any window; None if it has more than `keep` bytes.

    Never holds more than `keep` bytes of it and a piece of the same size. Raises Bomb when it has more than `limit`,
    having inflated that much and no more, and zlib.error if it is not compressed data.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest, size = payload + _TAIL, 0
    kept: list[bytes] = []
    while True:
        piece = inflater.decompress(rest, keep)
        size += len(piece)
        if size > limit:
            raise Bomb(f"a compressed message inflates to more than {limit} bytes")
        if size <= keep:
            kept.append(piece)
        if not piece:  # a full piece may hide more: only an empty one says that all is out
            return b"".join(kept) if size <= keep else None
        rest = inflater.unconsumed_tail
