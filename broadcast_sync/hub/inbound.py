"""One connection's side of RFC 6455 after the handshake: bytes -> messages, pongs and the closing handshake. PURE: no
socket, no loop, no clock.

It is ours, and not websockets' `ServerProtocol`, because that keeps some 4 KB a connection for as long as it lives. Its
judgement is the measure all the same: a test feeds both the same bytes.
"""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple, TypeAlias

from websockets.exceptions import ProtocolError
from websockets.frames import Close

from broadcast_sync.hub.closes import INVALID_DATA, PROTOCOL_ERROR, TOO_BIG
from broadcast_sync.wire.deflate import Bomb, inflate
from broadcast_sync.wire.frames import BINARY, CLOSE, CONT, PING, PONG, RSV1, TEXT, frame

try:
    from websockets.speedups import apply_mask
except ImportError:  # websockets installed without its C extension
    from websockets.utils import apply_mask

Message: TypeAlias = "tuple[int, bytes | None]"
"""Opcode and payload. TEXT and BINARY are whole messages, None for one that is too large; PING, PONG and CLOSE have
been answered; CONT tells of a fragment whose message goes on."""

CONTROL_BYTES: Final = 125
INFLATE_FACTOR: Final = 16
"""A compressed message that inflates to more than `message_bytes` is refused, like any other; one that inflates to more
than so many times that, or is larger than that before it is inflated, is a bomb and closes the socket."""

_FINAL: Final = 0x80
_RSV2_AND_3: Final = 0x30
_FINAL_TEXT: Final = _FINAL | TEXT
_FINAL_BINARY: Final = _FINAL | BINARY


class Bounds(NamedTuple):
    """What all connections of a hub are held to, in bytes, and whether this kind of them may compress."""

    frame_bytes: int
    message_bytes: int
    deflate: bool


class _Fragments:
    """A message of which some fragments have come."""

    __slots__ = ("first", "held", "size")

    def __init__(self, first: int) -> None:
        self.first = first
        """The first byte of its first frame: opcode and RSV1."""
        self.size = 0
        self.held: bytearray | None = bytearray()
        """None once it is larger than a message may be: it will be refused, so what comes of it is not kept."""


