"""Processes of sockets that watch a show, answer pings, and note when each revision of it has come to all of them.

Reading 15,000 sockets in Python takes longer than filling them, and takes the server its processor. So one socket in
`ONE_IN`, spread over the order in which they joined, is read at once and tells the time; a process of low priority
reads the others when there is time. The sample's last socket stands for the last of all, but for a few hundredths of a
fan-out.
"""

from __future__ import annotations

import os
import re
import select
import socket
import time
import zlib
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Final

from msgspec import Struct

from bench.hub.audience import READ_BYTES, Refused, open_sockets
from clients.load.frames import CLOSE, PING, PONG, TEXT, bounds, masked

ONE_IN: Final = 30
LOW_PRIORITY: Final = 19
_STATE: Final = b'"STATE_UPDATE"'
_REVISION: Final = re.compile(rb'"revision":(\d+)')
_HEAD: Final = 64
"""How far into a message its type is."""
_COMPRESSED: Final = 0x40
"""RSV1 of a frame's first byte."""
_KEPT: Final = 64


class Arrived(Struct, frozen=True):
    """A revision that all sockets read at once have; ns of the monotonic clock at the first and at the last."""

    revision: int
    first_ns: int
    last_ns: int


class Watchers:
    """Reads until `stop` becomes readable, or until a socket is lost, which ends the process with the reason."""

    def __init__(self, held: Sequence[socket.socket], stop: int, tell: Callable[[Arrived], None]) -> None:
        self._held = {client.fileno(): client for client in held}
        self._rest: dict[int, bytes] = {}
        self._stop = stop
        self._tell = tell
        self._came: dict[int, tuple[int, int]] = {}
        """By revision: when it came first, and to how many so far."""
        self._inflated: dict[bytes, bytes] = {}
        """The same bytes come to all: inflated once."""
        self._epoll = select.epoll()
        for descriptor in (*self._held, stop):
            self._epoll.register(descriptor, select.EPOLLIN)

    def watch(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == self._stop:
                    return
                self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        data = self._held[descriptor].recv(READ_BYTES)
        if not data:
            raise ConnectionError("the server hung up on a watcher")
        data = self._rest.pop(descriptor, b"") + data
        at, size = 0, len(data)
        while at < size:
            start, end = bounds(data, at)
            if start == 0 or end > size:
                self._rest[descriptor] = data[at:]
                return
            opcode = data[at] & 0x0F
            if opcode == TEXT:
                payload = data[start:end]
                self._text(self._inflate(payload) if data[at] & _COMPRESSED else payload)
            elif opcode == PING:
                self._held[descriptor].send(masked(PONG, data[start:end]))
            elif opcode == CLOSE:
                raise ConnectionError(f"a watcher was closed with {int.from_bytes(data[start : start + 2], 'big')}")
            at = end

    def _inflate(self, payload: bytes) -> bytes:
        text = self._inflated.get(payload)
        if text is None:
            if len(self._inflated) >= _KEPT:
                self._inflated.clear()
            text = self._inflated[payload] = zlib.decompressobj(-12).decompress(payload + b"\0\0\xff\xff")
        return text

    def _text(self, payload: bytes) -> None:
        if payload.find(_STATE, 0, _HEAD) < 0:
            return
        found = _REVISION.search(payload)
        if found is None:
            return
        now, revision = time.monotonic_ns(), int(found[1])
        first, count = self._came.get(revision, (now, 0))
        self._came[revision] = first, count + 1
        if count + 1 == len(self._held):
            self._tell(Arrived(revision, first, now))


def watch(control: Connection, sources: Sequence[str], port: int, count: int, request: bytes) -> None:
    """The main function of a process of watchers: opens them, says "open" or why not, then watches the sample; a child
    of its own, which ends with it, reads the others."""
    try:
        held = open_sockets(sources, port, count, request, extension=True)
    except (Refused, OSError) as error:
        control.send(str(error))
        return
    gone, alive = os.pipe()
    if os.fork():
        os.close(gone)
        control.send("open")
        Watchers(held[::ONE_IN], control.fileno(), control.send).watch()
    else:
        os.close(alive)  # the parent has the only other end: when it is gone, this end says so
        control.close()
        os.nice(LOW_PRIORITY)
        Watchers([client for at, client in enumerate(held) if at % ONE_IN], gone, lambda arrived: None).watch()
        os._exit(0)
