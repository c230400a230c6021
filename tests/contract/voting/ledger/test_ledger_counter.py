"""The continuous recount: cheap, and no hand that touches the rows stays unseen for longer than one round."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Ledger
from tests.support.ledger import ORG, AlwaysHeld, cast, open_window, row, seed_episode
from voting.ledger import counter
from voting.ledger.counter import RowCounter, Tampered
from voting.ledger.recount import recount
from voting.ledger.store import open_pool
from voting.ledger.watch import LedgerWatch
from voting.ledger.writer import LedgerWriter

ROUND_S = 10.0
VOTES = 600


class Scene:
    """A window with votes over many blocks, all of them in the ledger; slices of one block each."""

    def __init__(self, client: Redis, pool: Any, ref: int, window: str) -> None:
        self.client, self.pool, self.ref, self.window = client, pool, ref, window
        self.watch = LedgerWatch(client, pool, ORG, 1, ROUND_S)
        self.writer = LedgerWriter(ORG, 0, client, pool, AlwaysHeld(), Ledger(poll_ms=1))

    async def vote(self, rows: list[list[Any]]) -> None:
        await cast(self.client, self.window, rows)
        await self.writer.step()

    async def tamper(self, statement: str) -> None:
        """What only somebody with all rights can do, and only after putting the guards away."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute(statement)

    async def round(self) -> str:
        """A round of looks a second apart; DIFFERS if any of them said so."""
        for _ in range(round(ROUND_S) + 1):
            self.watch._looked -= 1.0
            await self.watch.look(self.window)
            if self.watch.comparison == "DIFFERS":
                return "DIFFERS"
        return self.watch.comparison


@pytest.fixture
async def scene(valkey: Redis, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(counter, "SLICE", 1)
    monkeypatch.setattr(counter, "TAIL", 2)
    pool = await open_pool(postgres_url)
    ref = await seed_episode(pool)
    made = Scene(valkey, pool, ref, await open_window(valkey, ref))
    await made.vote([row(f"c0{n % 4 + 1}", 1, 1, f"{n}", voter=f"v{n}") for n in range(VOTES)])
    assert await made.round() == "EQUAL"
    assert made.watch._counter is not None and made.watch._counter.slices > 3
    yield made
    await pool.close()


async def test_votes_that_come_later_are_counted_with_the_rest(scene: Scene) -> None:
    rows = RowCounter(scene.pool, ORG, scene.ref, ROUND_S)
    window = UUID(scene.window)
    for _ in range(4):
        assert await rows.count(window, 1.0) == await recount(scene.pool, ORG, scene.window)
        await scene.vote([row("c02", 2, 3, f"{uuid7()}") for _ in range(100)])
    assert rows.slices > 3
    assert await rows.count(UUID(str(uuid7())), 1.0) == {}
    assert await scene.round() == "EQUAL"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM votes WHERE client_id = '7'",
        "UPDATE votes SET contestant_id = 'c04' WHERE client_id = '8'",
        "UPDATE votes SET vote_count = 2 WHERE client_id = '9'",
        "UPDATE votes SET voter = 'somebody else' WHERE client_id = '10'",
        """INSERT INTO votes SELECT org_id, episode_ref, gen_random_uuid(), window_id, shard, voter, contestant_id,
           vote_type, vote_count, weight, 'new', received_at, metadata FROM votes WHERE client_id = '11'""",
    ],
)
async def test_a_row_changed_by_hand_shows_within_a_round_and_stays_seen(scene: Scene, statement: str) -> None:
    await scene.tamper(statement)
    with capture_logs() as logs:
        assert await scene.round() == "DIFFERS"
    assert logs[-1]["log_level"] == "error"
    assert await scene.round() == "DIFFERS"


async def test_a_table_that_was_rewritten_is_counted_afresh(scene: Scene) -> None:
    await scene.pool.execute(f"VACUUM FULL votes_{scene.ref}")
    assert await scene.round() == "EQUAL"


async def test_a_slice_with_other_rows_is_named(scene: Scene) -> None:
    rows = RowCounter(scene.pool, ORG, scene.ref, ROUND_S)
    await rows.count(UUID(scene.window), ROUND_S)
    await scene.tamper("UPDATE votes SET metadata = '{}' WHERE client_id = '0'")
    with pytest.raises(Tampered, match=f"votes_{scene.ref}: rows in blocks 0 to 0"):
        await rows.count(UUID(scene.window), ROUND_S)


async def test_a_window_the_ledger_has_not_heard_of_is_pending(scene: Scene) -> None:
    await scene.watch.look(str(uuid7()))
    assert scene.watch.comparison == "PENDING"
