"""Places in a list of contestants, opaque and signed: what was not made here, or for another question, is refused."""

from __future__ import annotations

import hmac
from hashlib import blake2b
from typing import Any, Final

import msgspec

from broadcast_sync.errors import Refusal
from broadcast_sync.signatures import Forged, Signer, b64, unb64
from results.listing import Key

MAC_BYTES: Final = 12
MOST: Final = 1_024
"""Characters of a cursor; a long name has some hundred."""


class ListCursors:
    """Cursors of one organisation, good on every node that has the same signing key."""

    def __init__(self, signer: Signer, organisation: str) -> None:
        self._secret = blake2b(signer.sign(b"list cursor\0" + organisation.encode()), digest_size=32).digest()

    def make(self, question: tuple[object, ...], last: Key) -> str:
        """The place behind `last` in the answer to `question`."""
        place = msgspec.msgpack.encode(last)
        return b64(self._mac(question, place) + place)

    def read(self, question: tuple[object, ...], cursor: str) -> Key:
        """The place that a cursor stands behind. Raises Refusal BAD_MESSAGE for any but one made for `question`."""
        try:
            data = unb64(cursor)
        except Forged:
            data = b""
        mac, place = data[:MAC_BYTES], data[MAC_BYTES:]
        if not hmac.compare_digest(self._mac(question, place), mac):
            raise Refusal("BAD_MESSAGE", "The cursor is not one of this list.")
        key: Key = _key.decode(place)
        return key

    def _mac(self, question: tuple[object, ...], place: bytes) -> bytes:
        asked: Any = msgspec.msgpack.encode((question, place))
        return blake2b(asked, key=self._secret, digest_size=MAC_BYTES).digest()


_key: Final = msgspec.msgpack.Decoder(Key)
