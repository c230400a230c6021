"""The connection under a client: comes up, is lost, comes up again with full jitter; notices silence; knows when to
stop. What is said on it is its owner's."""

from __future__ import annotations

import asyncio
import logging
import random as chance
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from clients.python.connection import (
    BACKOFF,
    DENIED,
    HEARTBEAT,
    Backoff,
    Heartbeat,
    may_reconnect,
    retry_after_s,
)
from clients.python.errors import ConnectionEnded
from clients.python.timers import Timers

FRAME_BYTES: Final = 4 * 1024 * 1024
OUTGOING: Final = 128
"""Messages that may wait to be written; beyond it `send` says False."""
CLOSE_S: Final = 1.0

_log: Final = logging.getLogger("broadcast_sync.client")


class Way(Protocol):
    """What a link tells its owner. All calls come from the event loop; none may block."""

    def opened(self) -> None:
        """Connected; nothing was said yet."""
        ...

    def received(self, frame: str | bytes) -> None: ...

    def quiet(self) -> None:
        """Nothing came for a while: time to ask."""
        ...

    def lost(self, code: int | None) -> None:
        """The connection ended with `code`; another attempt or `finished` follows, unless `finished` came before."""
        ...

    def finished(self, why: ConnectionEnded) -> None:
        """There will be no further connection. Called once."""
        ...


class Link:
    """Keeps one WebSocket open to `url`."""

    def __init__(
        self, url: str, way: Way, *, backoff: Backoff = BACKOFF, heartbeat: Heartbeat = HEARTBEAT,
        compression: bool = True, proxy: str | Literal[True] | None = True,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._url = url
        self._way = way
        self._backoff = backoff
        self._heartbeat = heartbeat
        self._compression: Final = "deflate" if compression else None
        self._proxy: str | Literal[True] | None = proxy
        self._random = random
        self._timers = Timers()
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(OUTGOING)
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._resume_at: float | None = None
        self._attempt = 0
        self._moves = 0
        self._heard = 0.0
        self.connections = 0
        """How often it came up: 1 is the first."""
        self.ended: ConnectionEnded | None = None
        """Why there will be no further connection; None while there may be."""

    def start(self) -> None:
        """Begins to connect, in the background. Does nothing the second time."""
        if self._task is None and self.ended is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="broadcast-sync-link")

    async def close(self) -> None:
        """Ends it for good, with a closing handshake of at most `CLOSE_S`."""
        self._finish(ConnectionEnded(None))
        if self._socket is not None:
            await self._socket.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def open(self) -> bool:
        """True while connected."""
        return self._socket is not None and self.ended is None

    def send(self, text: str) -> bool:
        """False when there is no connection, or too much waits already: nothing was sent."""
        if self._socket is None or self._outgoing.full():
            return False
        self._outgoing.put_nowait(text)
        return True

    def move(self, after_s: float) -> None:
        """The server gives this client its own slot: until then this connection is used for as long as it lasts. Slots
        are spread out by the server, so no jitter is added; unless they follow each other, when somebody sends the
        client in circles."""
        wait_s = after_s + (self._backoff.delay_s(self._moves, self._random()) if self._moves else 0.0)
        self._resume_at = time.monotonic() + wait_s
        self._timers.after("moving", wait_s, self._hang_up)

    def _hang_up(self) -> None:
        if self._socket is not None:
            # held, because a task that nobody holds may be collected before it has run
            self._closing = asyncio.get_running_loop().create_task(self._socket.close())

    def _finish(self, why: ConnectionEnded) -> None:
        if self.ended is None:
            self.ended = why
            self._timers.cancel_all()
            self._way.finished(why)

    async def _run(self) -> None:
        while self.ended is None:
            least_s = 0.0
            try:
                least_s = await self._connect()
            except ConnectionEnded as why:
                self._finish(why)
                return
            except Exception:
                # a fault of ours: treated as a lost connection
                _log.exception("the connection failed unexpectedly")
            if self.ended is None:
                await asyncio.sleep(self._wait_s(least_s))

    def _wait_s(self, least_s: float) -> float:
        """The wait before the next attempt: the slot that the server gave, or else full jitter."""
        if self._resume_at is not None:
            wait_s, self._resume_at = max(0.0, self._resume_at - time.monotonic()), None
            self._moves += 1
            return wait_s
        self._attempt += 1
        return least_s + self._backoff.delay_s(self._attempt - 1, self._random())

    async def _connect(self) -> float:
        """One connection from beginning to end; the least wait before the next in seconds. Raises ConnectionEnded
        when there must be none."""
        try:
            async with connect(
                self._url, compression=self._compression, max_size=FRAME_BYTES, proxy=self._proxy,
                open_timeout=self._heartbeat.lost_s, close_timeout=CLOSE_S, ping_interval=None,
                user_agent_header="broadcast-sync-python",
            ) as socket:
                try:
                    await self._converse(socket)
                finally:
                    self._timers.cancel_all()
                    self._socket = None
                    self._way.lost(socket.close_code)
        except InvalidStatus as error:
            status = error.response.status_code
            if status in DENIED:
                raise ConnectionEnded(status, "the handshake was refused") from None
            return retry_after_s(error.response.headers.get("Retry-After"))
        except (OSError, TimeoutError, WebSocketException) as error:
            _log.debug("no connection: %s", error)
            return 0.0
        if not may_reconnect(socket.close_code):
            raise ConnectionEnded(socket.close_code, socket.close_reason or "")
        return 0.0

    async def _converse(self, socket: ClientConnection) -> None:
        while not self._outgoing.empty():
            self._outgoing.get_nowait()  # was meant for the connection before
        self._socket = socket
        self._resume_at = None
        self.connections += 1
        writer = asyncio.create_task(self._write(socket))
        try:
            self._heard = time.monotonic()
            self._timers.after("settled", self._backoff.settled_s, self._settled)
            self._timers.after("silence", self._heartbeat.ask_s, self._check_silence)
            self._way.opened()
            async for frame in socket:
                self._heard = time.monotonic()
                self._way.received(frame)
        except ConnectionClosed:
            pass  # its code says what to do next
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _settled(self) -> None:
        """This connection was a good one: the next loss starts the backoff anew."""
        self._attempt = self._moves = 0

    def _check_silence(self) -> None:
        silent_s = time.monotonic() - self._heard
        ask_s, lost_s = self._heartbeat.ask_s, self._heartbeat.lost_s
        if silent_s >= lost_s:
            if self._socket is not None:
                self._socket.transport.abort()
            return
        if silent_s >= ask_s:
            self._way.quiet()
        wait_s = (lost_s if silent_s >= ask_s else ask_s) - silent_s
        self._timers.after("silence", max(0.05, wait_s), self._check_silence)

    async def _write(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):  # the reader learns it too, with its code
            while True:
                await socket.send(await self._outgoing.get())
