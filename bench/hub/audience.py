"""A process of clients: raw sockets, as many as one process may open, that count what arrives and when."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Final

from msgspec import Struct

MOST: Final = 10_000
"""Sockets of one process: half of the files it may open."""
PER_ADDRESS: Final = 2_500
"""Sockets from one address, as a hub's limit has it that is kind to a town behind one."""
CONNECTING: Final = 100
"""Handshakes under way at once."""
HANDSHAKE_S: Final = 30.0
READ_BYTES: Final = 262_144
SILENCE_S: Final = 0.4
"""With nothing arriving for so long, a message of unknown length is over."""
LEARN: Final = -1
STOP: Final = 0


class Refused(Exception):
    """A handshake was not answered as the contender's row needs it; the text says how."""


class Heard(Struct, frozen=True):
    """One message on all sockets of a process: its bytes, and when the first and the last of them arrived (ns of
    the monotonic clock, which all processes share)."""

    received: int
    first_ns: int
    last_ns: int


def addresses(number: int, count: int) -> list[str]:
    """Addresses of this machine for `count` sockets of process `number`, 0 to 250."""
    return [f"127.{1 + number}.0.{1 + each}" for each in range(-(-count // PER_ADDRESS))]


def open_sockets(
    sources: Sequence[str], port: int, count: int, request: bytes, extension: bool
) -> list[socket.socket]:
    """`count` sockets from `sources` by turns to 127.0.0.1:`port`, through their handshakes, non-blocking. Raises
    Refused."""
    opened: list[socket.socket] = []
    while len(opened) < count:
        batch = []
        for number in range(len(opened), min(len(opened) + CONNECTING, count)):
            client = socket.socket()
            client.settimeout(HANDSHAKE_S)
            client.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            client.bind((sources[number % len(sources)], 0))
            client.connect(("127.0.0.1", port))
            if request:
                client.send(request)
            batch.append(client)
        for client in batch:
            if request:
                _check(_answer(client), extension)
            client.setblocking(False)
        opened += batch
    return opened


def _answer(client: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        try:
            data = client.recv(READ_BYTES)
        except TimeoutError:
            raise Refused(f"a handshake had no answer within {HANDSHAKE_S:.0f} s") from None
        if not data:
            raise Refused("a handshake was answered by hanging up")
        answer += data
    return answer


def _check(answer: bytes, extension: bool) -> None:
    head = answer.partition(b"\r\n\r\n")[0]
    if not head.startswith(b"HTTP/1.1 101"):
        raise Refused(f"a handshake was answered {head.partition(chr(13).encode())[0].decode('latin-1')!r}")
    if extension and b"permessage-deflate" not in head.lower():
        raise Refused("the server does not agree to permessage-deflate")


class Audience:
    """Sockets and what has come on them since they were last asked."""

    def __init__(self, held: list[socket.socket], control: Connection) -> None:
        self._held = {client.fileno(): client for client in held}
        self._control = control
        self._epoll = select.epoll()
        for descriptor in self._held:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._epoll.register(control.fileno(), select.EPOLLIN)
        self._buffer = bytearray(READ_BYTES)
        self._received = self._first = self._last = 0

    def obey(self) -> None:
        """A number of bytes as command: says `Heard` once so many have come. LEARN: once some have come and no more
        follow. STOP ends it."""
        wanted: int | None = None
        while True:
            learning = wanted == LEARN and self._received > 0
            events = self._epoll.poll(SILENCE_S if learning else None)
            for descriptor, _ in events:
                if descriptor != self._control.fileno():
                    self._read(self._held[descriptor])
                    continue
                wanted = self._control.recv()
                if wanted == STOP:
                    return
                self._received = self._first = self._last = 0
                self._control.send("listening")
            if wanted is None:
                continue
            if (learning and not events) or (wanted > 0 and self._received >= wanted):
                self._control.send(Heard(self._received, self._first, self._last))
                wanted = None

    def _read(self, client: socket.socket) -> None:
        count = client.recv_into(self._buffer)
        if not count:
            raise ConnectionError("the server hung up in the middle of a run")
        self._received += count
        self._last = time.monotonic_ns()
        if not self._first:
            self._first = self._last


def attend(
    control: Connection, sources: Sequence[str], port: int, count: int, request: bytes, extension: bool
) -> None:
    """The main function of a process of clients: opens them, says "open" or why not, then obeys."""
    try:
        held = open_sockets(sources, port, count, request, extension)
    except (Refused, OSError) as error:
        control.send(str(error))
        return
    control.send("open")
    Audience(held, control).obey()
