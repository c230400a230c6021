"""Bytes -> messages, on websockets' Sans-I/O layer. PURE: no socket, no loop, no clock.

Whole, final, masked data frames, which is nearly all that clients send, are unmasked here; every other frame goes
through `ServerProtocol`, whole, so that it is always at a frame boundary and its judgement of what RFC 6455 allows,
its answers and its failures stay the only ones.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from broadcast_sync.hub.closes import INVALID_DATA

try:
    from websockets.speedups import apply_mask
except ImportError:  # websockets installed without its C extension
    from websockets.utils import apply_mask

Message: TypeAlias = "tuple[int, bytes | None]"
"""Opcode and payload. TEXT and BINARY are whole messages, None for one that is too large; PING, PONG and CLOSE have
been answered; CONT tells of a fragment whose message goes on."""

TEXT: Final = int(Opcode.TEXT)
BINARY: Final = int(Opcode.BINARY)
CONT: Final = int(Opcode.CONT)

_FINAL_TEXT: Final = 0x80 | TEXT
_FINAL_BINARY: Final = 0x80 | BINARY


class Inbound:
    """One connection's receiving side, after the handshake.

    Holds at most one frame of `frame_bytes` and `message_bytes` of a fragmented message. What `receive` makes the
    connection say (pongs, close frames) waits in `conn.data_to_send()`.
    """

    __slots__ = ("_conn", "_frame_bytes", "_kind", "_message_bytes", "_need", "_parts", "_size", "_tail")

    def __init__(self, conn: ServerProtocol, frame_bytes: int, message_bytes: int) -> None:
        self._conn = conn
        self._frame_bytes = frame_bytes
        self._message_bytes = message_bytes
        self._tail: bytearray | None = None
        self._need = 0
        self._kind = 0
        self._parts: list[bytes] | None = None
        self._size = 0

    def receive(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Once the connection is failing, everything is discarded."""
        if self._tail is not None:
            self._tail += data
            if len(self._tail) < self._need:
                return []
            data, self._tail = bytes(self._tail), None
        messages: list[Message] = []
        at, size, conn = 0, len(data), self._conn
        while at < size:
            start, end = self._bounds(data, at, size)
            if start == 0:  # beyond what is allowed: the connection fails with its own words
                self._other(data[at:], messages)
                break
            if end > size:
                self._tail, self._need = bytearray(data[at:]), end - at
                break
            first = data[at]
            if (first == _FINAL_TEXT or first == _FINAL_BINARY) and conn.current_size is None:
                if conn.state is State.OPEN:
                    payload: bytes | None = None
                    if end - start <= self._message_bytes:
                        payload = apply_mask(data[start:end], data[start - 4 : start])
                    self._deliver(first & 0x0F, payload, messages)
            else:
                self._other(data[at:end], messages)
            at = end
        return messages

    def _bounds(self, data: bytes, at: int, size: int) -> tuple[int, int]:
        """Where the payload of the frame at `at` starts and ends. An end beyond `size` is how much is needed to
        know more; a start of 0 means the frame is not masked or too long."""
        if size - at < 2:
            return at + 2, at + 2
        second = data[at + 1]
        length = second & 0x7F
        start = at + 6
        if length == 126:
            start = at + 8
            if size - at < 4:
                return start, at + 4
            length = data[at + 2] << 8 | data[at + 3]
        elif length == 127:
            start = at + 14
            if size - at < 10:
                return start, at + 10
            length = int.from_bytes(data[at + 2 : at + 10], "big")
        if second < 0x80 or length > self._frame_bytes:
            return 0, 0
        return start, start + length

    def _other(self, data: bytes, messages: list[Message]) -> None:
        conn = self._conn
        conn.receive_data(data)
        for event in conn.events_received():
            if not isinstance(event, Frame):
                continue
            opcode = int(event.opcode)
            if opcode > BINARY:
                messages.append((opcode, bytes(event.data)))
            elif conn.state is State.OPEN:
                self._fragment(event, messages)

    def _fragment(self, frame: Frame, messages: list[Message]) -> None:
        if frame.opcode is not Opcode.CONT:
            self._kind, self._parts, self._size = int(frame.opcode), [], 0
        self._size += len(frame.data)
        if self._parts is not None:
            if self._size > self._message_bytes:
                self._parts = None  # it will be refused: do not keep what has come of it
            else:
                self._parts.append(bytes(frame.data))
        if not frame.fin:
            messages.append((CONT, b""))
            return
        whole = None if self._parts is None else b"".join(self._parts)
        self._parts = None
        self._deliver(self._kind, whole, messages)

    def _deliver(self, kind: int, payload: bytes | None, messages: list[Message]) -> None:
        if kind == TEXT and payload is not None and not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError as error:
                self._conn.fail(INVALID_DATA, f"{error.reason} at position {error.start}")
                return
        messages.append((kind, payload))
