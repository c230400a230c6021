"""What the server must answer to a stream of bytes: RFC 6455, and RFC 7692 without context takeover. PURE.

Written from the texts alone: nothing of the server or of a library is used here. Sections are named where a rule
comes from. Where the RFCs leave a server the choice, this is what ours has chosen:

- A length that takes more bytes than it needs (5.2) is read all the same: only senders are told to be brief.
- Bad UTF-8 (8.1) and bad DEFLATE data end the connection when their message is whole.
- Who closes in the middle of a message has broken it off and is told so (1002; 5.5.1 says only that an answer
  "typically" has the code that it answers).
- Control frames are answered at once, so there is one pong for each ping.

Where they say nothing, `Unspecified` is raised.
"""

from __future__ import annotations

import zlib
from typing import Final

from msgspec import Struct

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
KNOWN: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009

TAIL: Final = b"\x00\x00\xff\xff"
"""What a sender takes off a compressed message and a receiver puts back (RFC 7692, 7.2.2)."""

Codes = frozenset[int]


class Unspecified(Exception):
    """The RFCs do not say what becomes of this stream."""


class Terms(Struct, frozen=True):
    """What was negotiated, and what the server allows.

    `kind` is the opcode it takes messages in; the other one is refused by a message of its own, as is a message of
    more than `message_bytes`. A frame or a message of more than `frame_bytes` ends the connection (1009); so does a
    compressed one of more than `message_bytes`, or of more than `inflated_bytes` once it is inflated.
    """

    kind: int
    message_bytes: int
    frame_bytes: int
    inflated_bytes: int
    deflate: bool = False


class Answers(Struct, frozen=True):
    """What comes back. `replies` has an echoed payload, or None for a refusal, for each message, in order; `pongs`
    the payloads of pongs, in order. `codes` are those the close frame may have; empty while the connection is open."""

    replies: tuple[bytes | None, ...]
    pongs: tuple[bytes, ...]
    codes: Codes

    def permit(self, found: Answers) -> bool:
        """True if `found` is what these say: where several codes are right, any of them."""
        if (found.replies, found.pongs) != (self.replies, self.pongs):
            return False
        return found.codes <= self.codes and bool(found.codes) == bool(self.codes)


class _Failed(Exception):
    def __init__(self, *codes: int) -> None:
        self.codes = frozenset(codes)


class _Head(Struct, frozen=True):
    final: bool
    reserved: int
    opcode: int
    masked: bool
    length: int
    size: int
    """Bytes of the head itself, the masking key included."""


class _Message:
    """A data message on its way: fragments come in, the whole goes out."""

    def __init__(self, head: _Head, terms: Terms) -> None:
        self._opcode = head.opcode
        self._compressed = bool(head.reserved)
        self._terms = terms
        self._payload = bytearray()

    def add(self, payload: bytes) -> None:
        self._payload += payload
        if len(self._payload) > self._terms.frame_bytes:
            raise _Failed(TOO_BIG)

    def whole(self) -> bytes | None:
        """The payload, or None if it is to be refused."""
        payload, most = bytes(self._payload), self._terms.message_bytes
        if self._compressed:
            if len(payload) > most:
                raise _Failed(TOO_BIG)
            payload = inflated(payload, self._terms.inflated_bytes)
        if len(payload) > most:
            return None  # what is refused for its size need not be read
        if self._opcode == TEXT:
            try:
                payload.decode("utf-8")
            except UnicodeDecodeError:
                raise _Failed(INVALID_DATA) from None
        return payload if self._opcode == self._terms.kind else None


def inflated(payload: bytes, most: int) -> bytes:
    """The payload of a message that was sent compressed (RFC 7692, 7.2.2)."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflate.decompress(payload + TAIL, most + 1)
    except zlib.error:
        raise _Failed(INVALID_DATA, PROTOCOL_ERROR) from None
    if len(found) > most:
        raise _Failed(TOO_BIG)
    if inflate.unused_data.removesuffix(TAIL).strip(b"\0"):
        raise Unspecified("data after a final block")
    return found


def expected(stream: bytes, terms: Terms) -> Answers:
    """The answers to all frames of `stream`, which are masked as a client's must be. A frame that is not whole yet
    is waited for, unless its head says already that it is too long."""
    replies: list[bytes | None] = []
    pongs: list[bytes] = []
    message: _Message | None = None
    at = 0
    codes: Codes = frozenset()
    try:
        while (head := _head(stream, at)) is not None:
            end = at + head.size + head.length
            whole = end <= len(stream)
            faults = _faults(head, message is not None, terms)
            if faults and (whole or TOO_BIG in faults):
                raise _Failed(*faults)
            if not whole:
                break
            payload = _unmasked(stream[at + head.size - 4 : end])
            at = end
            if head.opcode == PING:
                pongs.append(payload)
            elif head.opcode == CLOSE:
                codes = _closing(payload)
                if message is not None:
                    raise _Failed(PROTOCOL_ERROR)
                break
            elif head.opcode != PONG:
                if message is None:
                    message = _Message(head, terms)
                message.add(payload)
                if head.final:
                    replies.append(message.whole())
                    message = None
    except _Failed as failed:
        codes = failed.codes
    return Answers(tuple(replies), tuple(pongs), codes)


def _head(stream: bytes, at: int) -> _Head | None:
    """5.2. None while it is not whole."""
    if len(stream) < at + 2:
        return None
    first, second = stream[at], stream[at + 1]
    masked, length, extended = second >= 0x80, second & 0x7F, 0
    if length >= 126:
        extended = 2 if length == 126 else 8
        if len(stream) < at + 2 + extended:
            return None
        length = int.from_bytes(stream[at + 2 : at + 2 + extended], "big")
    return _Head(first >= 0x80, first >> 4 & 7, first & 0x0F, masked, length, 2 + extended + (4 if masked else 0))


def _faults(head: _Head, fragmented: bool, terms: Terms) -> Codes:
    """The codes that a frame may end the connection with by its head alone; empty for a good one."""
    control = head.opcode >= CLOSE
    first = head.opcode in (TEXT, BINARY)
    allowed = 4 if terms.deflate and first else 0  # RSV1, on the first frame of a message (RFC 7692, 6)
    wrong = (
        not head.masked  # 5.1
        or head.opcode not in KNOWN  # 5.2
        or head.reserved & ~allowed  # 5.2
        or (control and (not head.final or head.length > 125))  # 5.5
        or (head.opcode == CONTINUATION and not fragmented)  # 5.4
        or (first and fragmented)  # 5.4
        or head.length >> 63  # 5.2
    )
    codes = {PROTOCOL_ERROR} if wrong else set()
    if head.length > terms.frame_bytes:
        codes.add(TOO_BIG)
    return frozenset(codes)


def _unmasked(key_and_payload: bytes) -> bytes:
    """5.3."""
    key, payload = key_and_payload[:4], key_and_payload[4:]
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def _closing(payload: bytes) -> Codes:
    """The code that a close frame is answered with: its own (5.5.1), unless it is a bad one."""
    if not payload:
        return frozenset({NO_STATUS})
    if len(payload) == 1:
        raise _Failed(PROTOCOL_ERROR)
    code = int.from_bytes(payload[:2], "big")
    faults = set() if may_be_sent(code) else {PROTOCOL_ERROR}
    try:
        payload[2:].decode("utf-8")
    except UnicodeDecodeError:
        faults.add(INVALID_DATA)
    if faults:
        raise _Failed(*faults)
    return frozenset({code})


def may_be_sent(code: int) -> bool:
    """True for a code that a close frame may carry: 7.4.1, its registry at IANA (1012 to 1014), and 7.4.2."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
