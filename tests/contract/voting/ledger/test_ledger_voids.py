"""Voids: each vote once, in tally and ledger alike, whatever fails in between; and the command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import typer
from redis.asyncio import Redis
from typer.testing import CliRunner

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.errors import StartError
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Ledger
from tests.support.ledger import OPENS_MS, ORG, AlwaysHeld, cast, open_window, row, seed_episode
from voting.ledger.account import account
from voting.ledger.entries import VoidReason
from voting.ledger.recount import recount, tallied
from voting.ledger.store import open_pool
from voting.ledger.void_command import void
from voting.ledger.voids import find_votes, void_votes, voided_in_engine, voided_in_ledger
from voting.ledger.watch import LedgerWatch
from voting.ledger.writer import LedgerWriter

WHY = VoidReason("bought by the hundred", "moderator", OPENS_MS + 9_000, "second")


class Scene:
    """A window of two shards; `ids` are the votes of voter v1 (three of weight 2) and of v2 (one)."""

    def __init__(self, client: Redis, pool: Any) -> None:
        self.client, self.pool = client, pool
        self.writers = [LedgerWriter(ORG, n, client, pool, AlwaysHeld(), Ledger(poll_ms=1)) for n in range(2)]
        self.watch = LedgerWatch(client, pool, ORG, 2, 60.0)
        self.window = ""
        self.ids: list[UUID] = []

    async def begin(self) -> None:
        ref = await seed_episode(self.pool)
        self.window = await open_window(self.client, ref)
        await open_window(self.client, ref, 1, self.window)
        first = await cast(self.client, self.window, [row("c01", 2, 1, str(n), voter="v1") for n in range(3)])
        second = await cast(self.client, self.window, [row("c02", 5, 1, "x", voter="v2")], 1)
        self.ids = [*first, *second]
        await self.write()

    async def write(self) -> None:
        for writer in self.writers:
            await writer.step()

    async def counted(self) -> tuple[dict[str, int], dict[str, int], str]:
        await self.watch.look(self.window)
        tally = await tallied(self.client, ORG, 2, self.window)
        return tally, await recount(self.pool, ORG, self.window), self.watch.comparison


@pytest.fixture
async def scene(valkey: Redis, postgres_url: str) -> AsyncIterator[Scene]:
    pool = await open_pool(postgres_url)
    made = Scene(valkey, pool)
    await made.begin()
    yield made
    await pool.close()


async def test_a_voided_vote_counts_nowhere_and_is_kept(scene: Scene) -> None:
    votes = await find_votes(scene.pool, ORG, None, ["v1"], None)
    assert [(vote.votes, vote.voided) for vote in votes] == [(2, False)] * 3
    done, entries = await void_votes(scene.client, ORG, votes, WHY)
    assert done == 3 and list(entries) == [ShardKeys(ORG, 0).stream]
    assert (await scene.counted())[2] == "PENDING"
    await scene.write()
    assert await scene.counted() == ({"c01": 0, "c02": 5}, {"c01": 0, "c02": 5}, "EQUAL")
    assert await voided_in_ledger(scene.pool, ORG, UUID(scene.window)) == {"c01": 6}
    assert await voided_in_engine(scene.client, ORG, 2, scene.window) == {"c01": 6}
    told = await account(scene.pool, ORG, scene.window)
    assert (told.ballots, told.voided_ballots, told.voided()) == (4, 3, {"c01": 6})
    assert await scene.pool.fetchval("SELECT count(*) FROM votes") == 4
    kept = await scene.pool.fetchrow("SELECT * FROM voids LIMIT 1")
    assert (kept["reason"], kept["voided_by"], kept["approved_by"]) == (WHY.reason, "moderator", "second")
    for statement in ("DELETE FROM voids", "UPDATE voids SET votes = 1"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await scene.pool.execute(statement)


async def test_a_vote_is_voided_once_by_however_many(scene: Scene) -> None:
    votes = await find_votes(scene.pool, ORG, scene.ids, None, UUID(scene.window))
    done = await asyncio.gather(*[void_votes(scene.client, ORG, votes, WHY) for _ in range(4)])
    assert sum(count for count, _ in done) == 4
    await scene.write()
    again, entries = await void_votes(scene.client, ORG, votes, WHY)
    assert (again, entries) == (0, {})
    assert await scene.counted() == ({"c01": 0, "c02": 0}, {"c01": 0, "c02": 0}, "EQUAL")
    assert all(vote.voided for vote in await find_votes(scene.pool, ORG, scene.ids, None, None))


async def test_votes_that_go_on_meanwhile_do_not_make_it_differ(scene: Scene) -> None:
    votes = await find_votes(scene.pool, ORG, None, ["v1"], None)
    for vote in votes:
        await cast(scene.client, scene.window, [row("c01", client_id=str(vote.vote_id))])
        await void_votes(scene.client, ORG, [vote], WHY)
        assert (await scene.counted())[2] in ("PENDING", "EQUAL")
        await scene.write()
        assert (await scene.counted())[2] == "EQUAL"


async def test_a_void_put_in_by_hand_differs(scene: Scene) -> None:
    await void_votes(scene.client, ORG, await find_votes(scene.pool, ORG, scene.ids[:1], None, None), WHY)
    await scene.write()
    await scene.pool.execute(
        "INSERT INTO voids SELECT org_id, episode_ref, gen_random_uuid(), window_id, shard, contestant_id, vote_type,"
        " votes, reason, voided_by, approved_by, voided_at FROM voids"
    )
    assert (await scene.counted())[2] == "DIFFERS"


app = typer.Typer()
app.command()(void)


@pytest.fixture
def config(scene: Scene, tmp_path: Path, valkey_url: str, postgres_url: str) -> str:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[engine]\nvalkey_url = "{valkey_url}"\npostgres_url = "{postgres_url}"\n[show]\norganisation = "{ORG}"\n'
    )
    return str(file)


async def run(config: str, *arguments: str, stdin: str = "") -> tuple[int, str]:
    def invoke() -> tuple[int, str]:
        try:
            result = CliRunner().invoke(app, [*arguments, "--config", config], input=stdin, catch_exceptions=False)
        except StartError as error:
            return error.exit_code, str(error)
        return result.exit_code, result.output

    return await asyncio.to_thread(invoke)


async def test_the_command_says_first_and_does_once(scene: Scene, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voting.ledger.void_command.PATIENCE_S", 0.0)
    ids = [str(one) for one in scene.ids[:2]]
    code, said = await run(config, *ids, "--reason", "refunded", "--dry-run", "--json")
    told = json.loads(said)
    assert (code, told["dryRun"], told["ballots"], told["votes"]) == (0, True, 2, 4)
    assert await tallied(scene.client, ORG, 2, scene.window) == {"c01": 6, "c02": 5}
    code, said = await run(config, "--file", "-", "--reason", "refunded", "--by", "ops", "--json", stdin="\n".join(ids))
    told = json.loads(said)
    assert (code, told["votes"], told["byContestant"], told["voidedBy"]) == (0, 4, {"c01": 4}, "ops")
    await scene.write()
    code, said = await run(config, "--voter", "v1", "--reason", "all of them", "--json")
    assert (json.loads(said)["votes"], json.loads(said)["alreadyVoided"]) == (2, 2)
    await scene.write()
    code, said = await run(config, "--voter", "v1", "--reason", "all of them")
    assert code == 0 and "0 ballots" in said and "3 had been voided" in said
    assert await scene.counted() == ({"c01": 0, "c02": 5}, {"c01": 0, "c02": 5}, "EQUAL")


async def test_what_makes_no_sense_is_exit_2_and_voids_nothing(scene: Scene, config: str) -> None:
    known = str(scene.ids[0])
    for arguments in (
        ["nonsense", "--reason", "because"],
        [known, str(uuid7()), "--reason", "because"],
        [known, "--reason", "because", "--window", str(uuid7())],
        [known, "--reason", "because", "--window", "nonsense"],
        [known, "--reason", "x"],
        [known],
        ["--reason", "because"],
        [known, "--voter", "v1", "--reason", "because"],
        ["--voter", "nobody", "--reason", "because"],
        ["--file", "/nowhere", "--reason", "because"],
    ):
        code, said = await run(config, *arguments)
        assert code == 2, (arguments, said)
    assert await tallied(scene.client, ORG, 2, scene.window) == {"c01": 6, "c02": 5}
