"""Valkey loses everything in the middle of a window; the ledger gives it back, and nobody can tell."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from redis.asyncio import Redis
from typer.testing import CliRunner

from broadcast_sync.bus.keys import ShardKeys, StageKeys, shard_of
from broadcast_sync.errors import Refusal, StartError
from broadcast_sync.settings import Ledger, Settings, Voting
from broadcast_sync.settings import Show as ShowSettings
from broadcast_sync.show.model import Show, Stage, Window
from broadcast_sync.show.store import StageStore
from broadcast_sync.wire.server import VoteAck
from tests.support.ballots import CONTESTANTS, FakeSession, FixedClock, brisk, vote
from tests.support.ledger import ORG, AlwaysHeld, seed_episode
from voting.ballot.gates import Gates, Turnout
from voting.ballot.intake import BallotIntake
from voting.ledger.entries import VoidReason, moment
from voting.ledger.recount import recount, tallied
from voting.ledger.voids import find_votes, void_votes
from voting.ledger.watch import LedgerWatch
from voting.ledger.writer import LedgerWriter
from voting.rebuild.commands import rebuild
from voting.rebuild.rebuild import Rebuilder
from voting.wallet.wallet import Wallet

SETTINGS = Settings(show=ShowSettings(organisation=ORG), voting=Voting(shards=2))


class Scene:
    """An open window of a show that was started by cue, two shards, their writers, and voters."""

    def __init__(self, client: Redis, pool: Any, ref: int, ruleset: str) -> None:
        self.client, self.pool = client, pool
        self.gates = Gates(SETTINGS, client, {**Gates(SETTINGS, client)._rulesets, "brisk": brisk()})
        now = time.time_ns() // 1_000_000
        held = self.gates.ruleset(ruleset)
        self.window = Window(
            "01a0c1f5-0000-7000-8000-000000000001", now, now + 60_000, now + 65_000, held, CONTESTANTS,
            visibility="hidden",
        )
        show = Show("demo", 1, "E", ref, CONTESTANTS)
        self.stage = Stage(ORG, 5, "e", show=show, voting="OPEN", window=self.window)
        self.clock = FixedClock(now + 10)
        self.writers = [LedgerWriter(ORG, n, client, pool, AlwaysHeld(), Ledger(poll_ms=1)) for n in range(2)]
        self.wallet = Wallet(client, pool, ORG, 2, self.clock)

    async def begin(self) -> None:
        await self.cue("SHOW_START", {"showId": "demo", "episode": 1}, 1)
        await self.cue("VOTING_OPEN", {"duration": 60}, 2)
        await self.gates.opening(self.stage)

    async def cue(self, event: str, data: dict[str, Any], revision: int, later_ms: int = 0) -> None:
        at = moment(self.window.opens_ms + later_ms)
        await self.pool.execute(
            "INSERT INTO cue_log (org_id, stream_id, show_id, cue_id, event, asked_by, asked_at, executed_at, outcome,"
            " revision, lateness_ms, data) VALUES ($1, $2, 'demo', $2, $3, 'op', $4, $4, 'executed', $5, 0, $6)",
            ORG, f"{revision}-0", event, at, revision, json.dumps(data),
        )

    async def cast(self, user: str, *ids: str, **more: Any) -> list[Any]:
        """Each answer in short: (voteId, replayed) or the code of the refusal. From a new node each time."""
        ballots = BallotIntake(SETTINGS, self.clock, self.client, self.gates, lambda: self.stage)
        session = FakeSession(user, organisation=ORG)
        for id in ids:
            try:
                ballots.handle(session, vote(id, **more), self.clock.now)
            except Refusal as refusal:
                session.refuse(refusal, id)
        await ballots.drain()
        return [
            (answer.vote_id, answer.replayed) if isinstance(answer, VoteAck) else answer.code
            for answer in session.answers
        ]

    async def write(self) -> None:
        for writer in self.writers:
            await writer.step()

    async def lose_and_rebuild(self) -> Any:
        await self.client.flushall()
        for writer in self.writers:
            writer._fresh = False
        one = Rebuilder(self.client, self.pool, ORG, 2, self.clock.now)
        await one.check()
        seen: list[int] = []
        done = await one.run(seen.append)
        assert sum(seen) == await one.total()
        return done

    async def restored(self) -> Stage:
        return await StageStore(self.client, StageKeys(ORG), ORG).load()

    async def compared(self) -> str:
        await self.write()
        watch = LedgerWatch(self.client, self.pool, ORG, 2, 60.0)
        await watch.look(self.window.window_id)
        return watch.comparison


async def made(valkey: Redis, pool: Any, ruleset: str) -> Scene:
    ref = await seed_episode(pool)
    for person in CONTESTANTS:
        await pool.execute(
            "INSERT INTO contestants (org_id, show_id, episode, contestant_id, number, name, performance_order, status)"
            " VALUES ($1, 'demo', 1, $2, $3, $4, $3, $5)", ORG, person.id, person.number, person.name, person.status,
        )
    scene = Scene(valkey, pool, ref, ruleset)
    await scene.begin()
    return scene


@pytest.fixture
async def scene(valkey: Redis, pool: Any) -> Scene:
    return await made(valkey, pool, "brisk")


async def test_a_window_goes_on_as_if_nothing_had_happened(scene: Scene) -> None:
    first = await scene.cast("u1", "a", "b", count=2)
    others = [await scene.cast(f"u{n}", "x", contestant="c2") for n in range(2, 12)]
    scene.clock.now += 15_000
    *_, refused = await scene.cast("u1", "s1", "s2", "s3", kind="super")
    assert refused == "SUPER_LIMIT"
    await scene.write()
    before = await tallied(scene.client, ORG, 2, scene.window.window_id)
    turnout = await scene.gates.turnout(scene.window.window_id)
    assert turnout.voters == 11 and sum(turnout.types.values()) == sum(before.values())
    done = await scene.lose_and_rebuild()
    assert (done.windows, done.unplaced, done.voting, done.window_id) == (1, 0, "OPEN", scene.window.window_id)
    assert await tallied(scene.client, ORG, 2, scene.window.window_id) == before
    assert await scene.gates.turnout(scene.window.window_id) == turnout
    assert await scene.compared() == "EQUAL"
    assert await scene.cast("u1", "a", "b") == [(vote_id, True) for vote_id, _ in first]
    assert [await scene.cast(f"u{n}", "x") for n in range(2, 12)] == [[(one[0][0], True)] for one in others]
    assert await scene.cast("u1", "s4", kind="super") == ["SUPER_LIMIT"]
    assert await tallied(scene.client, ORG, 2, scene.window.window_id) == before
    scene.clock.now += 15_000
    assert await scene.cast("u1", "e", kind="super") == ["SUPER_LIMIT"]
    assert [type(answer) for answer in await scene.cast("u1", "c", "d")] == [tuple, tuple]
    assert await scene.compared() == "EQUAL"
    stage = await scene.restored()
    assert stage.show == scene.stage.show and stage.voting == "OPEN" and stage.revision > 2
    assert stage.window is not None and stage.window.visibility == "hidden"
    assert not [key async for key in scene.client.scan_iter("*rebuild*")]


async def test_rates_hold_after_a_rebuilding(scene: Scene) -> None:
    assert len(await scene.cast("u1", "a", count=6)) == 1
    await scene.write()
    await scene.lose_and_rebuild()
    scene.clock.now += 1_000
    assert await scene.cast("u1", "b") == ["RATE_LIMIT"]


async def test_voids_stay_voided_and_wallets_stay_spent(valkey: Redis, pool: Any) -> None:
    scene = await made(valkey, pool, "xfactor")
    await scene.wallet.credit("rich", "paid", 50, "receipt-1")
    lot = await scene.wallet.credit("rich", "bundle", 30, "receipt-2", expires_ms=scene.clock.now + 3_600_000)
    [paid] = await scene.cast("rich", "p1", kind="paid", count=20)
    [bundle] = await scene.cast("rich", "k1", kind="bundle", count=7)
    await scene.cast("poor", "f1")
    await scene.write()
    await void_votes(valkey, ORG, await find_votes(pool, ORG, None, ["poor"], None), VoidReason("bought", "me", 0))
    await scene.write()
    done = await scene.lose_and_rebuild()
    assert done.wallets == 1
    balance = await scene.wallet.balance("rich")
    assert (balance.paid, balance.bundle, balance.bundles[0].id) == (30, 23, lot.credit_id)
    assert await scene.cast("rich", "p1", "k1", kind="paid") == [(paid[0], True), (bundle[0], True)]
    assert await scene.cast("rich", "p2", kind="paid", count=31) == ["INSUFFICIENT_VOTE_BALANCE"]
    assert (await scene.wallet.credit("rich", "paid", 50, "receipt-1")).replayed
    assert await recount(pool, ORG, scene.window.window_id) == {"c1": 27}
    assert await tallied(valkey, ORG, 2, scene.window.window_id) == {"c1": 27}
    assert await scene.gates.turnout(scene.window.window_id) == Turnout({"paid": 20, "bundle": 7}, 2)
    again = await find_votes(pool, ORG, None, ["poor"], None)
    undone = [msgspec.structs.replace(found, voided=False) for found in again]
    assert (await void_votes(valkey, ORG, undone, VoidReason("bought", "me", 0)))[0] == 0
    assert await scene.compared() == "EQUAL"


async def test_an_extension_and_an_early_close_are_remembered(scene: Scene) -> None:
    await scene.write()
    await scene.cue("VOTING_EXTEND", {"seconds": 30}, 4, 5_000)
    await scene.lose_and_rebuild()
    stage = await scene.restored()
    assert stage.window is not None and stage.window.closes_ms == scene.window.closes_ms + 30_000
    gate = await scene.client.hgetall(ShardKeys(ORG, 1).gate(scene.window.window_id))
    assert (gate[b"state"], int(gate[b"hardClosesMs"])) == (b"open", scene.window.hard_closes_ms + 30_000)
    await scene.cue("VOTING_CLOSE", {}, 5, 7_000)
    scene.clock.now = scene.window.opens_ms + 8_000
    await scene.lose_and_rebuild()
    stage = await scene.restored()
    assert stage.voting == "CLOSING" and stage.window is not None and stage.window.reason == "CUE"
    assert stage.window.hard_closes_ms == scene.window.opens_ms + 12_000
    await scene.cue("SHOW_END", {}, 6, 9_000)
    assert (await scene.lose_and_rebuild()).voting == ""


async def test_newer_data_and_data_that_are_there_are_not_written_over(scene: Scene) -> None:
    one = Rebuilder(scene.client, scene.pool, ORG, 2, scene.clock.now)
    await scene.cast("u1", "a")
    with pytest.raises(StartError, match="does not have yet"):
        await one.check()
    await scene.write()
    with pytest.raises(StartError, match="has not lost its data"):
        await one.check()
    await one.run(lambda _: None)
    assert await scene.compared() == "EQUAL"


app = typer.Typer()
app.command()(rebuild)


async def test_the_command(scene: Scene, tmp_path: Path, valkey_url: str, postgres_url: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[engine]\nvalkey_url = "{valkey_url}"\npostgres_url = "{postgres_url}"\n[voting]\nshards = 2\n'
        f'[show]\norganisation = "{ORG}"\n'
    )

    async def run(*arguments: str) -> tuple[int, str]:
        def invoke() -> tuple[int, str]:
            try:
                result = CliRunner().invoke(app, [*arguments, "--config", str(file)], catch_exceptions=False)
            except StartError as error:
                return error.exit_code, str(error)
            return result.exit_code, result.output
        return await asyncio.to_thread(invoke)

    voters = [f"u{n}" for n in range(8)]
    assert {shard_of(voter, 2) for voter in voters} == {0, 1}
    for voter in voters:
        await scene.cast(voter, "a", "b")
    await scene.write()
    assert (await run())[0] == 1
    code, said = await run("--force", "--json")
    assert code == 0 and json.loads(said)["votes"] == 16
    await scene.client.flushall()
    code, said = await run()
    assert code == 0 and "16 votes" in said and "voting is OPEN" in said
    file.write_text(file.read_text().replace("shards = 2", "shards = 1"))
    await scene.client.flushall()
    code, said = await run()
    assert code == 2 and "more than 1 shards" in said and not await scene.client.dbsize()
