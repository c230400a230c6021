"""Voids: votes that were counted and do not count any more. The vote stays where it is; a count is votes minus voids.

A void goes the way of a vote: one script takes it off the shard's tally, once, and appends it to the stream; the ledger
writer brings it to PostgreSQL. So tally and ledger stay comparable at every moment. The voter's limits stay used up;
what a wallet paid is in it again with the same step, and in its journal with the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.bus.scripts import Argument, Script
from voting.ledger.entries import StreamId, VoidedVote, VoidReason
from voting.ledger.recount import added, counts
from voting.ledger.store import Pool, statement

PER_CALL: Final = 500
"""Votes one script call takes."""

_void: Final = Script("voting.ledger", "void_votes")
_log = structlog.get_logger()


class Found(Struct, frozen=True):
    """A vote that may be voided; `voided` if the ledger knows that it is already. `paid` is what a wallet paid for it,
    as the script takes it; empty if none did."""

    vote_id: UUID
    window_id: UUID
    shard: int
    voter: str
    contestant_id: str
    vote_type: str
    votes: int
    voided: bool
    paid: str = ""


async def find_votes(
    pool: Pool, organisation: str, ids: Sequence[UUID] | None, voters: Sequence[str] | None, window: UUID | None
) -> list[Found]:
    """The votes with these ids, or of these voters, within one window if one is given; all that the ledger has by now.
    PostgreSQL's errors pass through."""
    rows = await pool.fetch(statement("find_votes"), organisation, ids, voters, window)
    return [
        Found(
            UUID(bytes=row["vote_id"].bytes), UUID(bytes=row["window_id"].bytes), row["shard"], row["voter"],
            row["contestant_id"], row["vote_type"], row["votes"], row["voided"], row["paid"] or "",
        )
        for row in rows
    ]


async def void_votes(
    client: Redis, organisation: str, votes: Sequence[Found], why: VoidReason
) -> tuple[int, dict[str, StreamId]]:
    """Voids `votes`, those voided before excepted, and gives back what was paid for them. Returns how many it voided,
    and for each stream the entry up to which the ledger must come to know them. A vote whose wallet is broken is voided
    without, and an error is logged.

    May be called again after an engine error, which passes through: what was done is not done twice.
    """
    done, entries = 0, {}
    for keys, window, part in _parts(organisation, votes):
        rows: list[Argument] = []
        for vote in part:
            row = VoidedVote(vote.vote_id, vote.contestant_id, vote.vote_type, vote.votes)
            rows += (str(vote.vote_id), vote.contestant_id, vote.votes, msgspec.json.encode(row))
            rows += (vote.voter, keys.wallet(vote.voter), vote.paid)
        entry, count, broken = await _void(
            client,
            (keys.tally(window), keys.voided(window), keys.voided_ids(window), keys.stream, keys.types(window)),
            (window, msgspec.json.encode(why), why.voided_ms, *rows),
        )
        if broken:
            _log.error("void_not_refunded", window=window, votes=broken)  # their wallets must be rebuilt
        done += count
        if entry:
            entries[keys.stream] = StreamId.parse(entry)
    return done, entries


def _parts(organisation: str, votes: Sequence[Found]) -> Iterator[tuple[ShardKeys, str, list[Found]]]:
    """Votes not voided yet, by shard and window, a call's worth at a time."""
    def where(vote: Found) -> tuple[int, UUID]:
        return vote.shard, vote.window_id

    for (shard, window), group in groupby(sorted((vote for vote in votes if not vote.voided), key=where), key=where):
        chosen = list(group)
        for start in range(0, len(chosen), PER_CALL):
            yield ShardKeys(organisation, shard), str(window), chosen[start : start + PER_CALL]


async def voided_in_ledger(pool: Pool, organisation: str, window: UUID) -> dict[str, int]:
    """Voided votes by contestant, as the ledger has them."""
    rows = await pool.fetch(statement("voided"), organisation, window)
    return {row["contestant_id"]: row["votes"] for row in rows}


async def voided_in_engine(client: Redis, organisation: str, shards: int, window_id: str) -> dict[str, int]:
    """Voided votes by contestant, as the engine has taken them off its tallies."""
    return added([await counts(client, ShardKeys(organisation, shard).voided(window_id)) for shard in range(shards)])
