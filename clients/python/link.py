"""The connection under a client: comes up, is lost, comes up again; says AUTH; knows when to stop."""

from __future__ import annotations

import asyncio
import logging
import random as chance
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Literal, Protocol, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from broadcast_sync.wire.client import Auth
from clients.python.connection import BACKOFF, DENIED, Backoff, may_reconnect, retry_after_s
from clients.python.errors import ConnectionEnded
from clients.python.messages import encode

Token: TypeAlias = "str | Callable[[], Awaitable[str]]"
"""A JWT, or where to get a fresh one: called for each new connection."""

FRAME_BYTES: Final = 4 * 1024 * 1024
OUTGOING: Final = 128
"""Messages that may wait to be written; beyond it `send` says False."""
CLOSE_S: Final = 1.0
LOST_POSITION: Final = 4004
INVALID_TOKEN: Final = 4500

_log: Final = logging.getLogger("broadcast_sync.client")


class Way(Protocol):
    """What a link tells its owner. All calls come from the event loop; none may block."""

    def opened(self) -> None:
        """Connected; nothing was said yet."""
        ...

    def established(self) -> None:
        """Connected, and accepted if there is a token."""
        ...

    def received(self, frame: str | bytes) -> None: ...

    def lost(self, code: int | None) -> None:
        """The connection ended with `code`; another attempt or `finished` follows, unless `finished` came before."""
        ...

    def finished(self, why: ConnectionEnded) -> None:
        """There will be no further connection. Called once."""
        ...


class Link:
    """Keeps one WebSocket open to `url`. `live`: connected, and with a token accepted."""

    def __init__(
        self, url: str, way: Way, *, token: Token | None = None, backoff: Backoff = BACKOFF,
        compression: bool = True, proxy: str | Literal[True] | None = True,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._url = url
        self._way = way
        self._token = token
        self._backoff = backoff
        self._compression: Final = "deflate" if compression else None
        self._proxy: str | Literal[True] | None = proxy
        self._random = random
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(OUTGOING)
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._resume_at: float | None = None
        self.live = False
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

    def send(self, text: str) -> bool:
        """False when there is no connection, or too much waits already: nothing was sent."""
        if self._socket is None or self._outgoing.full():
            return False
        self._outgoing.put_nowait(text)
        return True

    def accepted(self) -> None:
        """AUTH_OK has arrived."""
        if not self.live and self._socket is not None:
            self._establish()

    def token_refused(self, message: str) -> None:
        """AUTH was refused. The same token would be refused again; a source of tokens is asked for another one."""
        if self.live:
            return
        if isinstance(self._token, str):
            self._finish(ConnectionEnded(INVALID_TOKEN, message))
        self.hang_up()

    def move(self, after_s: float) -> None:
        """The server gives us our own slot: until then this connection is used for as long as it lasts."""
        self._resume_at = time.monotonic() + after_s
        asyncio.get_running_loop().call_later(after_s, self._move, self._socket)

    def hang_up(self) -> None:
        """Ends this connection; another one follows."""
        if self._socket is not None:
            # held, because a task that nobody holds may be collected before it has run
            self._closing = asyncio.get_running_loop().create_task(self._socket.close())

    def _move(self, socket: ClientConnection | None) -> None:
        if socket is self._socket:
            self.hang_up()

    def _finish(self, why: ConnectionEnded) -> None:
        if self.ended is None:
            self.ended = why
            self.live = False
            self._way.finished(why)

    def _establish(self) -> None:
        self.connections += 1
        self.live = True
        self._way.established()

    async def _run(self) -> None:
        attempt = 0
        while self.ended is None:
            began = time.monotonic()
            wait_s = 0.0
            try:
                wait_s = await self._connect()
            except ConnectionEnded as why:
                self._finish(why)
                return
            except Exception:
                # a fault of ours, or of the source of tokens: treated as a lost connection
                _log.exception("the connection failed unexpectedly")
            if time.monotonic() - began >= self._backoff.settled_s:
                attempt = 0
            if self._resume_at is not None:
                wait_s, self._resume_at = max(0.0, self._resume_at - time.monotonic()), None
            else:
                wait_s += self._backoff.delay_s(attempt, self._random())
                attempt += 1
            if self.ended is None:
                await asyncio.sleep(wait_s)

    async def _connect(self) -> float:
        """One connection from beginning to end; the least wait before the next in seconds. Raises ConnectionEnded
        when there must be none."""
        try:
            async with connect(
                self._url, compression=self._compression, max_size=FRAME_BYTES, proxy=self._proxy,
                close_timeout=CLOSE_S, user_agent_header="broadcast-sync-python",
            ) as socket:
                try:
                    await self._converse(socket)
                finally:
                    self.live = False
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
        writer = asyncio.create_task(self._write(socket))
        try:
            self._way.opened()
            if self._token is None:
                self._establish()
            else:
                token = self._token if isinstance(self._token, str) else await self._token()
                self.send(encode(Auth(token)))
            async for frame in socket:
                self._way.received(frame)
        except ConnectionClosed:
            pass  # its code says what to do next
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):  # the reader learns it too, with its code
            while True:
                await socket.send(await self._outgoing.get())
