"""The door that every connection comes in by: uvicorn's HTTP protocol with bounds on a request that is slow or large
in coming, WebSocket handshakes included. A connection that exceeds them is cut off without an answer."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES: Final = 32_768
"""Bytes of a request line and its headers, together."""


class Door(HttpToolsProtocol):
    """`timeout_s`: seconds from the connection, or from the first byte of a later request, until its headers are
    complete. The timer lives only that long; a socket that has come through has none."""

    def __init__(self, *args: Any, timeout_s: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timeout_s = timeout_s
        self._deadline: asyncio.TimerHandle | None = None
        self._pending = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        self._pending += len(data)
        super().data_received(data)
        if self._deadline is not None and self._pending > HEADER_BYTES:
            self._cut_off()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._await_headers()

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

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
