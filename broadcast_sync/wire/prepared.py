"""One message for many sockets: encoded, framed and compressed at most once a format, on first use."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from broadcast_sync.wire.codecs import JSON, Codec
from broadcast_sync.wire.delivery import DELIVERY, Delivery
from broadcast_sync.wire.formats import Format
from broadcast_sync.wire.server import Data, Envelope
from broadcast_sync.wire.times import iso


class _Published(Struct, frozen=True):
    """What a node needs to know of a message it passes on."""

    type: str
    data: Raw
    timestamp: str
    channel: str | UnsetType = UNSET
    epoch: str | UnsetType = UNSET
    offset: int | UnsetType = UNSET


_published = msgspec.json.Decoder(_Published)


class Prepared:
    """A message ready to be sent. `frame_for(format)` is the same bytes object for every socket of that format."""

    __slots__ = ("_frames", "_payloads", "channel", "data_json", "delivery", "epoch", "offset", "type")

    def __init__(
        self, type: str, json: bytes, data_json: bytes, channel: str | None, epoch: str | None, offset: int | None
    ) -> None:
        self.type = type
        self.delivery: Delivery = DELIVERY[type]
        self.channel = channel
        self.epoch = epoch
        self.offset = offset
        self.data_json = data_json
        self._payloads: dict[Codec, bytes] = {JSON: json}
        self._frames: dict[Format, bytes] = {}

    @classmethod
    def of(cls, data: Data, now_ms: int, channel: str | None = None) -> Prepared:
        """From a message of this process. Messages with an offset come over the bus: see `received`."""
        payload = msgspec.json.encode(
            Envelope(data.TYPE, data, iso(now_ms), UNSET if channel is None else channel)
        )
        return cls(data.TYPE, payload, msgspec.json.encode(data), channel, None, None)

    @classmethod
    def received(cls, payload: bytes) -> Prepared:
        """From the JSON envelope that came over the bus, passed on as it is.

        Raises msgspec.DecodeError if it is no envelope, KeyError if its type is unknown.
        """
        head = _published.decode(payload)
        return cls(
            head.type,
            payload,
            bytes(head.data),
            None if head.channel is UNSET else head.channel,
            None if head.epoch is UNSET else head.epoch,
            None if head.offset is UNSET else head.offset,
        )

    def to(self, channel: str) -> Prepared:
        """The same message, and the same bytes, for the subscribers of another channel."""
        sent = Prepared(self.type, self.json, self.data_json, channel, self.epoch, self.offset)
        sent._payloads, sent._frames = self._payloads, self._frames
        return sent

    @property
    def json(self) -> bytes:
        """The JSON payload, unframed."""
        return self._payloads[JSON]

    def payload(self, codec: Codec) -> bytes:
        """The envelope as `codec` encodes it, unframed."""
        made = self._payloads.get(codec)
        if made is None:
            made = self._payloads[codec] = codec.encode(self.decoded())
        return made

    def frame_for(self, format: Format) -> bytes:
        """What sockets of `format` are written; empty if they are not told of this message."""
        made = self._frames.get(format)
        if made is None:
            made = format.frame(self)
            if format.shared:
                self._frames[format] = made
        return made

    def decoded(self) -> Any:
        """The envelope as plain dicts and lists."""
        return msgspec.json.decode(self.json)
