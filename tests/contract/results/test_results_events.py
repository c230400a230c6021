"""What anybody may look up of an event over HTTP, on real engines: contestants, ranking, boards as they were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace
from redis.asyncio import Redis

from broadcast_sync.api import application
from broadcast_sync.bus.keys import ShardKeys, StageKeys
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Results, Settings
from broadcast_sync.show.catalogue import Catalogue, demo
from broadcast_sync.show.model import Ruleset, Stage, Window
from broadcast_sync.signatures import Signer
from broadcast_sync.wire.server import ResultsReady
from broadcast_sync.wire.times import iso
from broadcast_sync.wire.visibility import Visibility
from results.archive import Archive
from results.board import Board, rows
from results.contestant_routes import ContestantRoutes
from results.cursor import ListCursors
from results.events import FRESH_MS, STORED_MS, Events
from results.publisher import BoardPublisher
from results.releases import Releases
from results.snapshots import Snapshots
from results.timeline_routes import TimelineRoutes
from tests.support.ledger import OPENS_MS, AlwaysHeld
from voting.ballot.gates import Gates
from voting.ledger.store import open_pool

ORG = "default"
SIGNER = Signer(Ed25519PrivateKey.generate())


class Scene:
    """The demo show with an open window, its director's boards, and the routes over both."""

    def __init__(self, client: Redis, pool: Any, stage: Stage) -> None:
        self.client = client
        self.pool = pool
        self.stage = stage
        self.now = OPENS_MS
        self.archive = Archive(pool, ORG)
        self.snapshots = Snapshots(pool, ORG, self)
        self.events = Events(
            pool=pool, client=client, organisation=ORG, catalogue=Catalogue(pool, ORG), archive=self.archive,
            stage=lambda: self.stage, clock=self, locale="en",
        )
        self.publisher = BoardPublisher(
            settings=Results(), client=client, keys=StageKeys(ORG), tallies=Gates(Settings(), client), stage=self,
            clock=self, lease=AlwaysHeld(),
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=application([
            *ContestantRoutes(self.events, ListCursors(SIGNER, ORG)).endpoints(),
            *TimelineRoutes(self.snapshots, self.archive, lambda: self.stage).endpoints(),
        ])), base_url="http://test")

    def now_ms(self) -> int:
        return self.now

    @property
    def window(self) -> Window:
        assert self.stage.window is not None
        return self.stage.window

    @property
    def path(self) -> str:
        assert self.stage.show is not None
        return f"/api/v1/events/{self.stage.show.episode_ref}"

    async def votes(self, **counts: int) -> None:
        """Adds votes and makes the next second's board of them."""
        tally = ShardKeys(ORG, 0).tally(self.window.window_id)
        for name, count in counts.items():
            await self.client.hincrby(tally, name, count)
        self.now += FRESH_MS
        assert await self.publisher.tick(self.now)

    async def keep(self) -> None:
        assert self.publisher.latest is not None
        await self.snapshots.keep(*self.publisher.latest)

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(path if path.startswith("/") else f"{self.path}/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def status(self, path: str, **query: Any) -> int:
        answer = await self.http.get(path if path.startswith("/") else f"{self.path}/{path}", params=query)
        if answer.status_code >= 400:
            assert {"code", "message", "retryable"} <= answer.json().keys()
        return answer.status_code

    async def close(self) -> ResultsReady:
        """The window's result is in, and not released."""
        counts = {"c02": 10, "c07": 5}
        await self.pool.execute(
            "INSERT INTO windows SELECT $1, $2, ref, now(), now(), now(), 'x', '00', '{}', '[]' FROM episodes",
            ORG, UUID(self.window.window_id),
        )
        certificate = {
            "showId": "demo", "episode": 1, "votesByType": {"free": {"c02": 9, "c07": 5}, "paid": {"c02": 1}},
            "voters": 12, "certifiedAt": iso(OPENS_MS + 99_000),
        }
        result = ResultsReady(
            self.window.window_id, rows(counts, self.window.contestants), 15, True, 15, certificate
        )
        await self.archive.store(result)
        self.stage = replace(self.stage, voting="CLOSED", results=result)
        self.now += FRESH_MS
        return result


@pytest.fixture
async def scene(valkey: Redis, postgres_url: str) -> AsyncIterator[Scene]:
    pool = await open_pool(postgres_url)
    catalogue = Catalogue(pool, ORG)
    await catalogue.load_demo()
    show = await catalogue.find("demo", 1)
    assert show is not None
    window = Window(
        str(uuid7()), OPENS_MS, OPENS_MS + 90_000, OPENS_MS + 95_000, Ruleset("xfactor", "00", {}), show.contestants
    )
    made = Scene(valkey, pool, Stage(ORG, 3, "e", 1, show, None, "OPEN", window))
    yield made
    await made.http.aclose()
    await pool.close()


def ids(*listed: Any) -> list[str]:
    return [one["id"] for page in listed for one in page["contestants"]]


async def test_contestants_by_page_and_by_cursor(scene: Scene) -> None:
    await scene.votes(c02=10, c07=5, c12=5)
    first = await scene.get("contestants", limit=5)
    assert (first["total"], first["totalVotes"], ids(first)) == (12, 20, ["c02", "c07", "c12", "c01", "c03"])
    best = first["contestants"][0]
    assert (best["voteCount"], best["percentage"], best["rank"], best["number"]) == (10, 50.0, 1, 2)
    pages = [await scene.get("contestants", limit=5, page=number) for number in (1, 2, 3, 4)]
    assert ids(*pages) == ids(*await by_cursor(scene, limit=5)) and len(ids(*pages)) == 12
    assert [len(page["contestants"]) for page in pages] == [5, 5, 2, 0]
    assert pages[2]["nextCursor"] is None and pages[3]["nextCursor"] is None and pages[3]["total"] == 12
    assert ids(await scene.get("contestants", page=1_000_000)) == []


async def by_cursor(scene: Scene, **query: Any) -> list[Any]:
    pages = [await scene.get("contestants", **query)]
    while (cursor := pages[-1]["nextCursor"]) is not None:
        pages.append(await scene.get("contestants", **query, cursor=cursor))
    return pages


async def test_search_category_and_sort(scene: Scene) -> None:
    await scene.votes(c02=10)
    people = demo().contestants
    girls = [person.id for person in people if person.category == "Girls"]
    assert sorted(ids(await scene.get("contestants", category="Girls"))) == sorted(girls)
    assert ids(await scene.get("contestants", category="Zone A")) == []
    names = [one["name"] for one in (await scene.get("contestants", sort="name"))["contestants"]]
    assert names == sorted(names, key=str.casefold)
    assert ids(await scene.get("contestants", sort="number")) == [f"c{n:02d}" for n in range(1, 13)]
    assert ids(await scene.get("contestants", search="dArA")) == ["c01"]
    assert ids(await scene.get("contestants", search="តារា")) == ["c01"]
    found = ids(await scene.get("contestants", sort="name", search="an"))
    assert len(found) > 1 and found == ids(*await by_cursor(scene, sort="name", search="an", limit=1))


async def test_questions_that_make_no_sense_are_refused(scene: Scene) -> None:
    other = (await scene.get("contestants", limit=5, sort="name"))["nextCursor"]
    wrong: list[dict[str, Any]] = [
        {"search": "a"}, {"search": "%%"}, {"search": "__"}, {"search": "\\\\"}, {"search": ""}, {"search": "x" * 65},
        {"page": 0}, {"page": -1}, {"page": "9" * 40}, {"page": "two"}, {"limit": 0}, {"limit": 101}, {"sort": "best"},
        {"cursor": "AAAA"}, {"cursor": "'; DROP TABLE votes; --"}, {"cursor": other}, {"cursor": "x" * 2_000},
        {"cursor": other, "sort": "name", "page": 2}, {"cursor": other, "sort": "name", "search": "an"},
        {"order": "name"}, {"category": "x" * 65},
    ]
    for query in wrong:
        assert await scene.status("contestants", **query) == 422, query
    assert await scene.status("contestants", cursor=other, sort="name") == 200
    for search in ("100%", "' OR '1'='1", "c0_", "<script>", "a\u202eb"):
        assert (await scene.get("contestants", search=search))["total"] == 0


async def test_events_and_contestants_that_are_not_there(scene: Scene) -> None:
    for event in ("0", "2147483648", "99999999999", "-1", "01", "x", "1e0", "٣", "4242", "%00"):
        assert await scene.status(f"/api/v1/events/{event}/contestants") == 404, event
    for name in ("c99", "C01", "'", "%25", "x" * 300):
        assert await scene.status(f"contestants/{name}") == 404


async def test_one_contestant_and_the_leaderboard(scene: Scene) -> None:
    assert await scene.status("leaderboard") == 404  # no board so far
    await scene.client.hset(ShardKeys(ORG, 0).types(scene.window.window_id), "free", "15")
    await scene.votes(c02=10, c07=5)
    one = (await scene.get("contestants/c07"))["contestant"]
    assert (one["voteCount"], one["rank"], one["khmerName"] != "") == (5, 2, True)
    board = await scene.get("leaderboard", limit=2)
    assert [(row["contestantId"], row["rank"]) for row in board["results"]] == [("c02", 1), ("c07", 2)]
    assert (board["totalVotes"], board["contestantCount"], board["breakdown"]) == (15, 12, {"free": 15})
    assert board["lastUpdated"] == iso(scene.now)


async def test_an_answer_may_be_kept_and_is_not_sent_twice(scene: Scene) -> None:
    await scene.votes(c02=10)
    first = await scene.http.get(f"{scene.path}/contestants")
    assert first.headers["cache-control"] == "public, max-age=1"
    for known in (first.headers["etag"], f'W/{first.headers["etag"]}, "x"', "*"):
        again = await scene.http.get(f"{scene.path}/contestants", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    await scene.votes(c02=1)
    changed = await scene.http.get(f"{scene.path}/contestants", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200 and changed.headers["etag"] != first.headers["etag"]


async def test_the_engine_is_read_once_a_second_however_many_ask(scene: Scene) -> None:
    await scene.votes(c02=10)
    await asyncio.gather(*[scene.get("contestants", page=page) for page in range(1, 50)])
    await asyncio.gather(*[scene.get("leaderboard", limit=limit) for limit in range(1, 50)])
    assert scene.events._fresh.made == 1
    scene.now += FRESH_MS
    await scene.get("leaderboard")
    assert scene.events._fresh.made == 2


async def test_a_result_is_told_after_its_release_and_not_before(scene: Scene) -> None:
    """The certified figures; and later, when the event is not on air any more, out of the archive."""
    await scene.votes(c02=9)
    result = await scene.close()
    assert (await scene.get("contestants/c02"))["contestant"]["voteCount"] == 9  # the board that everybody has seen
    stage = scene.stage
    scene.stage = replace(stage, show=None, window=None, voting="IDLE", results=None)
    path = f"/api/v1/events/{stage.show.episode_ref if stage.show else 0}"
    scene.now += FRESH_MS
    listed = await scene.get(f"{path}/contestants")
    assert listed["total"] == 12 and listed["totalVotes"] is None
    assert {one["voteCount"] for one in listed["contestants"]} == {None}
    assert await scene.status(f"{path}/leaderboard") == 404
    scene.stage = replace(stage, released=True)
    scene.now += FRESH_MS
    board = await scene.get("leaderboard")
    assert (board["totalVotes"], board["uniqueVoters"], board["breakdown"]) == (15, 12, {"free": 14, "paid": 1})
    await Releases(scene.pool, ORG, None).note(result.window_id)  # type: ignore[arg-type]  # only run() needs the feed
    scene.stage = replace(stage, show=None, window=None, voting="IDLE", results=None)
    scene.now += STORED_MS
    assert await scene.get(f"{path}/leaderboard") == board
    assert (await scene.get(f"{path}/contestants/c07"))["contestant"]["voteCount"] == 5


@pytest.mark.parametrize("visibility", ["screens", "hidden"])
async def test_counts_that_are_not_for_everybody_are_on_no_road(scene: Scene, visibility: Visibility) -> None:
    """The board is made, kept and published between nodes all the same; over HTTP there is nothing of it."""
    await scene.votes(c02=9)
    await scene.keep()
    scene.stage = replace(scene.stage, window=replace(scene.window, visibility=visibility))
    for voting in ("OPEN", "CLOSING", "CLOSED"):
        scene.stage = replace(scene.stage, voting=voting)
        scene.now += FRESH_MS
        listed = await scene.get("contestants")
        assert (listed["totalVotes"], listed["countedAt"]) == (None, None)
        assert ids(listed) == [f"c{n:02d}" for n in range(1, 13)]  # nor does the order tell
        assert {(one["voteCount"], one["rank"], one["trend"]) for one in listed["contestants"]} == {(None, None, None)}
        assert (await scene.get("contestants/c02"))["contestant"]["percentage"] is None
        timeline = f"/api/v1/results/{scene.window.window_id}/timeline"
        for path in ("leaderboard", timeline, f"{timeline}/{iso(scene.now)}"):
            assert await scene.status(path) == 404, path
    await scene.close()
    assert await scene.status("leaderboard") == 404
    scene.stage = replace(scene.stage, released=True)
    scene.now += FRESH_MS
    assert (await scene.get("leaderboard"))["totalVotes"] == 15


async def test_boards_of_another_window_are_not_this_ones(scene: Scene) -> None:
    await scene.votes(c02=9)
    scene.stage = replace(scene.stage, window=replace(scene.window, window_id=str(uuid7())))
    scene.now += FRESH_MS
    assert await scene.status("leaderboard") == 404


async def test_without_the_engine_there_are_names_and_no_counts(scene: Scene) -> None:
    await scene.client.set(StageKeys(ORG).standing, b"of another version")
    listed = await scene.get("contestants")
    assert listed["total"] == 12 and listed["totalVotes"] is None


async def test_without_postgres_what_is_on_air_is_still_told(scene: Scene) -> None:
    await scene.votes(c02=9)
    await scene.pool.close()
    assert (await scene.get("leaderboard"))["totalVotes"] == 9
    assert await scene.status("/api/v1/events/4242/contestants") == 503
    assert await scene.status(f"/api/v1/results/{uuid7()}/timeline") == 503


async def test_boards_are_kept_for_replay(scene: Scene) -> None:
    window = scene.window.window_id
    for _ in range(4):
        await scene.votes(c02=3, c07=1)
        await scene.keep()
        await scene.keep()  # twice is once
    path = f"/api/v1/results/{window}/timeline"
    timeline = await scene.get(path)
    assert [moment["totalVotes"] for moment in timeline["moments"]] == [4, 8, 12, 16]
    assert timeline["next"] is None and timeline["final"] is None
    assert [row["contestantId"] for row in timeline["moments"][0]["leaders"]] == ["c02", "c07", "c01"]
    first = await scene.get(path, limit=3)
    rest = await scene.get(path, after=first["next"])
    assert first["moments"] + rest["moments"] == timeline["moments"]
    at = timeline["moments"][1]["at"]
    assert (await scene.get(f"{path}/{at}"))["totalVotes"] == 8
    assert (await scene.get(f"{path}/{iso(scene.now + 500)}"))["totalVotes"] == 16
    assert len((await scene.get(f"{path}/{at}"))["results"]) == 12
    assert await scene.status(f"{path}/{iso(OPENS_MS)}") == 404
    for wrong in ("now", "2026", "2026-11-21T20:15:00", "9999-12-31T23:59:59-12:00", "0"):
        assert await scene.status(f"{path}/{wrong}") == 422, wrong
        assert await scene.status(path, after=wrong) == 422, wrong
    assert await scene.status("/api/v1/results/nonsense/timeline") == 422


async def test_a_timeline_is_not_there_before_its_window_may_be_seen(scene: Scene) -> None:
    await scene.votes(c02=3)
    await scene.keep()
    path = f"/api/v1/results/{scene.window.window_id}/timeline"
    result = await scene.close()
    scene.stage = replace(scene.stage, window=None, results=None, voting="IDLE")
    assert await scene.status(path) == await scene.status(f"{path}/{iso(scene.now)}") == 404
    await Releases(scene.pool, ORG, None).note(result.window_id)  # type: ignore[arg-type]  # only run() needs the feed
    timeline = await scene.get(path)
    assert len(timeline["moments"]) == 1
    assert (timeline["final"]["certified"], timeline["final"]["totalVotes"]) == (True, 15)


async def test_of_a_long_window_the_last_day_is_kept(scene: Scene) -> None:
    for hours in (0, 1, 23, 24, 24.5, 26):
        scene.now = OPENS_MS + round(hours * 3_600_000)
        await scene.votes(c02=1)
        await scene.keep()
    assert await scene.pool.fetchval("SELECT count(*) FROM board_snapshots") == 4


async def test_snapshots_go_on_after_an_outage(scene: Scene) -> None:
    """The director's loop: each new board once."""
    await scene.votes(c02=1)
    kept: list[int] = []
    asked, often = 0, asyncio.Event()

    class Failing(Snapshots):
        failures = 1

        async def keep(self, window_id: str, board: Board) -> None:
            if self.failures:
                self.failures -= 1
                raise OSError("away")
            kept.append(board.at_ms)

    def latest() -> tuple[str, Board] | None:
        nonlocal asked
        asked += 1
        if asked == 6:
            often.set()
        return scene.publisher.latest

    scene.now = OPENS_MS + 9_999  # a millisecond before the next ten seconds, for ever
    running = asyncio.create_task(Failing(scene.pool, ORG, scene).run(latest))
    await often.wait()
    running.cancel()
    await asyncio.wait([running])
    assert kept == [OPENS_MS + FRESH_MS]
