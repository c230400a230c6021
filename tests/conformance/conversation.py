"""One raw conversation with a server: bytes go out in the pieces a test wants, frames come back until the end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from tests.conformance.rfc6455 import BINARY, CLOSE, NO_STATUS, PING, PONG, TEXT, Answers

HANDSHAKE: Final = (
    "GET /voting/sync HTTP/1.1\r\nHost: conformance\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
PATIENCE_S: Final = 10.0
MARK: Final = b"\x00echo\x00"
"""What the echoing server puts before each payload it echoes, so that a refusal is no echo."""


class Said(Struct, frozen=True):
    """A frame of the server."""

    opcode: int
    payload: bytes
    compressed: bool = False


class Conversation:
    """A socket after its handshake. `headers` are further lines of it, such as an offer of an extension."""

    def __init__(self, port: int, *headers: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall("".join((HANDSHAKE, *(f"{line}\r\n" for line in headers), "\r\n")).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = self._socket.recv(65_536)
            assert data, "the handshake was answered by hanging up"
            answer += data
        head, _, self._rest = answer.partition(b"\r\n\r\n")
        self.head = head.decode()

    @property
    def extensions(self) -> str:
        """The answer's Sec-WebSocket-Extensions; empty if there is none."""
        fields = dict(line.lower().split(": ", 1) for line in self.head.split("\r\n")[1:])
        return fields.get("sec-websocket-extensions", "")

    def send(self, *pieces: bytes) -> None:
        """Each piece in a segment of its own, as far as the kernel lets us. What a server that has hung up does not
        take is no news here: its answers are."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                self._socket.sendall(piece)

    def frames(self) -> list[Said]:
        """Everything that the server says until it ends the connection, and our side is closed too."""
        data = bytearray(self._rest)
        with contextlib.suppress(ConnectionResetError):
            while more := self._socket.recv(65_536):
                data += more
        self.close()
        return read_frames(bytes(data))

    def next_frame(self) -> Said:
        """The next frame of the server; what follows it is kept."""
        while True:
            with contextlib.suppress(IndexError):
                said, end = _frame(self._rest, 0)
                self._rest = self._rest[end:]
                return said
            data = self._socket.recv(65_536)
            assert data, "the server ended the connection"
            self._rest += data

    def hang_up(self) -> None:
        """Says that nothing more will come, and still listens."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()


def read_frames(data: bytes) -> list[Said]:
    """The frames of a server, each held against what a server may send."""
    found, at = [], 0
    while at < len(data):
        said, at = _frame(data, at)
        found.append(said)
    return found


def _frame(data: bytes, at: int) -> tuple[Said, int]:
    """The frame at `at` and where it ends. IndexError if it is not whole."""
    first, second = data[at], data[at + 1]
    assert first >= 0x80, "a server of ours never fragments"
    assert second < 0x80, "a server never masks (5.1)"
    assert first & 0x30 == 0, "RSV2 and RSV3 mean nothing"
    opcode, length, start = first & 0x0F, second, at + 2
    if second >= 126:
        start += 2 if second == 126 else 8
        data[start - 1]
        length = int.from_bytes(data[at + 2 : start], "big")
        assert length > (125 if second == 126 else 0xFFFF), "lengths are minimal (5.2)"
    assert opcode in {TEXT, BINARY, CLOSE, PING, PONG}
    assert opcode < CLOSE or (length <= 125 and not first & 0x40)
    end = start + length
    if end > len(data):
        raise IndexError
    return Said(opcode, data[start:end], bool(first & 0x40)), end


def answers(said: Sequence[Said]) -> Answers:
    """What a server said after its WELCOME, as the model has it; the close frame must be its last word."""
    replies: list[bytes | None] = []
    pongs: list[bytes] = []
    code: int | None = None
    for frame in said[1:]:
        assert code is None, f"{frame} after the close frame (5.5.1)"
        if frame.opcode == PONG:
            pongs.append(frame.payload)
        elif frame.opcode == CLOSE:
            code = int.from_bytes(frame.payload[:2], "big") if frame.payload else NO_STATUS
            frame.payload[2:].decode()
        elif frame.payload.startswith(MARK):
            replies.append(frame.payload.removeprefix(MARK))
        else:
            assert b"ERROR" in frame.payload, frame
            replies.append(None)
    return Answers(tuple(replies), tuple(pongs), frozenset() if code is None else frozenset({code}))
