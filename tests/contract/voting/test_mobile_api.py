"""The mobile apps' API and /api/vote on real engines: ballots through the intake, history through the ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from redis.asyncio import Redis

from broadcast_sync.api import application
from broadcast_sync.bearer import Bearer
from broadcast_sync.bus.connect import connect
from broadcast_sync.clock import EngineClock
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Api, Ledger, Settings, Voting
from broadcast_sync.settings import Show as ShowSettings
from broadcast_sync.show.model import Season, Show, Stage, Window
from broadcast_sync.signatures import Signer
from broadcast_sync.tokens import Tokens
from broadcast_sync.wire.server import ResultsReady
from results.archive import Archive
from results.board import rows
from results.published import Published
from results.releases import Releases
from tests.support.ledger import CONTESTANTS, ORG, AlwaysHeld, seed_episode
from voting.api.admission import Admission
from voting.api.clips import ClipApi
from voting.api.cursor import Cursors
from voting.api.history import History
from voting.api.mobile import ROOT, MobileApi
from voting.api.tallies import Tallies
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake
from voting.ledger.store import open_pool
from voting.ledger.writer import LedgerWriter
from voting.wallet.wallet import Wallet

KEY = Ed25519PrivateKey.generate()
TOKENS = Tokens(Settings(), KEY)
SIGNER = Signer(KEY)


def bearer(user: str = "anna", role: str = "user", org: str = ORG, life_s: int = 3_600) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS.sign(user, org, [role], int(time.time()) + life_s)}"}


class House:
    """An open window, its ballots' way to the ledger, and both APIs over HTTP."""

    def __init__(self, client: Redis, pool: Any, ref: int, api: Api = Api()) -> None:  # noqa: B008  frozen
        settings = Settings(show=ShowSettings(organisation=ORG), voting=Voting(shards=2, engine_timeout_s=0.3), api=api)
        self.client, self.pool, self.ref = client, pool, ref
        self.clock = EngineClock()
        self.gates = Gates(settings, client)
        self.archive = Archive(pool, ORG)
        self.show = Show("demo", 1, "Finale", ref, CONTESTANTS)
        self.stage = Stage(ORG, epoch="e", show=self.show)
        self.ballots = BallotIntake(settings, self.clock, client, self.gates, lambda: self.stage)
        self.wallet = Wallet(client, pool, ORG, 2, self.clock)
        admission = Admission(Bearer(TOKENS, ORG, "user"), settings.api)
        tallies = Tallies(self.gates, self.clock)
        table = [
            *MobileApi(
                admission=admission, ballots=self.ballots, tallies=tallies,
                history=History(pool, ORG, settings.api.history_reads),
                published=Published(pool, ORG, self.archive, lambda: self.stage, self.clock),
                wallet=self.wallet, cursors=Cursors(SIGNER, ORG),
                stage=lambda: self.stage, clock=self.clock, secret=b"s", answer_s=2.0,
            ).endpoints(),
            *ClipApi(
                admission=admission, ballots=self.ballots, tallies=tallies, stage=lambda: self.stage, clock=self.clock,
                answer_s=2.0,
            ).endpoints(),
        ]  # fmt: skip
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(application(table)), base_url="http://test")
        self.writers = [LedgerWriter(ORG, n, client, pool, AlwaysHeld(), Ledger(poll_ms=1)) for n in range(2)]

    async def open(self, ruleset: str = "xfactor", slot: int = 0) -> None:
        now = self.clock.now_ms()
        window = Window(
            str(uuid7()), now, now + 600_000, now + 605_000, self.gates.ruleset(ruleset), CONTESTANTS, round=slot
        )
        season = Season(window.window_id, "demo", 75, slot, 600) if slot else None
        self.stage = msgspec.structs.replace(self.stage, revision=2, voting="OPEN", window=window, season=season)
        await self.gates.opening(self.stage)

    async def write(self, votes: int) -> None:
        """Until so many votes are in the ledger."""
        while await self.pool.fetchval("SELECT count(*) FROM votes") < votes:
            for writer in self.writers:
                await writer.step()

    async def cast(self, body: dict[str, Any], user: str = "anna", **headers: str) -> httpx.Response:
        return await self.http.post(f"{ROOT}/cast_vote", json=body, headers=bearer(user) | headers)

    async def get(self, path: str, user: str = "anna") -> httpx.Response:
        return await self.http.get(f"{ROOT}/{path}", headers=bearer(user))


