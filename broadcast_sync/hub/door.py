"""The door that every connection comes in by: uvicorn's HTTP protocol with bounds on what is slow or large in coming,
or slow in being taken, WebSocket handshakes included. Who exceeds them is cut off without an answer. What comes from a
host or a page that is not allowed, or finds no room, is turned away here, before anything is made for it. Requests for
the event stream leave uvicorn here: see events.py."""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from broadcast_sync.hub.admission import Refused
from broadcast_sync.hub.events import EventStream
from broadcast_sync.hub.events_request import METHODS, StreamRequest
from broadcast_sync.hub.provenance import host_allowed, origin_allowed, values
from broadcast_sync.hub.session import STREAM

if TYPE_CHECKING:
    from broadcast_sync.hub.hub import Hub

HEADER_BYTES: Final = 32_768
"""Bytes of a request line and its headers, together."""
STALLED_S: Final = 60.0
"""Seconds a client may leave a response lying that it does not read."""

MISDIRECTED: Final = Refused(HTTPStatus.MISDIRECTED_REQUEST, "This host is not served here.", 0)
FOREIGN: Final = Refused(HTTPStatus.FORBIDDEN, "Pages of this origin may not connect here.", 0)
TOO_LARGE: Final = Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large.", 0)


class Door(HttpToolsProtocol):
    """One connection until it is a socket or ends. `handshake_timeout_s` runs from the connection, or from the first
    byte of a later request, until that request is whole, its body included; between two requests uvicorn's keep-alive
    does. A timer lives only that long; a socket that has come through has none."""

    def __init__(self, *args: Any, hub: Hub, **options: Any) -> None:
        super().__init__(*args, **options)
        self._hub = hub
        self._limits = hub.settings.hub
        self._stream: StreamRequest | None = None
        self._over = False
        """True once nothing more is read here: turned away, or handed over."""
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._nearest: tuple[str, int] | None = None
        self._peer = ""

    # --- the connection ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._nearest = self.client
        self._peer = self.client[0] if self.client else ""
        # of all together: a crowd in the midst of its handshakes may use the room that sockets do not need yet
        if len(self.connections) > self._limits.max_sockets + self._limits.max_http:
            self._turn_away(self._hub.admission.busy(monotonic(), "No room for another request here now."))
        else:
            self._await_request()

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._await_request()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._stream is not None and not self._over:
            self._hand_over(self._stream)
        elif self._in_head and self._deadline is not None and self._head_bytes > HEADER_BYTES:
            self._cut_off()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_S, self._cut_off)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timers()
        super().connection_lost(exc)

    # --- one request, as the parser tells of it ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._over or self._stream is not None:
            return
        super().on_message_begin()
        if self._deadline is None:
            self._await_request()

    def on_headers_complete(self) -> None:
        if self._over or self._stream is not None:
            return
        self._in_head, self._body_bytes = False, 0
        address = self._hub.proxies.client(self._peer, self.headers)
        self.client = self.scope["client"] = self._nearest if address == self._peer else (address, 0)
        self._stream = self._asks_for_events()
        refused = self._judge()
        if refused is not None:
            self._turn_away(refused)
        elif self._stream is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._over or self._stream is not None:
            return
        if self._body_bytes <= self._limits.request_bytes:
            super().on_body(body)
            return
        if not self.cycle.response_started and not self.pipeline:
            self.cycle.disconnected = True  # its handler is told so: the answer is ours
            self.cycle.message_event.set()
        self._turn_away(TOO_LARGE)

    def on_message_complete(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._over:
            self.transport.close()
        elif self._stream is None:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The request is for a socket: lets it through to its endpoint, if there is room."""
        if self._over:
            return
        address = self.client[0] if self.client else ""
        refused = self._hub.admission.admit(address, monotonic())
        if refused is not None:
            self._turn_away(refused)
            return
        self._leave()
        self.ws_protocol_class = partial(self._hub.protocol_factory, address=address)  # type: ignore[assignment]  # uvicorn only calls it
        super().handle_websocket_upgrade()
        self._forget_parser()

    # --- inside -----------------------------------------------------------------------------------------------

    def _judge(self) -> Refused | None:
        """What the headers alone are turned away for."""
        headers = self.headers
        if not host_allowed(headers, self._limits.allowed_hosts):
            return MISDIRECTED
        followed = self._stream is not None or self._should_upgrade()
        if followed and not origin_allowed(headers, self._limits.allowed_origins):
            return FOREIGN
        lengths = values(headers, b"content-length")
        if lengths and lengths[-1].isdecimal() and int(lengths[-1][:20]) > self._limits.request_bytes:
            return TOO_LARGE
        return None

    def _asks_for_events(self) -> StreamRequest | None:
        """The request whose headers have come, if an event stream is its answer. One that was sent before the answer
        to another (pipelined) is not: uvicorn has yet to write on this connection."""
        method = self.parser.get_method().decode("ascii")
        if method not in METHODS or self.url.partition(b"?")[0] != STREAM.encode():
            return None
        if self._should_upgrade() or self._answering:
            return None
        return StreamRequest(method, self.url, list(self.headers))

    def _hand_over(self, request: StreamRequest) -> None:
        self._leave()
        self.connections.discard(self)
        self._forget_parser()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            address = self.client[0] if self.client else ""
            EventStream(self._hub, self.server_state, self.transport, address).answer(request)

    @property
    def _answering(self) -> bool:
        """True while uvicorn has something to write here."""
        return self.cycle is not None and not (self.cycle.response_complete or self.cycle.disconnected)

    def _forget_parser(self) -> None:
        """Breaks the ring of this object and its parser, as uvicorn does on a loss: a storm of newcomers must leave
        nothing to the garbage collector, which holds the loop while it looks."""
        self.parser = None  # type: ignore[assignment]  # as uvicorn has it

    def _turn_away(self, refused: Refused) -> None:
        """Says why and ends the connection. What is still to come of the request is not read as one, but is waited for
        until its time is up: closing on it would reset the connection and might take the answer with it."""
        self._hub.counts.refused[refused.status] += 1
        self._over = True
        if self._answering:
            self._cut_off()  # an answer in the midst of another would be read as part of it
            return
        content = f"{refused.text}\n".encode()
        retry = f"retry-after: {refused.retry_after_s}\r\n" if refused.retry_after_s else ""
        head = (
            f"HTTP/1.1 {refused.status.value} {refused.status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(content)}\r\ncache-control: no-store\r\n{retry}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        if self._deadline is None:
            self.transport.close()
        else:
            self.transport.write_eof()

    def _await_request(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._deadline = self.loop.call_later(self._limits.handshake_timeout_s, self._cut_off)

    def _leave(self) -> None:
        """The connection is somebody else's from here on."""
        self._over = True
        self._forget_timers()

    def _forget_timers(self) -> None:
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        self._deadline = self._stalled = None

    def _cut_off(self) -> None:
        self._forget_timers()
        if not self.transport.is_closing():
            self.transport.abort()
