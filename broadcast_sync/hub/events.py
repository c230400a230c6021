"""Server-sent events: the hub's messages as one HTTP response that does not end, for where WebSockets are blocked.

The door hands a connection over when the headers of such a request are complete, so that a stream is a session like
any other: no ASGI task, the same outbox and fan-out, the same bytes for everybody. The end of the connection is the
end of the response; the client comes back by itself and says with `Last-Event-ID` where it was.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from http import HTTPStatus
from random import randint
from time import monotonic
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.server import ServerState

from broadcast_sync.api import Answer, Endpoint, ErrorBody, Parameter, endpoint
from broadcast_sync.errors import Refusal
from broadcast_sync.http import refusal_response
from broadcast_sync.hub.carrier import Carrier
from broadcast_sync.hub.channels import RESULTS, SHOW
from broadcast_sync.hub.events_request import StreamRequest, Wanted, accepts_events, wanted
from broadcast_sync.hub.session import STREAM, Session
from broadcast_sync.wire.events import EVENTS, HEARTBEAT, position, retry

if TYPE_CHECKING:
    from broadcast_sync.hub.hub import Hub

RETRY_MS: Final = (1_000, 5_000)
"""A client's waiting time after a loss is its own, so that those of a node that died do not come back as one."""
UNASKED_BYTES: Final = 4_096
"""What a client may send after its request, all of it ignored. More cuts it off."""


class StreamQuery(Struct, frozen=True, rename="camel"):
    """`channels` are separated by commas; `lastEventId` says what the header Last-Event-ID does."""

    channels: str = f"{SHOW},{RESULTS}"
    last_event_id: str = ""


def endpoints() -> list[Endpoint]:
    """The stream in the table of routes. The door takes its requests before; here come other methods only, and a
    request sent before the answer to another."""
    return [endpoint(
        "GET", STREAM, "The messages of the socket as server-sent events", _not_here, tag="stream",
        query=StreamQuery, reads=False,
        headers={"Last-Event-ID": Parameter(str, "The id of the last event: what was missed since comes first.")},
        answers={
            200: Answer(str, "Does not end.", media="text/event-stream"),
            406: Answer(ErrorBody, "The request does not accept text/event-stream."),
        },
        refuses=("UNSUPPORTED", "RATE_LIMIT", "BUSY"),
    )]


async def _not_here(request: Request) -> Response:
    return refusal_response(Refusal("BUSY", "Ask for the stream on a connection of its own.", retry_after=1.0))


class EventStream(Carrier):
    """One connection that the door has handed over: `answer` its request, then it is a session's."""

    __slots__ = ("_unasked",)

    def __init__(self, hub: Hub, server_state: ServerState, transport: asyncio.Transport, address: str) -> None:
        super().__init__(hub, server_state, address)
        self._unasked = 0
        self.take(transport)

    def answer(self, request: StreamRequest) -> None:
        """Begins the stream, or refuses it and closes. HEAD is told what GET would be."""
        hub = self._hub
        refused = hub.admission.admit(self._address, monotonic())
        if refused is not None:
            code = "RATE_LIMIT" if refused.status == HTTPStatus.TOO_MANY_REQUESTS else "BUSY"
            self._refuse(request, refused.status, Refusal(code, refused.text, retry_after=refused.retry_after_s))
        elif not accepts_events(request.header(b"accept")):
            self._refuse(request, HTTPStatus.NOT_ACCEPTABLE, Refusal("UNSUPPORTED", "This is text/event-stream."))
        else:
            try:
                asked = wanted(request, hub.settings.hub.channels_per_socket)
            except Refusal as refusal:
                self._refuse(request, HTTPStatus(refusal.status), refusal)
                return
            head = self._head(HTTPStatus.OK, "text/event-stream", {"X-Accel-Buffering": "no", **_shared_with(request)})
            if request.method == "HEAD":
                self._transport.write(head)
                self._transport.close()
            else:
                self._open(head, asked)

    # --- called by the transport and uvicorn ------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unasked += len(data)
        if self._unasked > UNASKED_BYTES:
            self._transport.abort()

    # --- called by the session --------------------------------------------------------------------------------

    def send_close(self, code: int, reason: str) -> None:
        """Ends the response. An event stream has no close codes: whatever the reason, a client comes back. The timer
        cuts off one that does not take what was written."""
        self._transport.close()
        if self._session is not None:
            self._hub.watch.closing(self._session)

    def ping(self) -> bool:
        """A comment, which nobody answers: a client that has gone is noticed because it takes nothing any more."""
        if self._session is not None and self._session.ready:
            self._transport.write(HEARTBEAT)
        return False

    # --- inside -----------------------------------------------------------------------------------------------

    def _open(self, head: bytes, asked: Wanted) -> None:
        """The head of the response, WELCOME and all that a joiner is told go out together."""
        first = [head, retry(randint(*RETRY_MS)) + b"\n"]
        session = self.new_session(Session, first.append, STREAM, EVENTS)
        self._notice_the_gone()
        self.carry(session, first, partial(self._greet, session, asked, first))

    def _greet(self, session: Session, asked: Wanted, first: list[bytes]) -> None:
        self._hub.joined(session)
        for channel in asked.channels:
            counted = channel == SHOW
            self._hub.subscribe(session, channel, since=asked.since if counted else None, announce=True)
            epoch, offset = session.channels[channel]
            if counted and epoch:
                first.append(position(epoch, offset))

    def _notice_the_gone(self) -> None:
        """A client that vanished without a word, as phones do, answers no TCP segment either: after two heartbeats'
        time the kernel gives it up, instead of a quarter of an hour."""
        connection = self._transport.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            timeout_ms = int(2_000 * self._hub.settings.hub.ping_interval_s)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)

    def _refuse(self, request: StreamRequest, status: HTTPStatus, refusal: Refusal) -> None:
        """EventSource takes any status but 200 for good: a page that wants to try again makes a new one."""
        self._hub.counts.refused[int(status)] += 1
        body: dict[str, object] = {"code": refusal.code, "message": refusal.message, "retryable": refusal.retryable}
        headers = {}
        if refusal.retry_after is not None:
            body["retryAfter"] = refusal.retry_after
            headers["Retry-After"] = str(round(refusal.retry_after))
        content = msgspec.json.encode(body)
        headers["Content-Length"] = str(len(content))
        head = self._head(status, "application/json", headers)
        self._transport.write(head if request.method == "HEAD" else head + content)
        self._transport.close()

    def _head(self, status: HTTPStatus, content_type: str, headers: dict[str, str]) -> bytes:
        every = {"Content-Type": content_type, "Cache-Control": "no-store", "Connection": "close", **headers}
        made = [(name.encode(), value.encode("latin-1")) for name, value in every.items()]
        lines = b"".join(b"%b: %b\r\n" % field for field in [*self._server_state.default_headers, *made])
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, status.phrase.encode(), lines)


def _shared_with(request: StreamRequest) -> dict[str, str]:
    """Lets the page of another origin read the stream: the door has let in none that is not allowed."""
    origin = request.header(b"origin")
    return {"Vary": "Origin"} if origin is None else {"Vary": "Origin", "Access-Control-Allow-Origin": origin}
