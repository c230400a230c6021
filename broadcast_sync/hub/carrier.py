"""A connection that carries a session: what sockets and event streams have in common as asyncio protocols."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from random import randint
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog
from uvicorn.server import ServerState

from broadcast_sync.hub.closes import ABNORMAL, SERVER_ERROR
from broadcast_sync.hub.session import Session
from broadcast_sync.ids import uuid7
from broadcast_sync.wire.formats import Format

if TYPE_CHECKING:
    from broadcast_sync.hub.hub import Hub

HIGH_WATER: Final = 0
"""Bytes uvloop may hold for a socket before its session keeps what follows. None: the kernel's buffer is the only
queue of old news, and what waits with us is bounded and kept up to date by the outbox."""
AFTER_MS: Final = 5_000
"""Within this time those come back that uvicorn sends away."""

_log = structlog.get_logger()


class Carrier(asyncio.Protocol, ABC):
    """Takes a connection over from uvicorn with `take`, and carries its session from `carry` on. `address` is whose
    it is. A session.Connection."""

    __slots__ = ("_address", "_hub", "_server_state", "_session", "_transport")

    def __init__(self, hub: Hub, server_state: ServerState, address: str) -> None:
        self._hub = hub
        self._server_state = server_state
        self._address = address
        self._session: Session | None = None
        self._transport: asyncio.Transport

    def take(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(HIGH_WATER)
        # typed as uvicorn's own protocols, of which this is used: shutdown() and membership
        self._server_state.connections.add(self)  # type: ignore[arg-type]

    def new_session(self, kind: type[Session], write: Callable[[bytes], None], path: str, format: Format) -> Session:
        """A session of this connection, which it has not begun to carry."""
        hub = self._hub
        return kind(hub, self, write, str(uuid7(hub.clock.now_ms())), path, self._address, format, monotonic())

    def carry(self, session: Session, first: list[bytes], greet: Callable[[], None]) -> None:
        """What `greet` makes the session say goes out in one piece behind `first`, of which it is made part. If it
        fails the session is closed (4005)."""
        self._session = session
        try:
            greet()
        except Exception:
            failed = True
            _log.exception("join_failed", session=session.id)
        else:
            failed = False
        session.write = self._transport.write
        self._transport.write(b"".join(first))
        if failed:
            session.close(SERVER_ERROR)

    # --- called by the transport and uvicorn ------------------------------------------------------------------

    def eof_received(self) -> None:
        """The client has hung up; returning None closes the transport once what was written is out."""
        if self._session is not None:
            self._session.ended(ABNORMAL)
            self._hub.watch.closing(self._session)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server_state.connections.discard(self)
        if self._session is not None:
            self._session.ended(ABNORMAL)
            self._session.gone()
            self._hub.left(self._session, monotonic())

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.pause()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.resume()

    def shutdown(self) -> None:
        """uvicorn is shutting down: what `Hub.stop` does, for this one connection."""
        if self._session is not None:
            self._session.dismiss(randint(0, AFTER_MS), "shutdown")
        else:
            self._transport.close()

    # --- called by the session --------------------------------------------------------------------------------

    @abstractmethod
    def send_close(self, code: int, reason: str) -> None: ...

    @abstractmethod
    def ping(self) -> bool: ...

    def hold(self) -> None:
        """What the client says stays in the kernel from now on; `send_close` passes over it."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def unsent(self) -> int:
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        self._transport.abort()
