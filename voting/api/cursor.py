"""Opaque, signed places in a voter's history: what was not made here, or for somebody else, is refused."""

from __future__ import annotations

import hmac
from typing import Final
from uuid import UUID

from broadcast_sync.errors import Refusal
from broadcast_sync.signatures import SIGNATURE_BYTES, Forged, Signer, b64, unb64

_PURPOSE: Final = b"history cursor"


class Cursors:
    """Cursors of one organisation, good on every node that has the same signing key."""

    def __init__(self, signer: Signer, organisation: str) -> None:
        self._signer = signer
        self._organisation = organisation

    def make(self, voter: str, last: UUID) -> str:
        """The place behind the vote `last` in the history of `voter`."""
        return b64(last.bytes + self._signature(voter, last.bytes))

    def read(self, voter: str, cursor: str) -> UUID:
        """The vote that a cursor stands behind. Raises Refusal BAD_MESSAGE for any but one made for `voter`."""
        try:
            data = unb64(cursor)
        except Forged:
            data = b""
        place, signature = data[:16], data[16:]
        if len(signature) != SIGNATURE_BYTES or not hmac.compare_digest(self._signature(voter, place), signature):
            raise Refusal("BAD_MESSAGE", "The cursor is not one of yours.")
        return UUID(bytes=place)

    def _signature(self, voter: str, place: bytes) -> bytes:
        # the parts cannot run into each other: neither purpose, organisation nor voter may hold a NUL
        return self._signer.sign(b"\0".join((_PURPOSE, self._organisation.encode(), voter.encode(), place)))
