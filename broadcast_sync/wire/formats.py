"""What a message looks like on the sockets of one kind: codec, framing, compression.

A socket has one `Format`, shared by all sockets of its kind. `Prepared` keeps what a format made of a message, so a
message is made once a format in use, however many sockets there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from broadcast_sync.wire.codecs import JSON, MSGPACK, Codec
from broadcast_sync.wire.deflate import Deflate
from broadcast_sync.wire.frames import RSV1, frame

if TYPE_CHECKING:
    from broadcast_sync.wire.prepared import Prepared
    from broadcast_sync.wire.server import Envelope

WORTH_BYTES: Final = 256
"""Payloads from this size on are compressed. A COUNTDOWN of 99 B would save 6, a TIME_UPDATE of 140 B 14."""


class Format(ABC):
    """How messages are written to, and read from, the sockets of one kind. Without state; compared by identity."""

    __slots__ = ("codec",)

    shared: bool = True
    """Whether what is made of a message is kept for the next socket. It is not where a format is one socket's own."""

    def __init__(self, codec: Codec) -> None:
        self.codec: Final = codec
        """How the messages of these sockets' clients are read."""

    @abstractmethod
    def frame(self, prepared: Prepared) -> bytes:
        """The bytes of a message for many; empty if these sockets are not told of it. Called once a message."""

    @abstractmethod
    def reply(self, envelope: Envelope) -> bytes:
        """The bytes of a message for one socket alone; empty if these sockets are not told of it."""


class Plain(Format):
    """WebSocket frames as they are."""

    __slots__ = ()

    def frame(self, prepared: Prepared) -> bytes:
        return frame(self.codec.opcode, prepared.payload(self.codec))

    def reply(self, envelope: Envelope) -> bytes:
        return frame(self.codec.opcode, self.codec.encode(envelope))


class Deflated(Format):
    """WebSocket frames with permessage-deflate. RFC 7692 leaves each message the choice: small ones share the plain
    format's bytes, and replies, which nobody shares, are sent plain."""

    __slots__ = ("_deflate", "_plain")

    def __init__(self, plain: Plain, deflate: Deflate) -> None:
        super().__init__(plain.codec)
        self._plain = plain
        self._deflate = deflate

    def frame(self, prepared: Prepared) -> bytes:
        payload = prepared.payload(self.codec)
        if len(payload) < WORTH_BYTES:
            return prepared.frame_for(self._plain)
        return frame(self.codec.opcode | RSV1, self._deflate(payload))

    def reply(self, envelope: Envelope) -> bytes:
        return self._plain.reply(envelope)


PLAIN_JSON: Final = Plain(JSON)
PLAIN_MSGPACK: Final = Plain(MSGPACK)

SUBPROTOCOLS: Final[dict[str | None, Plain]] = {
    None: PLAIN_JSON, JSON.name: PLAIN_JSON, MSGPACK.name: PLAIN_MSGPACK,
}
"""The format of each subprotocol; None is a client that asks for no subprotocol."""