@pytest.fixture
async def house(valkey: Redis, postgres_url: str) -> AsyncIterator[House]:
    pool = await open_pool(postgres_url)
    made = House(valkey, pool, await seed_episode(pool))
    yield made
    await made.http.aclose()
    await made.ballots.drain()
    await pool.close()


# --- a vote -------------------------------------------------------------------------------------------------


async def test_a_vote_over_http_counts_once_and_says_so(house: House) -> None:
    await house.open()
    first = await house.cast({"contestant_id": "c02", "vote_type": "free", "vote_count": 2, "id": "v1"})
    assert first.status_code == 200, first.text
    data = first.json()["data"]
    assert first.json()["success"] is True and data["replayed"] is False
    assert data["contestant"] == {"id": "c02", "name": "Singer 2", "current_votes": 2}
    assert data["user_status"]["votes_remaining"]["free_votes"] == 3
    again = await house.cast({"contestant_id": "c02", "vote_count": 2}, **{"Idempotency-Key": "v1"})
    assert again.json()["data"] == data | {"replayed": True}
    assert await house.gates.tallies(house.stage.window.window_id) == {"c02": 2}  # type: ignore[union-attr]  # it is open
    await house.write(1)
    kept = msgspec.json.decode(await house.pool.fetchval("SELECT metadata FROM votes"))
    assert kept["via"] == "rest" and set(kept) == {"via", "address"} and len(kept["address"]) == 32


