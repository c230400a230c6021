"""RFC 6455 frames as a server sends them: unmasked, so the same bytes serve every socket."""

from __future__ import annotations

from typing import Final

CONT: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
RSV1: Final = 0x40
"""Beside the opcode of a compressed message (RFC 7692, 6)."""


def frame(opcode: int, payload: bytes) -> bytes:
    """One final, unmasked frame (RFC 6455, 5.2). `opcode` may carry RSV1."""
    length = len(payload)
    first = 0x80 | opcode
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big") + payload
    return bytes((first, 127)) + length.to_bytes(8, "big") + payload
