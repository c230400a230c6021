"""The door that every connection comes in by: uvicorn's HTTP protocol with bounds on a request that is slow or large
in coming, WebSocket handshakes included. A connection that exceeds them is cut off without an answer. Requests for
the event stream leave uvicorn here: see events.py."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from broadcast_sync.hub.events import EventStream
from broadcast_sync.hub.events_request import METHODS, StreamRequest
from broadcast_sync.hub.session import STREAM

if TYPE_CHECKING:
    from broadcast_sync.hub.hub import Hub

HEADER_BYTES: Final = 32_768
"""Bytes of a request line and its headers, together."""


class Door(HttpToolsProtocol):
    """`timeout_s`: seconds from the connection, or from the first byte of a later request, until its headers are
    complete. The timer lives only that long; a socket that has come through has none."""

    def __init__(self, *args: Any, hub: Hub, timeout_s: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._hub = hub
        self._stream: StreamRequest | None = None
        self._timeout_s = timeout_s
        self._deadline: asyncio.TimerHandle | None = None
        self._pending = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        self._pending += len(data)
        super().data_received(data)
        if self._stream is not None:
            self._hand_over(self._stream)
        elif self._deadline is not None and self._pending > HEADER_BYTES:
            self._cut_off()

    def on_message_begin(self) -> None:
        if self._stream is None:
            super().on_message_begin()
            if self._deadline is None:
                self._await_headers()

    def on_headers_complete(self) -> None:
        self._headers_came()
        if self._stream is None:
            self._stream = self._asks_for_events()
        if self._stream is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._stream is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._stream is None:
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def _asks_for_events(self) -> StreamRequest | None:
        """The request whose headers have come, if an event stream is its answer. One that was sent before the answer
        to another (pipelined) is not: uvicorn has yet to write on this connection."""
        method = self.parser.get_method().decode("ascii")
        if method not in METHODS or self.url.partition(b"?")[0] != STREAM.encode():
            return None
        if self._should_upgrade() or (self.cycle is not None and not self.cycle.response_complete):
            return None
        return StreamRequest(method, self.url, list(self.headers))

    def _hand_over(self, request: StreamRequest) -> None:
        self.connections.discard(self)
        if not self.transport.is_closing():
            self.flow.resume_reading()
            EventStream(self._hub, self.server_state, self.transport).answer(request)

    def _await_headers(self) -> None:
        self._pending = 0
        self._deadline = self.loop.call_later(self._timeout_s, self._cut_off)

    def _headers_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self) -> None:
        self._headers_came()
        if not self.transport.is_closing():
            self.transport.abort()
