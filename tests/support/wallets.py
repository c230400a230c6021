"""A whole vote path for tests of what wallets pay: gates, intake, wallet and the ledger's writers on real engines."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis

from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Ledger, Settings, Show, Voting
from broadcast_sync.show.model import Stage, Window
from tests.support.ballots import FakeSession, FixedClock, stage_of, vote
from tests.support.ledger import ORG, AlwaysHeld, seed_episode
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake
from voting.ledger.writer import LedgerWriter
from voting.wallet.wallet import Wallet

HOUR_MS = 3_600_000


class House:
    """One open window. The clock stands at its opening until the test moves it; ballots arrive at the clock's time."""

    def __init__(self, client: Redis, pool: Any, ref: int, ruleset: str = "xfactor", shards: int = 2) -> None:
        settings = Settings(show=Show(organisation=ORG), voting=Voting(ruleset=ruleset, shards=shards))
        self.client, self.pool, self.shards = client, pool, shards
        self.gates = Gates(settings, client)
        stage = stage_of(self.gates.ruleset(None), seconds=86_000, show_id="demo")
        assert stage.show is not None
        show = msgspec.structs.replace(stage.show, episode_ref=ref)
        self.stage: Stage = msgspec.structs.replace(stage, organisation=ORG, show=show)
        self.clock = FixedClock(self.window.opens_ms)
        self.intake = BallotIntake(settings, self.clock, client, self.gates, lambda: self.stage)
        self.wallet = Wallet(client, pool, ORG, shards, self.clock)
        self.writers = [
            LedgerWriter(ORG, shard, client, pool, AlwaysHeld(), Ledger(poll_ms=1)) for shard in range(shards)
        ]

    @classmethod
    async def opened(cls, client: Redis, pool: Any, **more: Any) -> House:
        house = cls(client, pool, await seed_episode(pool), **more)
        await house.gates.opening(house.stage)
        return house

    @property
    def window(self) -> Window:
        assert self.stage.window is not None
        return self.stage.window

    async def press(self, voter: str, id: str, kind: str, count: int = 1, contestant: str = "c1") -> object:
        """The answer in short: what is left, or the code of the refusal."""
        session = FakeSession(voter, organisation=ORG)
        try:
            self.intake.handle(session, vote(id, contestant, kind, count), self.clock.now)
        except Refusal as refusal:
            return refusal.code
        await self.intake.drain()
        [answer] = session.answers
        return answer.code if isinstance(answer, Refusal) else answer.remaining

    async def drain(self) -> None:
        """Brings all streams into the ledger."""
        for writer in self.writers:
            while True:
                before = writer.position
                await writer.step()
                if writer.position == before:
                    break

    async def journal(self) -> dict[tuple[str, str], int]:
        """The journal's balance of every account that has one: (voter, account) -> votes."""
        rows = await self.pool.fetch(
            "SELECT voter, account, sum(votes)::bigint AS votes FROM wallet_entries WHERE org_id = $1"
            " GROUP BY voter, account",
            ORG,
        )
        return {(row["voter"], row["account"]): row["votes"] for row in rows if row["votes"]}
