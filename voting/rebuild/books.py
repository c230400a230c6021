"""Voters' books out of the ledger: every vote is taken once more by the vote script itself, beside the real tally.

So counters, rates and first answers come out as they were, whatever the rules are. Votes are replayed in the order in
which they were written, which within a shard is the order in which they were taken.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from msgspec.structs import replace
from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.bus.scripts import Script
from broadcast_sync.errors import Refusal
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.codecs import EXACT
from voting.ballot.answer import BEFORE, TAKEN, read_answers
from voting.ballot.batcher import script_batch, script_orders
from voting.ballot.claims import PACE, RATE, SHARD, WALLET, Claim
from voting.ballot.desk import Desk, ballot_of
from voting.ballot.rules import WindowRules
from voting.ballot.ruleset import thaw
from voting.ledger.store import Pool, partition, statement
from voting.rebuild.stage import Known

PACKAGE: Final = "voting.rebuild.sql"
BLOCKS: Final = 256
"""Blocks of the votes read at a time, about 15,000 votes."""
BATCH: Final = 256
NO_LIMIT: Final = 2**40
"""Votes; far beyond any rate."""


class ReplayDesk(Desk):
    """A desk whose ballots have been accepted before: what they used is counted, no rate can refuse them any more, and
    wallets, whose balances come from the journal, and what the shard shares are only looked at."""

    def _claim(self, claim: Claim, numbers: dict[str, int]) -> tuple[object, ...]:
        if claim.scope in (WALLET, SHARD):
            claim = replace(claim, cost=0)
        elif claim.kind == PACE:
            claim = replace(claim, burst=NO_LIMIT)
        elif claim.kind == RATE:
            claim = replace(claim, limit=NO_LIMIT)
        return super()._claim(claim, numbers)


class BookKeeper:
    """Fills the books of one organisation, and adds up its voters. Its own keys, which stand in for gate, tally and
    stream, go with `close`."""

    def __init__(self, client: Redis, shards: Sequence[ShardKeys]) -> None:
        self.votes = 0
        """Votes whose answer is remembered now."""
        self.unplaced = 0
        """Votes that their own rules do not know: not remembered."""
        self._client = client
        self._shards = shards
        self._script = Script("voting.ballot", "take_ballots")
        self._desks: dict[str, Desk] = {}
        self._scratch: set[str] = set()

    async def replay(self, known: Known, shard: int, rows: Sequence[Any]) -> None:
        """Takes the votes of one window and shard once more; those remembered already stay as they are. Engine errors
        pass through; ValueError if the window's rules are not known to this version."""
        desk = self._desk(known)
        keys, orders, ballots = self._shards[shard], {}, []
        for row in rows:
            vote = Vote(row["client_id"], row["contestant_id"], row["vote_type"], row["vote_count"])
            received_ms = round(row["received_at"].timestamp() * 1000)
            try:
                asked = desk.ask(vote.contestant_id, vote.vote_type, vote.vote_count, received_ms)
            except Refusal:
                self.unplaced += 1
                continue
            order = asked.orders[shard]
            orders[order.id] = order.data
            ballots.append(
                ballot_of(order, asked.ruled, row["voter"], vote, row["vote_id"].bytes, received_ms, None)
            )
        for start in range(0, len(ballots), BATCH):
            await self._take(known.window.window_id, keys, orders, ballots[start : start + BATCH])

    async def close(self) -> None:
        """Removes what only the replay needed."""
        for key in self._scratch:
            await self._client.delete(key)

    def _desk(self, known: Known) -> Desk:
        window = known.window
        desk = self._desks.get(window.window_id)
        if desk is None:
            rules = WindowRules(thaw(window.ruleset), known.show, window, known.season)
            desk = self._desks[window.window_id] = ReplayDesk(known.show, window, rules, self._shards)
        return desk

    async def _take(self, window_id: str, keys: ShardKeys, orders: dict[int, bytes], ballots: list[bytes]) -> None:
        name = f"{window_id}:rebuild"
        gate, tally, refused, shared = keys.gate(name), keys.tally(name), keys.refused(name), keys.shared(name)
        types, stream = keys.types(name), f"{keys.stream}:rebuild"
        if gate not in self._scratch:
            self._scratch.update((gate, tally, refused, shared, types, stream))
            await self._client.hset(gate, mapping={"state": "open", "opensMs": 0, "hardClosesMs": 2**52})
        reply = await self._script(
            self._client, (gate, tally, stream, refused),
            (window_id, script_orders(orders), script_batch(ballots), shared, types, keys.voters(window_id), EXACT),
        )
        await self._client.delete(stream)
        answers = read_answers(reply, len(ballots))
        placed = sum(answer.verdict in (TAKEN, BEFORE) for answer in answers)
        self.votes += placed
        self.unplaced += len(answers) - placed


async def votes_of(pool: Pool, organisation: str, episode_ref: int) -> AsyncIterator[list[Any]]:
    """An episode's votes in the order in which they were written, some blocks at a time."""
    table = partition(episode_ref)
    query = statement("block_votes", PACKAGE).replace("{votes}", table)
    blocks = await pool.fetchval(
        "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint", table
    )
    for first in range(0, blocks, BLOCKS):
        yield await pool.fetch(query, organisation, f"({first},0)", f"({first + BLOCKS},0)")


async def fill(
    pool: Pool, organisation: str, keeper: BookKeeper, windows: Sequence[Known], progress: Callable[[int], None]
) -> None:
    """The books of all voters of `windows`. `progress` hears of votes as they are done."""
    known = {one.window.window_id: one for one in windows}
    for ref in sorted({one.show.episode_ref for one in windows}):
        async for rows in votes_of(pool, organisation, ref):
            by_place: dict[tuple[str, int], list[Any]] = {}
            for row in rows:
                by_place.setdefault((str(row["window_id"]), row["shard"]), []).append(row)
            for (window_id, shard), part in by_place.items():
                if window_id in known:
                    await keeper.replay(known[window_id], shard, part)
            progress(len(rows))
