"""A process of sockets that watch a show, answer pings, and note when each revision of it has come to all of them."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Final

from msgspec import Struct

from bench.hub.audience import READ_BYTES, Refused, open_sockets
from clients.load.frames import CLOSE, PING, PONG, TEXT, bounds, masked

_STATE: Final = b'"STATE_UPDATE"'
_REVISION: Final = re.compile(rb'"revision":(\d+)')
_HEAD: Final = 64
"""How far into a message its type is."""


class Arrived(Struct, frozen=True):
    """A revision that all sockets of a process have; ns of the monotonic clock at the first and at the last."""

    revision: int
    first_ns: int
    last_ns: int


class Watchers:
    """Reads until told to stop, or until a socket is lost, which ends the process with the reason."""

    def __init__(self, held: list[socket.socket], control: Connection) -> None:
        self._held = {client.fileno(): client for client in held}
        self._rest: dict[int, bytes] = {}
        self._control = control
        self._counts: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._epoll = select.epoll()
        for descriptor in self._held:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._epoll.register(control.fileno(), select.EPOLLIN)

    def watch(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == self._control.fileno():
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
                if data.find(_STATE, start, start + _HEAD) >= 0:
                    self._state(data[start:end])
            elif opcode == PING:
                self._held[descriptor].send(masked(PONG, data[start:end]))
            elif opcode == CLOSE:
                raise ConnectionError(f"a watcher was closed with {int.from_bytes(data[start : start + 2], 'big')}")
            at = end

    def _state(self, payload: bytes) -> None:
        found = _REVISION.search(payload)
        if found is None:
            return
        now, revision = time.monotonic_ns(), int(found[1])
        first = self._first.setdefault(revision, now)
        self._counts[revision] = count = self._counts.get(revision, 0) + 1
        if count == len(self._held):
            self._control.send(Arrived(revision, first, now))


def watch(control: Connection, sources: Sequence[str], port: int, count: int, request: bytes) -> None:
    """The main function of a process of watchers: opens them, says "open" or why not, then watches."""
    try:
        held = open_sockets(sources, port, count, request, extension=False)
    except (Refused, OSError) as error:
        control.send(str(error))
        return
    control.send("open")
    Watchers(held, control).watch()
