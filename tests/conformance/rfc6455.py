"""What a server must answer to a stream of bytes: RFC 6455, and RFC 7692 without context takeover. PURE.

Written from the texts alone; nothing of the server or of the library below it is used here. Where the RFCs leave a
server the choice, `Terms` has it, and a test accepts what any choice gives. Where they say nothing, `Unspecified` is
raised. Sections are named where a rule comes from.
"""

from __future__ import annotations

import codecs
import itertools
import zlib
from collections.abc import Iterator
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
    """What was negotiated, what the server allows, and how it chooses where it may.

    `kind` is the opcode it takes messages in; the other one is refused by a message of its own, as is a message of
    more than `message_bytes`. A frame or a message of more than `frame_bytes` ends the connection (1009). `minimal`:
    lengths that take more bytes than they need (5.2) are an error, not only bad manners. `eager_text` and
    `eager_inflate`: bad UTF-8 (8.1) and bad DEFLATE data end the connection with the fragment that has them, not with
    the last. `finish_first`: who closes in the middle of a message has broken it off, and is told so (1002; 5.5.1 says
    only that an answer typically has the code it answers).
    """

    kind: int
    message_bytes: int
    frame_bytes: int
    deflate: bool = False
    minimal: bool = False
    eager_text: bool = False
    eager_inflate: bool = False
    finish_first: bool = False

    def choices(self) -> Iterator[Terms]:
        """These terms with every choice that a server has."""
        for chosen in itertools.product((False, True), repeat=4):
            yield Terms(self.kind, self.message_bytes, self.frame_bytes, self.deflate, *chosen)


class Answers(Struct, frozen=True):
    """What comes back. `replies` has an echoed payload, or None for a refusal, for each message, in order; `pongs`
    the payloads of pongs, in order. `codes` are those the close frame may have; empty while the connection is open."""

    replies: tuple[bytes | None, ...]
    pongs: tuple[bytes, ...]
    codes: Codes


class _Failed(Exception):
    def __init__(self, *codes: int) -> None:
        self.codes = frozenset(codes)


class _Head(Struct, frozen=True):
    final: bool
    reserved: int
    opcode: int
    masked: bool
    length: int
    minimal: bool
    size: int
    """Bytes of the head itself, the masking key included."""


class _Message:
    """A data message on its way: fragments come in, the whole goes out."""

    def __init__(self, opcode: int, compressed: bool, terms: Terms) -> None:
        self.opcode = opcode
        self._terms = terms
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if compressed else None
        self._raw = bytearray()
        self._whole = bytearray()
        self._text = codecs.getincrementaldecoder("utf-8")()

    def add(self, payload: bytes, final: bool) -> None:
        if self._inflate is None:
            self._extend(payload, final)
            return
        self._raw += payload + (TAIL if final else b"")
        if final or self._terms.eager_inflate:
            inflated = self._inflated()
            self._raw.clear()
            self._extend(inflated, final)

    def _inflated(self) -> bytes:
        assert self._inflate is not None
        room = self._terms.frame_bytes - len(self._whole)
        try:
            inflated = self._inflate.decompress(bytes(self._raw), room + 1)
        except zlib.error:
            raise _Failed(INVALID_DATA, PROTOCOL_ERROR) from None
        if self._inflate.unused_data.removesuffix(TAIL).strip(b"\0"):
            raise Unspecified("data after a final block")
        return inflated

    def _extend(self, payload: bytes, final: bool) -> None:
        self._whole += payload
        if len(self._whole) > self._terms.frame_bytes:
            raise _Failed(TOO_BIG)
        kept = len(self._whole) <= self._terms.message_bytes
        if self.opcode != TEXT or not (self._terms.eager_text or kept):
            return  # what is refused for its size need not be read
        try:
            self._text.decode(payload, final)
        except UnicodeDecodeError:
            if self._terms.eager_text or final:
                raise _Failed(INVALID_DATA) from None

    def whole(self) -> bytes | None:
        """The payload, or None if it is to be refused."""
        if len(self._whole) > self._terms.message_bytes:
            return None
        if self.opcode == TEXT:
            try:
                self._whole.decode("utf-8")
            except UnicodeDecodeError:
                raise _Failed(INVALID_DATA) from None
        return bytes(self._whole) if self.opcode == self._terms.kind else None


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
                if message is not None and terms.finish_first:
                    raise _Failed(PROTOCOL_ERROR)
                break
            elif head.opcode != PONG:
                if message is None:
                    message = _Message(head.opcode, bool(head.reserved), terms)
                message.add(payload, head.final)
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
    minimal = extended == 0 or length > (125 if extended == 2 else 0xFFFF)
    return _Head(
        first >= 0x80, first >> 4 & 7, first & 0x0F, masked, length, minimal, 2 + extended + (4 if masked else 0)
    )


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
        or (terms.minimal and not head.minimal)  # 5.2
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
    if not may_be_sent(code):
        raise _Failed(PROTOCOL_ERROR)
    try:
        payload[2:].decode("utf-8")
    except UnicodeDecodeError:
        raise _Failed(INVALID_DATA) from None
    return frozenset({code})


def may_be_sent(code: int) -> bool:
    """True for a code that a close frame may carry: 7.4.1, its registry at IANA (1012 to 1014), and 7.4.2."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
