"""From a text frame to a message with the wire's own Struct as its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from broadcast_sync.wire.client import ClientMessage, Position
from broadcast_sync.wire.delivery import DELIVERY, Delivery
from broadcast_sync.wire.server import SERVER_MESSAGES, Data


class Misshapen(Struct, frozen=True):
    """In the place of data that cannot be read. The message still has its place in its channel."""

    reason: str


class Message(Struct, frozen=True):
    """A message of the server. `data` is the Struct of its type (broadcast_sync.wire.server), or plain dicts and
    lists for a type this SDK does not know. `channel`, `epoch`, `offset` are None outside channels."""

    type: str
    data: Any
    timestamp: str
    channel: str | None = None
    epoch: str | None = None
    offset: int | None = None

    @property
    def delivery(self) -> Delivery:
        """Its delivery class; unknown types are taken for ones that must arrive."""
        return DELIVERY.get(self.type, Delivery.MUST_ARRIVE)


class _Envelope(Struct, frozen=True):
    type: str
    data: Raw
    timestamp: str = ""
    channel: str | UnsetType = UNSET
    epoch: str | UnsetType = UNSET
    offset: int | UnsetType = UNSET


_envelope: Final = msgspec.json.Decoder(_Envelope)
_decoders: Final[dict[str, msgspec.json.Decoder[Data]]] = {
    type_: msgspec.json.Decoder(struct) for type_, struct in SERVER_MESSAGES.items()
}
_unknown: Final = msgspec.json.Decoder()


def decode(payload: str | bytes) -> Message:
    """The message in a text frame. Raises msgspec.DecodeError (UnicodeDecodeError) for what is none; data of another
    shape than its type has are a `Misshapen`."""
    head = _envelope.decode(payload)
    data: Any
    try:
        data = _decoders.get(head.type, _unknown).decode(head.data)
    except msgspec.DecodeError as error:
        data = Misshapen(str(error))
    return Message(
        head.type, data, head.timestamp,
        None if head.channel is UNSET else head.channel,
        None if head.epoch is UNSET else head.epoch,
        None if head.offset is UNSET else head.offset,
    )


def with_acks(text: str, acks: Mapping[str, Position]) -> str:
    """An encoded message that takes along how far its sender has got in each channel."""
    return f'{text[:-1]},"ack":{msgspec.json.encode(acks).decode()}}}'


def encode(message: ClientMessage) -> str:
    """A message to the server as the text of its frame: its fields flat beside its type."""
    fields = msgspec.json.encode(message)[1:]
    return f'{{"type":"{message.TYPE}"{"" if fields == b"}" else ","}{fields.decode()}'
