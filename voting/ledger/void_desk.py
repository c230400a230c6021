"""The show's VoidPort: votes that two people in the control room have agreed not to count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from redis.asyncio import Redis

from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import ApprovedVoid, VoidRequest
from voting.ledger.entries import VoidReason
from voting.ledger.store import Pool
from voting.ledger.voids import Found, find_votes, void_votes

MOST: Final = 100_000
"""Ballots one cue voids; more are the command line's."""


class VoidDesk:
    """One organisation's. Client and pool are the caller's; engine errors pass through."""

    def __init__(self, client: Redis, pool: Pool, organisation: str) -> None:
        self._client = client
        self._pool = pool
        self._organisation = organisation

    async def count(self, request: VoidRequest) -> int:
        """How many ballots `request` means. Raises Refusal CUE_REJECTED if a vote is not in the ledger, or there are
        none, BAD_MESSAGE for what is no id."""
        return len(await self._find(request))

    async def void(self, void: ApprovedVoid) -> int:
        """Voids them; how many that had counted until now. May be called again: nothing is voided twice."""
        votes = await self._find(void.request)
        why = VoidReason(void.request.reason, void.by[:128], void.approved_ms, void.approved_by[:128])
        done, _ = await void_votes(self._client, self._organisation, votes, why)
        return done

    async def _find(self, request: VoidRequest) -> Sequence[Found]:
        ids = [_uuid(text, "voteIds") for text in request.vote_ids] or None
        window = None if request.window_id is None else _uuid(request.window_id, "windowId")
        votes = await find_votes(self._pool, self._organisation, ids, list(request.voters) or None, window)
        missing = set(ids or ()) - {vote.vote_id for vote in votes}
        if missing or not votes:
            some = f": {min(missing)}" if missing else ""
            raise Refusal("CUE_REJECTED", f"{len(missing) or 'All'} of these are no votes in the ledger{some}.")
        if len(votes) > MOST:
            raise Refusal("CUE_REJECTED", f"{len(votes):,} ballots at once; {MOST:,} at most.")
        return votes


def _uuid(text: str, where: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refusal("BAD_MESSAGE", f"Expected a UUID - at `$.data.{where}`") from None
