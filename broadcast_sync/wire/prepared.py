"""One message for many sockets: encoded and framed at most once a codec, on first use."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from broadcast_sync.wire.codecs import JSON, Codec
from broadcast_sync.wire.delivery import DELIVERY, Delivery
from broadcast_sync.wire.frames import frame
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
    """A message ready to be sent. `frame_for(codec)` is the same bytes object for every socket."""

    __slots__ = ("_frames", "_json", "channel", "data_json", "delivery", "epoch", "offset", "type")

    def __init__(
        self, type: str, json: bytes, data_json: bytes, channel: str | None, epoch: str | None, offset: int | None
    ) -> None:
        self.type = type
        self.delivery: Delivery = DELIVERY[type]
        self.channel = channel
        self.epoch = epoch
        self.offset = offset
        self.data_json = data_json
        self._json = json
        self._frames: dict[str, bytes] = {}

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

    @property
    def json(self) -> bytes:
        """The JSON payload, unframed."""
        return self._json

    def frame_for(self, codec: Codec) -> bytes:
        made = self._frames.get(codec.name)
        if made is None:
            payload = self._json if codec is JSON else codec.encode(self.decoded())
            made = self._frames[codec.name] = frame(codec.opcode, payload)
        return made

    def decoded(self) -> Any:
        """The envelope as plain dicts and lists."""
        return msgspec.json.decode(self._json)
