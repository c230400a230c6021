"""A session whose answers to one ballot carry a receipt."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from broadcast_sync.errors import Refusal
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.codecs import Codec
from broadcast_sync.wire.server import Data, VoteAck
from voting.receipts.issuer import ReceiptIssuer


class WithReceipt:
    """Stands before `session` for one ballot: an answer goes on to it a turn of the loop later, with its receipt.

    A ballot that asks for none never meets this class.
    """

    def __init__(
        self, session: Any, issuer: ReceiptIssuer, vote: Vote, window_id: str, received_ms: int
    ) -> None:
        self._session = session
        self._issuer = issuer
        self._vote = vote
        self._window_id = window_id
        self._received_ms = received_ms

    @property
    def identity(self) -> Identity | None:
        identity: Identity | None = self._session.identity
        return identity

    @property
    def codec(self) -> Codec:
        codec: Codec = self._session.codec
        return codec

    def reply(self, data: Data) -> None:
        """VOTE_ACK with its receipt. The first answer of a replay may be of an earlier window: that is left open."""
        if isinstance(data, VoteAck):
            ack = data
            window_id = "" if ack.replayed else self._window_id
            self._issuer.accepted(ack, window_id, lambda receipt: self._session.reply(replace(ack, receipt=receipt)))
        else:
            self._session.reply(data)

    def refuse(self, refusal: Refusal, id: str | None = None) -> None:
        """ERROR with its receipt."""
        def answer(receipt: str) -> None:
            refusal.detail = {**(refusal.detail or {}), "receipt": receipt}
            self._session.refuse(refusal, id=id)

        self._issuer.refused(self._vote, refusal, self._window_id, self._received_ms, answer)
