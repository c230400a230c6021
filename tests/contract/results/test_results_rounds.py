from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from broadcast_sync.api import application
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Ledger
from broadcast_sync.show.model import Ruleset, Season, Show, SlotWinner, Stage, Window
from broadcast_sync.show.rounds import TieRule
from broadcast_sync.wire.server import ResultsReady
from results.board import rows
from results.rounds import Rounds
from tests.support.ledger import CONTESTANTS, OPENS_MS, ORG, AlwaysHeld, cast, open_window, row, seed_episode
from voting.ledger.store import open_pool
from voting.ledger.writer import LedgerWriter

RULES = Ruleset("hybrid", "sha256:00", {}, 3)


class Slot:
    """A closed slot whose ballots are in the ledger: c02 and c03 have 6 each, c02 of two voters and later."""

    def __init__(self, pool: Any, window_id: str, ref: int) -> None:
        self.pool = pool
        self.window_id = window_id
        window = Window(window_id, OPENS_MS, OPENS_MS + 90_000, OPENS_MS + 95_000, RULES, CONTESTANTS, round=2)
        counts = {"c01": 1, "c02": 6, "c03": 6}
        results = ResultsReady(window_id, rows(counts, CONTESTANTS), 13, True, 13, {})
        self.stage = Stage(
            ORG, 9, "e", 1, Show("demo", 1, "Film", ref, CONTESTANTS), None, "CLOSED", window, results,
            season=Season(str(uuid7()), "demo", 3, 2, 90),
        )

    def rounds(self, ties: TieRule = "voters") -> Rounds:
        return Rounds(self.pool, ORG, ties, lambda: self.stage)


@pytest.fixture
async def slot(valkey: Redis, postgres_url: str) -> AsyncIterator[Slot]:
    pool = await open_pool(postgres_url)
    ref = await seed_episode(pool)
    window_id = await open_window(valkey, ref)
    late = row("c02", 3, voter="v3")
    late[7] = OPENS_MS + 5_000
    await cast(valkey, window_id, [row("c03", 6, voter="v1"), row("c02", 3, voter="v2"), late, row("c01", voter="v4")])
    writer = LedgerWriter(ORG, 0, valkey, pool, AlwaysHeld(), Ledger(poll_ms=1))
    while await pool.fetchval("SELECT count(*) FROM votes") < 4:
        await writer.step()
    yield Slot(pool, window_id, ref)
    await pool.close()


@pytest.mark.parametrize(("ties", "who", "by"), [
    ("voters", "c02", "VOTERS"), ("first", "c03", "FIRST"), ("number", "c02", "NUMBER"),
])  # fmt: skip
async def test_equal_scores_are_told_apart_by_the_ledger(slot: Slot, ties: TieRule, who: str, by: str) -> None:
    won = await slot.rounds(ties).decide(slot.stage, 2)
    assert won == SlotWinner(2, slot.window_id, who, 6, by)  # type: ignore[arg-type]  # one of its words


async def test_the_first_decision_stands(slot: Slot) -> None:
    first = await slot.rounds("number").decide(slot.stage, 2)
    assert await slot.rounds("first").decide(slot.stage, 2) == first
    assert await slot.pool.fetchval("SELECT count(*) FROM slots") == 1
    with pytest.raises(asyncpg.RestrictViolationError):
        await slot.pool.execute("UPDATE slots SET contestant_id = 'c01'")
    with pytest.raises(ValueError, match="no slot"):
        await slot.rounds().decide(slot.stage, 3)


async def test_a_slot_is_told_once_the_stage_knows_it(slot: Slot) -> None:
    won = await slot.rounds().decide(slot.stage, 2)
    app = application(slot.rounds().endpoints())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        listed = (await http.get("/api/v1/rounds")).json()
        assert listed == {"season": {"slot": 2, "slots": 3, "status": "locked"}, "rounds": []}
        assert (await http.get("/api/v1/rounds/2")).status_code == 404
        assert slot.stage.season is not None
        after = msgspec.structs.replace(slot.stage.season, slot=3, winners=(won,))
        slot.stage = msgspec.structs.replace(slot.stage, season=after)
        [found] = (await http.get("/api/v1/rounds")).json()["rounds"]
        assert (found["contestantId"], found["contestantName"], found["score"]) == ("c02", "Singer 2", 6)
        assert UUID(found["windowId"]) == UUID(slot.window_id) and found["decidedBy"] == "VOTERS"
        assert (await http.get("/api/v1/rounds/2")).json() == found
        for path in ("/api/v1/rounds/3", "/api/v1/rounds/x", "/api/v1/rounds/-1"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        slot.stage = Stage(ORG)
        assert (await http.get("/api/v1/rounds")).json() == {"season": None, "rounds": []}


async def test_without_postgres_nothing_is_decided_and_reading_is_503(slot: Slot) -> None:
    away = await open_pool("postgresql://postgres@/postgres?host=/nowhere")
    rounds = Rounds(away, ORG, "voters", lambda: slot.stage)
    with pytest.raises(OSError):
        await rounds.decide(slot.stage, 2)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application(rounds.endpoints())), base_url="http://test"
    ) as http:
        assert (await http.get("/api/v1/rounds")).status_code == 503
    await away.close()
