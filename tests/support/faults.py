"""A proxy that is a bad network: it knows WebSocket frames, and drops, delays, duplicates and reorders them, cuts
connections in mid-frame and swallows whole ones without a word. What it does is drawn from a given `Random`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from msgspec import Struct

HELD_S: Final = 0.1
"""A frame that is held back for the next one to overtake it goes out after this if there is none."""
DATA: Final = frozenset({0x1, 0x2})
"""Opcodes of text and binary frames; control frames are left alone."""
END: Final = b"\r\n\r\n"


class Faults(Struct, frozen=True):
    """The share of data frames, of either direction, that each of these happens to; at most one to each."""

    drop: float = 0.0
    duplicate: float = 0.0
    overtake: float = 0.0
    """It comes after the next one."""
    delay: float = 0.0
    """It, and what follows it, waits for up to `delay_s`."""
    cut: float = 0.0
    """Half of it arrives, then the connection is gone."""
    hole: float = 0.0
    """From it on nothing arrives, either way, and nobody is told."""
    delay_s: float = 0.04

    def draw(self, random: Random) -> str:
        """The fault of one frame; empty for none."""
        roll = random.random()
        for name in ("drop", "duplicate", "overtake", "delay", "cut", "hole"):
            share: float = getattr(self, name)
            if roll < share:
                return name
            roll -= share
        return ""


CALM: Final = Faults()


class FaultProxy:
    """Stands before 127.0.0.1:`port`. `faults` may be changed at any time, for connections that are open too."""

    def __init__(self, port: int, random: Random) -> None:
        self._port = port
        self._random = random
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.faults = CALM
        self.shut = b""
        """While not empty: what each new connection is answered before it is closed. `HANG_UP` for nothing, at once."""
        self.port = 0
        self.opened = 0
        """Connections that have come, those that found it shut included."""
        self.inflicted: Counter[str] = Counter()
        self.struck: Callable[[], None] = lambda: None
        """Called with each of them, and with each connection."""

    def draw(self) -> str:
        fault = self.faults.draw(self._random)
        if fault:
            self.inflicted[fault] += 1
            self.struck()
        return fault

    def delay_s(self) -> float:
        return self._random.uniform(0, self.faults.delay_s)

    def cut_all(self) -> None:
        """Every open connection is gone."""
        for connection in list(self._connections):
            connection.abort()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FaultProxy]:
        """Listens on a port of its own until left."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for _ in range(3):
                await asyncio.sleep(0)  # whoever has just been accepted gets as far as `_accept`
            self.cut_all()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)  # transports close in the turn after

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.struck()
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # either side may go at any time
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            if self.shut:
                if self.shut != HANG_UP:
                    await reader.readuntil(END)
                    writer.write(self.shut)
                return
            connection = _Connection(self, reader, writer, *await asyncio.open_connection("127.0.0.1", self._port))
            self._connections.add(connection)
            try:
                await connection.run()
            finally:
                self._connections.discard(connection)


HANG_UP: Final = b"-"


class _Connection:
    """A client and its way to the server."""

    def __init__(
        self, proxy: FaultProxy, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader, to_server: asyncio.StreamWriter,
    ) -> None:
        self.proxy = proxy
        self.swallowed = False
        self._writers = (to_client, to_server)
        self._ways = (_Way(self, from_client, to_server), _Way(self, from_server, to_client))

    async def run(self) -> None:
        """Until either side has gone."""
        ways = [asyncio.create_task(way.run()) for way in self._ways]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for writer in self._writers:
                writer.close()

    def abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


class _Way:
    """One direction: the head of the handshake as it is, then frame by frame."""

    def __init__(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connection = connection
        self._proxy = connection.proxy
        self._reader = reader
        self._writer = writer
        self._held = b""
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        try:
            self._writer.write(await self._reader.readuntil(END))
            while True:
                frame = await read_frame(self._reader)
                if self._connection.swallowed:
                    continue
                fault = self._proxy.draw() if frame[0] & 0x0F in DATA else ""
                if fault == "cut":
                    self._writer.write(frame[: len(frame) // 2])
                    return
                await self._pass_on(frame, fault)
        except (OSError, asyncio.IncompleteReadError):
            return  # gone
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _pass_on(self, frame: bytes, fault: str) -> None:
        if fault == "hole":
            self._connection.swallowed = True
        elif fault == "overtake" and not self._held:
            self._held = frame
            self._timer = asyncio.get_running_loop().call_later(HELD_S, self._release)
        elif fault != "drop":
            if fault == "delay":
                await asyncio.sleep(self._proxy.delay_s())
            self._writer.write(frame * 2 if fault == "duplicate" else frame)
            self._release()
            await self._writer.drain()

    def _release(self) -> None:
        held, self._held = self._held, b""
        if held and not self._connection.swallowed:
            self._writer.write(held)


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """One whole frame of either direction, as it came (RFC 6455, 5.2)."""
    head = await reader.readexactly(2)
    length = head[1] & 0x7F
    extended = {126: 2, 127: 8}.get(length, 0)
    if extended:
        head += await reader.readexactly(extended)
        length = int.from_bytes(head[2:], "big")
    mask = 4 if head[1] & 0x80 else 0
    return head + await reader.readexactly(mask + length)
