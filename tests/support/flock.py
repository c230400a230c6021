"""Many clients in one loop: raw sockets that keep their place in channel `show`, as the SDKs do, and say when anything
of it was missed or came twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import msgspec
from msgspec import Raw, Struct

from clients.load.frames import CLOSE, PING, PONG, TEXT, bounds, masked

HANDSHAKE: Final = (
    b"GET /voting/sync HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PER_ADDRESS: Final = 1_000
CONNECTING: Final = 200
"""Handshakes under way at once."""


class _Head(Struct):
    type: str
    data: Raw
    channel: str = ""
    epoch: str = ""
    offset: int = -1


_head = msgspec.json.Decoder(_Head)


class Member(asyncio.Protocol):
    """One client, connection after connection. `faults` says what of `show` went wrong, in words."""

    def __init__(self, flock: Flock, source: str) -> None:
        self.flock = flock
        self.epoch = ""
        self.offset = 0
        """The last event taken."""
        self.taken = 0
        self.recovered: list[bool] = []
        """Of each SUBSCRIBED of `show`."""
        self.faults: list[str] = []
        self.close_code = 0
        self.lost = asyncio.Event()
        self.answers: list[tuple[str, Any]] = []
        """What VOTE and AUTH brought: type and data."""
        self._source = source
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._upgraded: asyncio.Future[bytes] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._snapshot = False

    # --- what a test tells it ---------------------------------------------------------------------------------

    async def join(self, port: int, token: str | None = None) -> None:
        """Connects, asks for what it has missed since its place (or for a snapshot the first time) and returns when
        SUBSCRIBED is there. Comes back later if the door says so. Raises ConnectionError if the server hangs up."""
        loop = asyncio.get_running_loop()
        while True:
            self._upgraded, self._ready = loop.create_future(), loop.create_future()
            self._rest, self.close_code = b"", 0
            self.lost.clear()
            await loop.create_connection(lambda: self, "127.0.0.1", port, local_addr=(self._source, 0))
            self.write(HANDSHAKE)
            head = await self._upgraded
            if head.startswith(b"HTTP/1.1 101"):
                break
            self.leave()
            await self.lost.wait()
            await asyncio.sleep(_retry_after(head) * random.uniform(1.0, 1.5))
        if token is not None:
            self.say({"type": "AUTH", "token": token})
        since = {"show": {"epoch": self.epoch, "offset": self.offset}} if self.epoch else {}
        self.say({"type": "SUBSCRIBE", "channels": ["show"], "since": since})
        await self._ready

    def say(self, message: dict[str, Any]) -> None:
        self.write(masked(TEXT, json.dumps(message).encode()))

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def stall(self) -> None:
        """Reads nothing more, until `read_on`."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def leave(self, *, goodbye: bool = False) -> None:
        """Hangs up, with a close frame or without a word."""
        if goodbye:
            self.write(masked(CLOSE, b"\x03\xe8"))
        if self._transport is not None:
            self._transport.close() if goodbye else self._transport.abort()

    # --- what arrives -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost.set()
        for waiting in (self._upgraded, self._ready):
            if waiting is not None and not waiting.done():
                waiting.set_exception(ConnectionError(f"lost before it was there ({self.close_code})"))
                waiting.exception()  # looked at here: nobody may be waiting any more
        self.flock.moved()

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at, size = 0, len(data)
        if self._upgraded is not None and not self._upgraded.done():
            at = data.find(b"\r\n\r\n") + 4
            if at < 4:
                self._rest = data
                return
            self._upgraded.set_result(data[:at])
            if not data.startswith(b"HTTP/1.1 101"):
                return
        self._rest = b""
        while at < size:
            start, end = bounds(data, at)
            if start == 0 or end > size:
                self._rest = data[at:]
                return
            opcode = data[at] & 0x0F
            if opcode == TEXT:
                self._message(_head.decode(data[start:end]))
            elif opcode == PING:
                self.write(masked(PONG, data[start:end]))
            elif opcode == CLOSE:
                self.close_code = int.from_bytes(data[start : start + 2], "big")
                self.leave(goodbye=True)
            at = end

    def _message(self, head: _Head) -> None:
        if head.type == "SUBSCRIBED":
            self._subscribed(msgspec.json.decode(head.data))
        elif head.channel == "show" and head.offset >= 0:
            if self._ready is not None and self._ready.done():  # what comes before SUBSCRIBED is not asked for
                self._event(head.epoch, head.offset)
        elif head.type in ("VOTE_ACK", "ERROR", "AUTH_OK"):
            self.answers.append((head.type, msgspec.json.decode(head.data)))
            self.flock.moved()

    def _subscribed(self, data: dict[str, Any]) -> None:
        self.recovered.append(data["recovered"])
        if not data["recovered"]:
            self.epoch, self.offset, self._snapshot = data["epoch"], data["offset"], True
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        self.flock.moved()

    def _event(self, epoch: str, offset: int) -> None:
        if self._snapshot and epoch == self.epoch and offset <= self.offset:
            return
        self._snapshot = False
        if epoch != self.epoch:
            self.faults.append(f"epoch {epoch} after {self.epoch}")
        elif offset <= self.offset:
            self.faults.append(f"{offset} came again after {self.offset}")
        elif offset != self.offset + 1:
            self.faults.append(f"{offset} came after {self.offset}")
        self.epoch, self.offset = epoch, offset
        self.taken += 1
        self.flock.moved()


def _retry_after(head: bytes) -> float:
    status = head.partition(b"\r\n")[0].decode("latin-1")
    assert " 503 " in status or " 429 " in status, status
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"retry-after":
            return float(value)
    return 1.0


class Flock:
    """`count` members, from as many addresses of this machine as a server's limit for one allows."""

    def __init__(self, count: int) -> None:
        self._moved = asyncio.Event()
        self.members = [Member(self, f"127.0.7.{1 + number // PER_ADDRESS}") for number in range(count)]

    def moved(self) -> None:
        """Something has happened to some member."""
        self._moved.set()

    async def until(self, condition: Callable[[], bool], timeout_s: float = 60) -> None:
        """Until `condition` holds, looked at whenever something has happened. TimeoutError after `timeout_s`."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    async def join(self, port: int, members: Sequence[Member] | None = None) -> None:
        """All of them, some at a time."""
        gate = asyncio.Semaphore(CONNECTING)

        async def one(member: Member) -> None:
            async with gate:
                await member.join(port)

        await asyncio.gather(*(one(member) for member in (self.members if members is None else members)))

    def leave(self) -> None:
        for member in self.members:
            member.leave()
