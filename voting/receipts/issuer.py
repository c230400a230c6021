"""Signs the receipts that were asked for in one turn of the loop with one signature, after the turn's other answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from broadcast_sync.errors import Refusal
from broadcast_sync.signatures import Signer, canonical
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.server import VoteAck
from broadcast_sync.wire.times import iso
from voting.receipts.receipt import Answered, Tree

LEAVES_MAX: Final = 1_024
"""The most leaves of a tree: ten hashes a receipt."""
SHOWN: Final = 64
"""The most characters of a refused ballot's own words that its receipt repeats."""

Given = Callable[[str], None]
"""Is called with the receipt."""


class ReceiptIssuer:
    """One node's. What is asked for waits until the loop's next turn, never longer; so it holds at most the answers of
    one turn, which the intake bounds."""

    def __init__(self, signer: Signer, organisation: str) -> None:
        self._signer = signer
        self._organisation = organisation
        self._waiting: list[tuple[bytes, Given]] = []

    def accepted(self, ack: VoteAck, window_id: str, given: Given) -> None:
        """The receipt of a ballot that was taken; its time is the one in its vote id (UUIDv7)."""
        at_ms = int(ack.vote_id.replace("-", "")[:12], 16)
        self._put(Answered(
            organisation=self._organisation, outcome="accepted", id=ack.id, at=iso(at_ms), window_id=window_id,
            contestant_id=ack.contestant_id, vote_type=ack.vote_type, vote_count=ack.vote_count, vote_id=ack.vote_id,
        ), given)

    def refused(self, vote: Vote, refusal: Refusal, window_id: str, received_ms: int, given: Given) -> None:
        """The receipt of a ballot that was refused. What cannot be written down of its words becomes `?`."""
        self._put(Answered(
            organisation=self._organisation, outcome="refused", id=_plain(vote.id), at=iso(received_ms),
            window_id=window_id, contestant_id=_plain(vote.contestant_id), vote_type=_plain(vote.vote_type),
            vote_count=vote.vote_count, code=refusal.code,
        ), given)

    def _put(self, answered: Answered, given: Given) -> None:
        self._waiting.append((canonical(answered), given))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._issue)

    def _issue(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), LEAVES_MAX):
            part = waiting[start : start + LEAVES_MAX]
            tree = Tree([leaf for leaf, _ in part])
            signature = self._signer.sign(tree.head(self._signer.key_id))
            for (_, given), receipt in zip(part, tree.receipts(self._signer.key_id, signature), strict=True):
                given(receipt)


def _plain(text: str) -> str:
    return text[:SHOWN].encode("utf-8", "replace").decode()
