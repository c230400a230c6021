"""Messages as server-sent events (HTML, 9.2), and the ids by which a client resumes. PURE.

An event is the JSON envelope of the message, `message` to an EventSource. Only messages of a channel that counts
them carry an id, `EPOCH:OFFSET`: it is what the client sends back as `Last-Event-ID`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from broadcast_sync.wire.client import Position
from broadcast_sync.wire.codecs import JSON
from broadcast_sync.wire.delivery import Delivery
from broadcast_sync.wire.formats import Format
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Envelope, Reconnect

HEARTBEAT: Final = b":\n\n"
"""A comment: no client is told of it."""


class Events(Format):
    """One block of lines a message. RECONNECT sets the time after which the client comes back as well."""

    __slots__ = ()

    def frame(self, prepared: Prepared) -> bytes:
        counted = prepared.delivery is Delivery.MUST_ARRIVE and prepared.epoch and prepared.offset is not None
        head = f"id: {event_id(prepared.epoch or '', prepared.offset or 0)}\n".encode() if counted else b""
        return head + _data(prepared.json)

    def reply(self, envelope: Envelope) -> bytes:
        data = envelope.data
        head = retry(data.after_ms) if isinstance(data, Reconnect) else b""
        return head + _data(self.codec.encode(envelope))


EVENTS: Final = Events(JSON)
"""The one format of all event streams."""


def retry(after_ms: int) -> bytes:
    """How long a client is to wait before it comes back, in milliseconds; stands before an event or alone."""
    return b"retry: %d\n" % after_ms


def position(epoch: str, offset: int) -> bytes:
    """Moves the client's last event id without an event: for what was told in a snapshot, which has no id."""
    return f"id: {event_id(epoch, offset)}\n\n".encode()


def event_id(epoch: str, offset: int) -> str:
    return f"{epoch}:{offset}"


def parse_event_id(text: str) -> Position | None:
    """The position that an id names; None for what was never an id of ours."""
    epoch, _, digits = text.rpartition(":")
    if not (epoch and digits.isascii() and digits.isdigit()):
        return None
    try:
        return msgspec.convert({"epoch": epoch, "offset": int(digits)}, Position)
    except (msgspec.ValidationError, ValueError):  # too long, or too large a number
        return None


def _data(json: bytes) -> bytes:
    # a line break of JSON stands between its words, where a space does as well, and would end the field here
    if b"\n" in json or b"\r" in json:
        json = json.replace(b"\r", b" ").replace(b"\n", b" ")
    return b"data: %b\n\n" % json
