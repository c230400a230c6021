"""From a closed window to a result for ever, over real engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from redis.asyncio import Redis
from structlog.testing import capture_logs

from broadcast_sync.api import application
from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Ledger, Settings, Voting
from broadcast_sync.settings import Show as ShowSettings
from broadcast_sync.show.model import Ruleset, Show, Stage, Window
from broadcast_sync.signatures import Keyring, Signer, canonical
from broadcast_sync.wire.times import iso
from results.archive import Archive
from results.certification import Certifier
from results.routes import ResultRoutes
from results.verify import examine
from tests.support.ledger import CONTESTANTS, OPENS_MS, ORG, AlwaysHeld, cast, row, seed_episode
from voting.ballot.gates import Gates
from voting.ledger.entries import moment
from voting.ledger.store import open_pool
from voting.ledger.writer import LedgerWriter

SIGNER = Signer(Ed25519PrivateKey.generate())
SETTINGS = Settings(show=ShowSettings(organisation=ORG), voting=Voting(shards=2))


class Scene:
    """A show with an open window over two shards, its writers and its certifier."""

    def __init__(self, client: Redis, pool: Any, ref: int) -> None:
        ruleset = Ruleset("xfactor", "sha256:00", {"text": "five a night"})
        window = Window(str(uuid7()), OPENS_MS, OPENS_MS + 90_000, OPENS_MS + 95_000, ruleset, CONTESTANTS)
        show = Show("demo", 1, "Finale", ref, CONTESTANTS)
        self.client = client
        self.pool = pool
        self.now_ms_ = OPENS_MS + 100_000
        self.stage = Stage(ORG, 3, "e", 1, show, None, "OPEN", window)
        self.window_id = window.window_id
        self.gates = Gates(SETTINGS, client)
        self.archive = Archive(pool, ORG)
        self.writers = [LedgerWriter(ORG, n, client, pool, AlwaysHeld(), Ledger(poll_ms=1)) for n in range(2)]

    def now_ms(self) -> int:
        return self.now_ms_

    def certifier(self, ledger: Ledger = Ledger(poll_ms=1)) -> Certifier:  # noqa: B008  frozen
        return Certifier(
            settings=ledger, organisation=ORG, gates=self.gates, pool=self.pool, archive=self.archive, clock=self,
            software="broadcast-sync test", signer=SIGNER,
        )  # fmt: skip

    async def write(self) -> None:
        for writer in self.writers:
            await writer.step()


@pytest.fixture
async def scene(valkey: Redis, postgres_url: str) -> AsyncIterator[Scene]:
    pool = await open_pool(postgres_url)
    made = Scene(valkey, pool, await seed_episode(pool))
    await made.gates.opening(made.stage)
    await cast(valkey, made.window_id, [row("c02", 3), row("c01")], 0)
    await cast(valkey, made.window_id, [row("c02", 1, 2), row("c04")], 1)
    yield made
    await pool.close()


async def test_an_equal_recount_is_certified_and_stays(scene: Scene) -> None:
    window = scene.stage.window
    assert window is not None
    closed_early = msgspec.structs.replace(window, closes_ms=OPENS_MS + 80_000, hard_closes_ms=OPENS_MS + 85_000)
    scene.stage = msgspec.structs.replace(scene.stage, window=closed_early)
    settling = asyncio.create_task(scene.certifier().settle(scene.stage))
    while not settling.done():
        await scene.write()
    result = await settling
    assert result.certified and result.total_votes == result.ledger_total == 7
    assert await scene.pool.fetchval("SELECT closes_at FROM windows") == moment(OPENS_MS + 80_000)
    assert [(row.contestant_id, row.vote_count, row.rank) for row in result.results] == [
        ("c02", 5, 1), ("c01", 1, 2), ("c04", 1, 2), ("c03", 0, 4),
    ]  # fmt: skip
    proof = result.certificate
    assert proof["recount"] == "EQUAL" and proof["counts"] == proof["ledgerCounts"] == {"c01": 1, "c02": 5, "c04": 1}
    assert (proof["showId"], proof["episode"], proof["rulesHash"]) == ("demo", 1, "sha256:00")
    assert [fence["shard"] for fence in proof["fences"]] == [0, 1]
    await scene.client.flushall()
    assert await scene.certifier().settle(scene.stage) == result


async def test_a_certificate_accounts_for_every_attempt(scene: Scene) -> None:
    """By type, refused and voided as well; what the archive gives back is still signed."""
    for shard, code, times in ((0, "NO_FREE_VOTES", 3), (1, "NO_FREE_VOTES", 4), (1, "RATE_LIMIT", 1)):
        await scene.client.hset(ShardKeys(ORG, shard).refused(scene.window_id), code, str(times))
    await cast(scene.client, scene.window_id, [row("c01", voter="v2"), row("c01", voter="v3")], 0)
    await cast(scene.client, scene.window_id, [row("c01", voter="v2")], 1)
    settling = asyncio.create_task(scene.certifier().settle(scene.stage))
    while not settling.done():
        await scene.write()
    stored = await scene.archive.get(UUID((await settling).window_id))
    assert stored is not None
    found = ring().open(stored.certificate)
    assert found["votesByType"] == {"free": {"c01": 4, "c02": 5, "c04": 1}}
    assert (found["ballots"], found["voters"], found["voidedBallots"], found["voided"]) == (7, 3, 0, {})
    assert (found["refused"], found["refusedTotal"]) == ({"NO_FREE_VOTES": 7, "RATE_LIMIT": 1}, 8)
    assert found["firstVoteAt"] == found["lastVoteAt"] == iso(OPENS_MS + 123)
    assert (found["organisation"], found["rules"]) == (ORG, None)
    verdict = examine(canonical(stored.certificate), ring())
    assert verdict.valid and not verdict.faults


async def test_a_second_settling_at_the_same_time_gives_the_same_result(scene: Scene) -> None:
    settling = [asyncio.create_task(scene.certifier().settle(scene.stage)) for _ in range(2)]
    while not all(task.done() for task in settling):
        await scene.write()
    first, second = await asyncio.gather(*settling)
    assert msgspec.json.encode(first) == msgspec.json.encode(second)
    assert await scene.pool.fetchval("SELECT count(*) FROM results") == 1


async def test_a_tally_that_was_tampered_with_is_not_certified(scene: Scene) -> None:
    await scene.client.hincrby(ShardKeys(ORG, 1).tally(scene.window_id), "c04", 1000)
    settling = asyncio.create_task(scene.certifier().settle(scene.stage))
    while not settling.done():
        await scene.write()
    result = await settling
    assert not result.certified
    assert (result.total_votes, result.ledger_total, result.certificate["recount"]) == (1007, 7, "DIFFERS")


async def test_a_tally_beyond_what_javascript_counts_is_certified_when_it_has_been_put_right(scene: Scene) -> None:
    tally = ShardKeys(ORG, 1).tally(scene.window_id)
    await scene.client.hincrby(tally, "c04", 2**53)
    with capture_logs() as logs:
        settling = asyncio.create_task(scene.certifier().settle(scene.stage))
        while not any(line["event"] == "tally_beyond_exact" for line in logs):
            await scene.write()
        assert not settling.done()
        await scene.client.hincrby(tally, "c04", -(2**53))
        while not settling.done():
            await scene.write()
    assert (await settling).certified


async def test_nothing_is_certified_before_the_ledger_has_reached_every_fence(scene: Scene) -> None:
    """One shard's writer is away: the certifier waits, says so loudly, and carries on when it is back."""
    certifier = scene.certifier()
    certifier._settings = msgspec.structs.replace(Ledger(poll_ms=1), fence_timeout_s=0.0)
    with capture_logs() as logs:
        settling = asyncio.create_task(certifier.settle(scene.stage))
        while not any(line["event"] == "ledger_behind_fence" for line in logs):
            await scene.writers[0].step()
        assert not settling.done()
        assert await scene.archive.get(UUID(scene.window_id)) is None
        while not settling.done():
            await scene.write()
    assert (await settling).certified


