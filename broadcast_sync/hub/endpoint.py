"""One connection as an asyncio protocol under uvicorn: the handshake, bytes in, frames out, the end.

uvicorn reads the HTTP request (and is who waits for a slow one), then makes this protocol and feeds it the request
again. The handshake is websockets' Sans-I/O `ServerProtocol`; afterwards `Inbound` has what is left of RFC 6455. Data
frames go out unmasked, final and the same for everybody, so their bytes go straight to the transport while the
connection is open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Final, cast

from uvicorn.server import ServerState
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from broadcast_sync.hub.cable import CableSession, token_in
from broadcast_sync.hub.carrier import Carrier
from broadcast_sync.hub.inbound import Inbound
from broadcast_sync.hub.session import CABLE, CONTROL, RESULTS, VOTING, Session
from broadcast_sync.wire import cable
from broadcast_sync.wire.formats import SUBPROTOCOLS, Plain
from broadcast_sync.wire.frames import PING, frame

if TYPE_CHECKING:
    from broadcast_sync.hub.hub import Hub

PATHS: Final[dict[str, Mapping[str | None, Plain]]] = {
    VOTING: SUBPROTOCOLS, RESULTS: SUBPROTOCOLS, CONTROL: SUBPROTOCOLS, CABLE: cable.SUBPROTOCOLS,
}
"""What is spoken where: the subprotocols of each path."""

_PING: Final = frame(PING, b"")
_quiet = logging.getLogger("broadcast_sync.hub.rfc6455")
_quiet.setLevel(logging.WARNING)  # websockets logs a line or more a connection below this


class _Protocol(ServerProtocol):
    """websockets' protocol with our choice of subprotocol: the client's first that we speak. For the handshake only."""

    known: Mapping[str | None, Plain] = SUBPROTOCOLS
    """Those of the path."""

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        for offered in subprotocols:
            if offered in self.known:
                return offered
        if subprotocols:
            known = ", ".join(name for name in self.known if name)
            raise NegotiationError(f"no subprotocol in common; known are {known}")
        return None


class Endpoint(Carrier):
    """Made by `Hub.protocol_factory` for one connection that asked for an upgrade and has been let in. `address` is
    whose it is."""

    __slots__ = ("_conn", "_inbound")

    def __init__(self, hub: Hub, server_state: ServerState, address: str) -> None:
        super().__init__(hub, server_state, address)
        self._conn: _Protocol | None = _Protocol(extensions=hub.compression.extensions, logger=_quiet)
        self._inbound: Inbound | None = None

    # --- called by the transport and uvicorn ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvicorn makes us its protocol only after it has fed us the request: a pause before would never be heard of
        self.take(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        session, inbound = self._session, self._inbound
        if session is None or inbound is None:
            self._handshake(data)
            return
        received_ms = self._hub.clock.now_ms()
        before = session.received
        for opcode, payload in inbound.receive(data):
            session.receive(opcode, payload, received_ms)
        if not inbound.partial:
            session.whole_by = inf
        elif session.whole_by == inf or session.received != before:
            self._hub.watch.receiving(session)
        self._say(session, inbound)

    # --- called by the session --------------------------------------------------------------------------------

    def send_close(self, code: int, reason: str) -> None:
        """Begins the closing handshake. The timer cuts the connection if it is not completed."""
        if self._session is not None and self._inbound is not None:
            if not self._transport.is_closing():
                self._transport.resume_reading()  # for the client's own close frame, if it was held
            self._inbound.close(code, reason)
            self._say(self._session, self._inbound)

    def ping(self) -> bool:
        """Sends a heartbeat; true if the client owes an answer to it."""
        self._transport.write(_PING)
        return True

    # --- inside -----------------------------------------------------------------------------------------------

    def _handshake(self, data: bytes) -> None:
        conn, transport = self._conn, self._transport
        if conn is None:
            return  # refused: what it still says is not heard
        conn.receive_data(data)
        for event in conn.events_received():
            if isinstance(event, Request):
                response = self._answer(conn, event)
                conn.send_response(response)
                if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
                    self._open(conn, event)
                    self._forget_handshake(conn)
                    return
                self._hub.counts.refused[response.status_code] += 1
        for said in conn.data_to_send():
            if said != SEND_EOF:
                transport.write(said)
            else:
                transport.close()
                self._forget_handshake(conn)

    def _forget_handshake(self, conn: ServerProtocol) -> None:
        """Breaks the ring of the protocol and its parser, so that it goes at once: see Door."""
        conn.parser.close()
        self._conn = None

    def _answer(self, conn: _Protocol, request: Request) -> Response:
        path = request.path.partition("?")[0]
        if path not in PATHS:
            known = ", ".join(sorted(PATHS))
            return conn.reject(HTTPStatus.NOT_FOUND, f"There is no socket at this path; there are {known}.\n")
        conn.known = PATHS[path]
        return conn.accept(request)

    def _open(self, conn: _Protocol, request: Request) -> None:
        """The handshake is done: its answer, WELCOME and what follows go out together."""
        hub = self._hub
        path = request.path.partition("?")[0]
        agreed = bool(conn.extensions)
        first = conn.data_to_send()
        format = hub.compression.format(conn.known[conn.subprotocol], agreed)
        session = self.new_session(CableSession if path == CABLE else Session, first.append, path, format)
        self._inbound = Inbound(hub.bounds[agreed])
        self.carry(session, first, partial(hub.joined, session))
        if isinstance(session, CableSession):
            session.open(token_in(request.path, request.headers.get_all("Authorization")), hub.clock.now_ms())

    def _say(self, session: Session, inbound: Inbound) -> None:
        """Writes what RFC 6455 wants said, and follows it into the closing handshake."""
        transport = self._transport
        said = inbound.take()
        if said:
            transport.write(said)
        if inbound.open:
            return
        session.ended(inbound.close_code)
        self._hub.watch.closing(session)
        if inbound.finished and not transport.is_closing():
            if transport.can_write_eof():
                # the client closes in turn: closing first would reset it, and lose it the close frame, if
                # anything of its own were still on the way
                transport.write_eof()
            else:
                transport.close()