class Inbound:
    """Holds at most one frame and one fragmented message of `message_bytes` each. `open` until either side has begun to
    close, `finished` when no byte will be heard or said any more. What it wants said waits in `take`."""

    __slots__ = ("_bounds", "_fragments", "_need", "_said", "_skip", "_tail", "close_code", "finished", "open")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._tail: bytearray | None = None
        self._need = 0
        self._skip = 0
        self._fragments: _Fragments | None = None
        self._said: list[bytes] | None = None
        self.open = True
        self.finished = False
        self.close_code = 0
        """The client's, or ours if it gave none in time."""

    @property
    def partial(self) -> bool:
        """True while a frame or a fragmented message has begun and is not whole."""
        return self._tail is not None or self._fragments is not None or self._skip > 0

    def receive(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Once finished, everything is discarded."""
        if self._skip:
            data, self._skip = data[self._skip :], max(0, self._skip - len(data))
        elif self._tail is not None:
            self._tail += data
            if len(self._tail) < self._need:
                return []
            data, self._tail = bytes(self._tail), None
        messages: list[Message] = []
        at, size, limit = 0, len(data), self._bounds.message_bytes
        while at < size and not self.finished:
            start, end = self._span(data, at, size)
            if self.finished:
                break
            payload: bytes | None = None
            if end - start > limit:  # its header is enough to judge it; the rest is passed over as it comes
                self._skip = max(0, end - size)
            elif end > size:
                self._tail, self._need = bytearray(data[at:]), end - at
                break
            else:
                payload = apply_mask(data[start:end], data[start - 4 : start])
            first = data[at]
            if (first == _FINAL_TEXT or first == _FINAL_BINARY) and self._fragments is None:
                self._deliver(first, payload, messages)
            else:
                self._other(first, end - start, payload, messages)
            at = end
        return messages

    def close(self, code: int, reason: str) -> None:
        """Begins the closing handshake; does nothing once it has begun. `reason` is cut to what a frame holds."""
        if self.open:
            self.open = False
            self.close_code = code
            self._say(frame(CLOSE, Close(code, reason.encode()[:123].decode(errors="ignore")).serialize()))

    def take(self) -> bytes:
        """What is to be written now; to be called after `receive` and `close`."""
        if self._said is None:
            return b""
        said, self._said = b"".join(self._said), None
        return said

    def _say(self, said: bytes) -> None:
        if self._said is None:
            self._said = []
        self._said.append(said)

    def _span(self, data: bytes, at: int, size: int) -> tuple[int, int]:
        """Where the payload of the frame at `at` starts and ends. An end beyond `size` is how much is needed to go on;
        an end that is the start means that not even the header is whole."""
        if size - at < 2:
            return at + 2, at + 2
        second = data[at + 1]
        length = second & 0x7F
        start = at + 6
        if length == 126:
            start += 2
            if size - at < 4:
                return at + 4, at + 4
            length = data[at + 2] << 8 | data[at + 3]
        elif length == 127:
            start += 8
            if size - at < 10:
                return at + 10, at + 10
            length = int.from_bytes(data[at + 2 : at + 10], "big")
        if second < 0x80:
            self._fail(PROTOCOL_ERROR, "incorrect masking")
        elif length > self._bounds.frame_bytes:
            self._fail(TOO_BIG, f"a frame may have {self._bounds.frame_bytes} bytes")
        return start, start + length

    def _other(self, first: int, length: int, payload: bytes | None, messages: list[Message]) -> None:
        """Takes any frame but a plain whole message. `payload` is None if it is too large to be kept."""
        opcode = first & 0x0F
        compressed = self._bounds.deflate and (opcode == TEXT or opcode == BINARY)
        if first & (_RSV2_AND_3 if compressed else _RSV2_AND_3 | RSV1):
            self._fail(PROTOCOL_ERROR, "reserved bits must be 0")
        elif opcode == CLOSE or opcode == PING or opcode == PONG:
            if payload is None or length > CONTROL_BYTES or not first & _FINAL:
                self._fail(PROTOCOL_ERROR, "control frame too long or fragmented")
            else:
                self._control(opcode, payload, messages)
        elif opcode > BINARY:
            self._fail(PROTOCOL_ERROR, "invalid opcode")
        else:
            self._fragment(first, length, payload, messages)

    def _control(self, opcode: int, payload: bytes, messages: list[Message]) -> None:
        if opcode == PING:
            if self.open:  # answers that nobody reads would pile up until who floods us is cut off
                self._say(frame(PONG, payload))
        elif opcode == CLOSE:
            try:
                close = Close.parse(payload)
            except (ProtocolError, UnicodeDecodeError) as error:
                code = INVALID_DATA if isinstance(error, UnicodeDecodeError) else PROTOCOL_ERROR
                self._fail(code, str(error))
                return
            if self._fragments is not None:
                self._fail(PROTOCOL_ERROR, "incomplete fragmented message")
                return
            if self.open:
                self._say(frame(CLOSE, payload))
            self.open, self.finished, self.close_code = False, True, int(close.code)
        messages.append((opcode, payload))

    def _fragment(self, first: int, length: int, payload: bytes | None, messages: list[Message]) -> None:
        fragments, opcode = self._fragments, first & 0x0F
        if (opcode == CONT) is (fragments is None):
            wanted = "unexpected" if fragments is None else "expected a"
            self._fail(PROTOCOL_ERROR, f"{wanted} continuation frame")
            return
        if fragments is None:
            if first & _FINAL:
                self._deliver(first, payload, messages)
                return
            fragments = self._fragments = _Fragments(first)
        fragments.size += length
        if fragments.size > self._bounds.frame_bytes:
            self._fail(TOO_BIG, f"a message may not have more than {self._bounds.frame_bytes} bytes")
            return
        if payload is None or fragments.size > self._bounds.message_bytes:
            fragments.held = None
        elif fragments.held is not None:
            fragments.held += payload
        if first & _FINAL:
            self._fragments = None
            self._deliver(fragments.first, None if fragments.held is None else bytes(fragments.held), messages)
        elif self.open:
            messages.append((CONT, b""))

    def _deliver(self, first: int, payload: bytes | None, messages: list[Message]) -> None:
        """Takes a whole message, inflates and checks it. What comes after we have begun to close is not heard."""
        if not self.open:
            return
        limit = self._bounds.message_bytes
        try:
            if first & RSV1:
                if payload is None:
                    raise Bomb(f"a compressed message may have {limit} bytes")
                payload = inflate(payload, limit, INFLATE_FACTOR * limit)
            if first & 0x0F == TEXT and payload is not None and not payload.isascii():
                payload.decode()
        except Bomb as error:
            self._fail(TOO_BIG, str(error))
        except zlib.error:
            self._fail(PROTOCOL_ERROR, "decompression failed")
        except UnicodeDecodeError as error:
            self._fail(INVALID_DATA, f"{error.reason} at position {error.start}")
        else:
            messages.append((first & 0x0F, payload))

    def _fail(self, code: int, reason: str) -> None:
        """Fails the connection (7.1.7): says why, unless a close frame has been sent, and listens no more."""
        self.close(code, reason)
        self.finished = True
        self._tail = self._fragments = None