async def test_stored_results_over_http(scene: Scene) -> None:
    settling = asyncio.create_task(scene.certifier().settle(scene.stage))
    while not settling.done():
        await scene.write()
    stage = msgspec.structs.replace(scene.stage, voting="CLOSED", results=await settling)
    current = [stage]
    app = application(ResultRoutes(scene.archive, lambda: current[0]).endpoints())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as http:
        embargoed = await http.get(f"/api/v1/results/{scene.window_id}")
        assert embargoed.status_code == 404 and embargoed.json()["code"] == "NOT_FOUND"
        assert (await http.get("/api/v1/results")).json() == {"results": []}
        current[0] = msgspec.structs.replace(stage, released=True)
        found = (await http.get(f"/api/v1/results/{scene.window_id}")).json()
        assert found["certified"] is True and found["totalVotes"] == 7 and len(found["results"]) == 4
        assert found["certificate"]["windowId"] == found["windowId"] == scene.window_id
        file = await http.get(f"/api/v1/results/{scene.window_id}/certificate")
        assert examine(file.content, ring()).valid and "attachment" in file.headers["content-disposition"]
        listed = (await http.get("/api/v1/results?limit=1")).json()["results"]
        assert [line["windowId"] for line in listed] == [scene.window_id]
        assert [leader["contestantId"] for leader in listed[0]["leaders"]] == ["c02"]
        assert (await http.get(f"/api/v1/results/{uuid7()}")).status_code == 404
        wrong = ["/api/v1/results/nonsense", "/api/v1/results/nonsense/certificate"]
        wrong += [f"/api/v1/results/%7B{scene.window_id}%7D"]
        wrong += [f"/api/v1/results?limit={text}" for text in ("0", "101", "-1", "1.5", "", "٣", "9" * 99)]
        for path in wrong:
            answer = await http.get(path)
            assert answer.status_code == 422, path
            assert answer.json().keys() == {"code", "message", "retryable"}


async def test_results_without_postgres_are_503(scene: Scene) -> None:
    away = await open_pool("postgresql://postgres@/postgres?host=/nowhere")
    app = application(ResultRoutes(Archive(away, ORG), lambda: scene.stage).endpoints())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as http:
        for path in ("/api/v1/results", f"/api/v1/results/{uuid7()}"):
            answer = await http.get(path)
            assert answer.status_code == 503 and answer.json()["retryable"] is True
    await away.close()


def ring() -> Keyring:
    return Keyring.of_jwks(msgspec.json.encode(SIGNER.jwks()))
