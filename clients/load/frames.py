"""Frames of RFC 6455 as a load generator needs them. Pure.

Frames of a client must be masked; with a mask of zeros the payload stays as it is, so a frame can be put together
from parts made beforehand, and the server's unmasking costs it what any other mask would.
"""

from __future__ import annotations

import re
from typing import Final

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
HEAD: Final = 96
"""How far into a payload its type is looked for."""

_TYPE: Final = re.compile(rb'"type"\s*:\s*"([A-Z_]{1,32})"')
_CODE: Final = re.compile(rb'"code"\s*:\s*"([A-Z_]{1,40})"')
_RETRY_AFTER: Final = re.compile(rb'"retryAfter"\s*:\s*([0-9.]{1,10})')
_TIMESTAMP: Final = b'"timestamp":"'


def masked_head(opcode: int, length: int) -> bytes:
    """The head of a final frame with a mask of zeros; the payload of `length` bytes follows as it is."""
    first = 0x80 | opcode
    if length < 126:
        return bytes((first, 0x80 | length, 0, 0, 0, 0))
    if length < 65536:
        return bytes((first, 0x80 | 126)) + length.to_bytes(2, "big") + bytes(4)
    return bytes((first, 0x80 | 127)) + length.to_bytes(8, "big") + bytes(4)


def masked(opcode: int, payload: bytes) -> bytes:
    """One whole frame of a client."""
    return masked_head(opcode, len(payload)) + payload


def bounds(data: bytes, at: int) -> tuple[int, int]:
    """Where the payload of the server frame at `at` begins and ends; `(0, 0)` if `data` is too short to tell. The
    end may lie beyond `data`."""
    if len(data) < at + 2:
        return 0, 0
    length = data[at + 1]
    if length < 126:
        return at + 2, at + 2 + length
    if length == 126:
        if len(data) < at + 4:
            return 0, 0
        return at + 4, at + 4 + (data[at + 2] << 8 | data[at + 3])
    if len(data) < at + 10:
        return 0, 0
    return at + 10, at + 10 + int.from_bytes(data[at + 2 : at + 10], "big")


def type_of(data: bytes, start: int, end: int) -> bytes:
    """The message type, looked for in the first `HEAD` bytes of the payload; empty if it is not there."""
    found = _TYPE.search(data, start, min(end, start + HEAD))
    return found[1] if found else b""


def code_of(payload: bytes) -> str:
    """The code of an ERROR; `?` if it has none."""
    found = _CODE.search(payload)
    return found[1].decode() if found else "?"


def retry_after_of(payload: bytes) -> float:
    """Seconds of an ERROR's retryAfter; 0 if it has none."""
    found = _RETRY_AFTER.search(payload)
    try:
        return float(found[1]) if found else 0.0
    except ValueError:
        return 0.0


def timestamp_of(data: bytes, end: int) -> bytes:
    """The envelope's timestamp, which stands near the end of a message: what tells one board from another."""
    at = data.rfind(_TIMESTAMP, max(0, end - 200), end)
    return data[at + 13 : at + 37] if at >= 0 else b""


class VoteFrame:
    """VOTE frames of one voice for one contestant, each with its own id: `prefix` and 8 hexadecimal digits."""

    __slots__ = ("_after", "_before")

    def __init__(self, prefix: str, contestant_id: str) -> None:
        before = f'{{"type":"VOTE","id":"{prefix}'.encode()
        after = f'","contestantId":"{contestant_id}"}}'.encode()
        self._before = masked_head(TEXT, len(before) + 8 + len(after)) + before
        self._after = after

    def numbered(self, number: int) -> bytes:
        """The frame of vote `number`, below 2**32."""
        return b"%b%08x%b" % (self._before, number, self._after)