async def test_where_a_vote_came_from_is_kept_as_hashes(house: House) -> None:
    await house.open()
    device = {"X-Device-ID": "IMEI-490154203237518", "X-App-Version": "3.2.1" + "x" * 100}
    await house.cast({"contestant_id": "c02"}, **device)
    await house.write(1)
    text = await house.pool.fetchval("SELECT metadata FROM votes")
    kept = msgspec.json.decode(text)
    assert "4901542" not in text and len(kept["device"]) == 32 and kept["app"].startswith("3.2.1") and len(text) < 300


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"contestant_id": "c99"}, 422, "INVALID_CONTESTANT"),
        ({"contestant_id": "c02", "vote_type": "golden"}, 422, "INVALID_VOTE_TYPE"),
        ({"contestant_id": "c02", "vote_count": 0}, 422, "INVALID_VOTE_COUNT"),
        ({"contestant_id": "c02", "vote_count": -1}, 422, "INVALID_VOTE_COUNT"),
        ({"contestant_id": "c02", "vote_count": 2**62}, 422, "INVALID_VOTE_COUNT"),
        ({"contestant_id": "c02", "vote_count": 2**63}, 422, "INVALID_VOTE_COUNT"),
        ({"contestant_id": "c02", "vote_count": 6}, 422, "NO_FREE_VOTES"),
        ({"contestant_id": "c02", "vote_count": 1.5}, 400, "BAD_MESSAGE"),
        ({"contestant_id": "c02", "vote_count": "1"}, 400, "BAD_MESSAGE"),
        ({"contestant_id": "c02", "episode_id": 999}, 422, "INVALID_CONTESTANT"),
        ({"contestant_id": "c02", "id": ""}, 400, "BAD_MESSAGE"),
        ({"contestant_id": "c02", "id": "x" * 65}, 400, "BAD_MESSAGE"),
        ({"contestant_id": "c02", "id": "a\u0000b"}, 400, "BAD_MESSAGE"),
        ({"contestant_id": "x" * 10_000}, 413, "TOO_LARGE"),
        ({"contestant_id": ""}, 400, "BAD_MESSAGE"),
        ({"contestant_id": "c02", "votes": 3}, 400, "BAD_MESSAGE"),
        ({}, 400, "BAD_MESSAGE"),
        ([], 400, "BAD_MESSAGE"),
    ],
)
async def test_bad_votes_are_typed_and_leave_nothing(house: House, body: Any, status: int, code: str) -> None:
    await house.open()
    answer = await house.cast(body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["success"] is False and answer.json()["errors"] == [answer.json()["error"]]
    assert await house.gates.tallies(house.stage.window.window_id) == {}  # type: ignore[union-attr]  # it is open


async def test_other_bodies_and_methods(house: House) -> None:
    await house.open()
    door = f"{ROOT}/cast_vote"
    form = await house.http.post(door, data={"contestant_id": "c02"}, headers=bearer())
    assert (form.status_code, form.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    for method in ("GET", "DELETE", "PUT"):
        answer = await house.http.request(method, door, headers=bearer())
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert (await house.http.head(f"{ROOT}/history", headers=bearer())).status_code == 200
    assert (await house.http.get(f"{ROOT}/history?page=2", headers=bearer())).status_code == 400


async def test_without_a_window_there_is_no_vote_and_the_next_episode_is_told(house: House) -> None:
    answer = await house.cast({"contestant_id": "c02"})
    assert (answer.status_code, answer.json()["code"]) == (422, "VOTING_CLOSED")
    none = await house.get("current_episode")
    assert none.status_code == 404
    assert none.json() == {
        "success": False, "error": "No active voting episode",
        "next_episode": {"id": house.ref, "title": "Finale", "air_date": None, "voting_start": None},
    }  # fmt: skip


async def test_an_engine_that_does_not_answer_is_503_with_retry_after(house: House, valkey_url: str) -> None:
    hasty = connect(valkey_url, timeout_s=0.3)
    house = House(hasty, house.pool, house.ref)
    await house.open()
    await house.client.client_pause(1_000)
    answer = await house.cast({"contestant_id": "c02", "id": "v1"})
    assert (answer.status_code, answer.json()["code"]) == (503, "TRY_AGAIN")
    assert answer.headers["Retry-After"] == "1" and answer.json()["retryable"] is True
    while (after := await house.cast({"contestant_id": "c02", "id": "v1"})).status_code == 503:
        pass  # each waits its time for the engine
    assert after.status_code == 200
    assert await house.gates.tallies(house.stage.window.window_id) == {"c02": 1}  # type: ignore[union-attr]  # it is open
    await house.http.aclose()
    await hasty.aclose()


# --- who asks -----------------------------------------------------------------------------------------------


async def test_a_token_is_needed_and_no_other_role_or_house_will_do(house: House) -> None:
    for headers, status, code in (
        ({}, 401, "UNAUTHENTICATED"),
        ({"Authorization": "Bearer rubbish"}, 401, "UNAUTHENTICATED"),
        (bearer(life_s=-60), 401, "TOKEN_EXPIRED"),
        (bearer(role="screen"), 403, "FORBIDDEN"),
        (bearer(org="elsewhere"), 403, "FORBIDDEN"),
    ):
        for path in ("current_episode", "history", "vote_balance", "results/1"):
            answer = await house.http.get(f"{ROOT}/{path}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_requests_of_a_user_are_limited_and_an_address_never_locks_a_town_out(
    valkey: Redis, postgres_url: str
) -> None:
    pool = await open_pool(postgres_url)
    api = Api(user_requests_per_minute=5, address_requests_per_minute=20)
    house = House(valkey, pool, await seed_episode(pool), api)
    for _ in range(5):
        assert (await house.get("vote_balance")).status_code == 200
    limited = await house.get("vote_balance")
    assert (limited.status_code, limited.json()["code"]) == (429, "RATE_LIMIT")
    assert int(limited.headers["Retry-After"]) >= 1
    for _ in range(30):  # all from one address
        await house.http.get(f"{ROOT}/history")
    nobody = await house.http.get(f"{ROOT}/history")
    assert (nobody.status_code, nobody.json()["code"]) == (429, "RATE_LIMIT")
    for number in range(30):
        assert (await house.get("vote_balance", f"neighbour-{number}")).status_code == 200
    await house.http.aclose()
    await pool.close()


# --- what was -----------------------------------------------------------------------------------------------


async def test_history_page_by_page(house: House) -> None:
    await house.open()
    for number in range(5):
        assert (await house.cast({"contestant_id": f"c0{1 + number % 3}", "id": f"v{number}"})).status_code == 200
    await house.cast({"contestant_id": "c04"}, user="ben")
    await house.write(6)
    pages, cursor = [], ""
    while True:
        data = (await house.get(f"history?per_page=2{cursor}")).json()["data"]
        pages.append(data["votes"])
        following = data["pagination"]["next_cursor"]
        if following is None:
            break
        cursor = f"&cursor={following}"
    assert [len(page) for page in pages] == [2, 2, 1]
    ids = [vote["id"] for page in pages for vote in page]
    assert ids == sorted(ids, reverse=True) and len(set(ids)) == 5
    assert pages[0][0]["episode"] == {"id": house.ref, "title": "E", "episode_number": 1}
    assert (pages[0][0]["vote_type"], pages[0][0]["vote_count"], pages[0][0]["voided"]) == ("free", 1, False)
    mine = (await house.get("history?per_page=2")).json()["data"]["pagination"]["next_cursor"]
    changed = ("A" if mine[0] != "A" else "B") + mine[1:]
    for user, forged in (("ben", mine), ("anna", changed), ("anna", "x"), ("anna", "%00"), ("anna", "")):
        answer = await house.get(f"history?cursor={forged}", user)
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_MESSAGE"), forged
    for wrong in ("per_page=0", "per_page=101", "per_page=x", "per_page=2&per_page=3", "offset=2"):
        assert (await house.get(f"history?{wrong}")).status_code == 400


async def test_the_episode_on_air_with_what_the_voter_did(house: House) -> None:
    await house.open()
    await house.cast({"contestant_id": "c02", "vote_count": 3})
    await house.write(1)
    data = (await house.get("current_episode")).json()["data"]
    assert (data["episode"]["id"], data["episode"]["voting_active"]) == (house.ref, True)
    assert 590 < data["episode"]["time_remaining"]["total_seconds"] <= 600
    assert [one["id"] for one in data["contestants"]] == ["c01", "c02", "c03", "c04"]
    assert [one["percentage"] for one in data["contestants"]] == [0.0, 100.0, 0.0, 0.0]
    status = data["user_voting_status"]
    assert status["has_voted"] is True and status["free_votes_used"] == 3 and status["free_votes_remaining"] == 2
    assert status["total_votes_cast"] == 3


async def test_what_was_bought_is_cast_and_accounted_for(house: House) -> None:
    await house.open()
    await house.wallet.credit("anna", "paid", 10, "order-1")
    await house.wallet.credit("anna", "bundle", 50, "order-2", expires_ms=house.clock.now_ms() + 3_600_000)
    paid = await house.cast({"contestant_id": "c02", "vote_type": "paid", "vote_count": 4})
    assert paid.status_code == 200, paid.text
    assert paid.json()["data"]["user_status"]["vote_balance"] == 56
    too_many = await house.cast({"contestant_id": "c02", "vote_type": "paid", "vote_count": 7})
    assert (too_many.status_code, too_many.json()["code"]) == (422, "INSUFFICIENT_VOTE_BALANCE")
    await house.write(1)
    data = (await house.get("vote_balance")).json()["data"]
    assert data["balance"] == 56 and data["available_packages"] == []
    assert [(one["order_number"], one["total_votes"]) for one in data["recent_purchases"]] == [
        ("order-2", 50), ("order-1", 10),
    ]  # fmt: skip
    assert (await house.get("current_episode")).json()["data"]["user_voting_status"]["paid_votes_cast"] == 4


async def test_what_was_bought_in_one_millisecond_stands_as_it_was_bought(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.open()
    now_ms = house.clock.now_ms()
    monkeypatch.setattr(EngineClock, "now_ms", lambda clock: now_ms)
    orders = [f"order-{number}" for number in range(5)]
    for order in orders:
        await house.wallet.credit("anna", "paid", 1, order)
    await house.cast({"contestant_id": "c02"})
    await house.write(1)
    data = (await house.get("vote_balance")).json()["data"]
    assert [one["order_number"] for one in data["recent_purchases"]] == orders[::-1]


async def test_a_result_is_there_once_it_is_released_and_stays(house: House) -> None:
    await house.open()
    await house.cast({"contestant_id": "c02", "vote_count": 3})
    await house.cast({"contestant_id": "c01"}, user="ben")
    await house.write(2)
    window = house.stage.window
    assert window is not None
    result = ResultsReady(
        window.window_id, rows({"c02": 3, "c01": 1}, CONTESTANTS), 4, True, 4, {"showId": "demo", "episode": 1}
    )
    await house.archive.store(result)
    house.stage = msgspec.structs.replace(house.stage, voting="CLOSED", results=result)
    path = f"results/{house.ref}"
    hidden = await house.get(path)
    assert (hidden.status_code, hidden.json()["code"]) == (404, "NOT_FOUND")
    released = msgspec.structs.replace(house.stage, released=True, lately_released=(window.window_id,))
    for stage, seen in ((released, True), (Stage(ORG), False)):
        house.stage = stage
        assert (await house.get(path)).status_code == (200 if seen else 404)
    await Releases(house.pool, ORG, Feed(released)).note(window.window_id)
    data = (await house.get(path)).json()["data"]
    assert data["episode"] == {
        "id": house.ref, "title": "E", "episode_number": 1, "voting_active": False, "total_votes": 4
    }  # fmt: skip
    first, second, *_ = [(row["contestant_id"], row["votes"], row["rank"]) for row in data["results"]]
    assert (first, second) == (("c02", 3, 1), ("c01", 1, 2))
    assert data["vote_breakdown"]["unique_voters"] == 2 and data["vote_breakdown"]["by_type"]["free"] == 4
    assert [hour["votes"] for hour in data["vote_breakdown"]["by_hour"]] == [4]
    for wrong in ("0", "999", "x", "-1", "9" * 30, "1.0", "%D9%A1"):
        assert (await house.get(f"results/{wrong}")).status_code == 404


class Feed:
    """A stage that moves when it is told to."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._moved = asyncio.Event()

    def move(self, stage: Stage) -> None:
        self.stage = stage
        self._moved.set()

    async def wait_change(self, seen: Stage) -> None:
        while self.stage is seen:
            self._moved.clear()
            await self._moved.wait()


async def test_every_release_is_noted_even_one_that_the_stage_has_left(house: House) -> None:
    await house.open()
    await house.cast({"contestant_id": "c02"})
    await house.write(1)
    window_id = house.stage.window.window_id  # type: ignore[union-attr]  # it is open
    feed = Feed(Stage(ORG))
    noting = asyncio.create_task(Releases(house.pool, ORG, feed).run())
    await house.archive.store(ResultsReady(window_id, [], 1, True, 1, {"showId": "demo", "episode": 1}))
    # released, and the next window open already: this stage never was the one of the release
    feed.move(msgspec.structs.replace(house.stage, lately_released=(str(uuid7()), window_id)))
    while not await house.archive.is_released(UUID(window_id)):  # noqa: ASYNC110  it is PostgreSQL that knows
        await asyncio.sleep(0.005)
    noting.cancel()
    await asyncio.wait({noting})


async def test_without_postgres_votes_are_taken_and_reading_is_503(valkey: Redis) -> None:
    away = await open_pool("postgresql://postgres@/postgres?host=/nowhere")
    house = House(valkey, away, 7)
    await house.open()
    assert (await house.cast({"contestant_id": "c02"})).status_code == 200
    for path in ("history", "current_episode", "results/7", "vote_balance"):
        answer = await house.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "BUSY")
        assert answer.headers["Retry-After"] == "2"
    await house.ballots.drain()
    await house.http.aclose()
    await away.close()


# --- clips --------------------------------------------------------------------------------------------------


async def test_clips_in_rounds(house: House) -> None:
    await house.open("hybrid", slot=12)

    async def vote(clip: str, kind: str = "standard", **headers: str) -> httpx.Response:
        # as the front end sends it: no content type of its own
        body = msgspec.json.encode({"clipId": clip, "voteType": kind})
        return await house.http.post(
            "/api/vote", content=body, headers=bearer() | {"Content-Type": "text/plain;charset=UTF-8"} | headers
        )

    async def state() -> Any:
        return (await house.http.get("/api/vote", headers=bearer())).json()

    before = await state()
    assert (before["currentSlot"], before["totalSlots"], before["votedClipIds"]) == (12, 75, [])
    assert before["remainingVotes"] == {"standard": 200, "super": 1, "mega": 1} and before["totalVotesToday"] == 0
    first = await vote("c02", "super", **{"Idempotency-Key": "k1"})
    assert first.status_code == 200, first.text
    assert first.json() | {"voteId": ""} == {
        "success": True, "clipId": "c02", "voteType": "super", "newScore": 3, "totalVotesToday": 1,
        "remainingVotes": {"standard": 199, "super": 0, "mega": 1}, "voteId": "", "replayed": False,
    }  # fmt: skip
    assert (await vote("c02", "super", **{"Idempotency-Key": "k1"})).json()["replayed"] is True
    for clip, kind, status, code in (
        ("c02", "standard", 409, "ALREADY_VOTED"),
        ("c01", "super", 429, "SUPER_LIMIT"),
        ("c99", "standard", 404, "INVALID_CONTESTANT"),
        ("c01", "golden", 422, "INVALID_VOTE_TYPE"),
    ):
        answer = await vote(clip, kind)
        assert (answer.status_code, answer.json()["code"], answer.json()["success"]) == (status, code, False)
    assert (await vote("c01", "mega")).json()["newScore"] == 10
    assert (await vote("c03", "mega")).json()["code"] == "MEGA_LIMIT"
    after = await state()
    assert after["votedClipIds"] == ["c01", "c02"] and after["totalVotesToday"] == 2
    assert {clip["id"]: clip["has_voted"] for clip in after["clips"]} == {
        "c01": True, "c02": True, "c03": False, "c04": False
    }  # fmt: skip
    assert (await house.http.post("/api/vote", content=b"<x/>", headers=bearer() | {"Content-Type": "text/xml"})
            ).status_code == 415
