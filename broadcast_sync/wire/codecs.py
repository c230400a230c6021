"""The same messages as JSON text frames or MessagePack binary frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from broadcast_sync.wire.client import ClientMessage, Head
from broadcast_sync.wire.frames import BINARY, TEXT

EXACT: Final = 2**53 - 1
"""The greatest whole number that JavaScript tells apart from its neighbours. No count on the wire is larger."""


class Codec:
    """How one subprotocol turns messages into payloads. Stateless and shared by all sockets.

    `decode_head` and `decode` raise msgspec.DecodeError (its subclass ValidationError says what and where).
    """

    def __init__(
        self, name: str, opcode: int, encode: Callable[[Any], bytes], decoder: Callable[[type[Any]], Any]
    ) -> None:
        self.name: Final = name
        self.opcode: Final = opcode
        self.encode: Final = encode
        self._decoder = decoder
        self._head = decoder(Head)
        self._any = decoder(object)
        self._decoders: dict[type[ClientMessage], Any] = {}

    def decode_head(self, payload: bytes) -> Head:
        head: Head = self._head.decode(payload)
        return head

    def decode(self, message: type[ClientMessage], payload: bytes, head: Head) -> ClientMessage:
        """`payload`, whose head was read before, as `message`: from its `data` if it is nested, else flat.

        A CUE has a field `data` of its own; it is nested only when its event is not at the top.
        """
        decoder = self._decoders.get(message)
        if decoder is None:
            decoder = self._decoders[message] = self._decoder(message)
        if head.data is not UNSET and not ("data" in message.__struct_fields__ and self._flat(payload)):
            decoded: ClientMessage = decoder.decode(head.data)
        else:
            decoded = decoder.decode(payload)
        return decoded

    def _flat(self, payload: bytes) -> bool:
        return "event" in self._any.decode(payload)


JSON: Final = Codec("broadcast-sync.v1.json", TEXT, msgspec.json.encode, msgspec.json.Decoder)
MSGPACK: Final = Codec("broadcast-sync.v1.msgpack", BINARY, msgspec.msgpack.encode, msgspec.msgpack.Decoder)
