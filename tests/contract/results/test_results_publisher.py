"""The board of each second on a real engine: what goes out, what is kept, and who goes on with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from broadcast_sync.bus.keys import ShardKeys, StageKeys
from broadcast_sync.bus.leases import Lease
from broadcast_sync.clock import EngineClock
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Results, Settings, Voting
from broadcast_sync.settings import Show as ShowSettings
from broadcast_sync.show.model import Ruleset, Show, Stage, Window
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import ContestantInfo
from results.ballots import RecentBallots, masked
from results.history import SAMPLES
from results.publisher import BoardPublisher
from results.standing import Standing
from tests.support.ledger import CONTESTANTS, OPENS_MS, ORG, AlwaysHeld, cast, row, seed_episode
from voting.ballot.gates import Gates
from voting.ledger.store import ensure_partition, open_pool

KEYS = StageKeys(ORG)


class Scene:
    """An open window over two shards."""

    def __init__(self, client: Redis, contestants: tuple[ContestantInfo, ...] = CONTESTANTS) -> None:
        window = Window(
            str(uuid7()), OPENS_MS, OPENS_MS + 90_000, OPENS_MS + 95_000, Ruleset("xfactor", "00", {}), contestants
        )
        self.client = client
        self.stage = Stage(ORG, 3, "e", 1, Show("demo", 1, "Finale", 1, contestants), None, "OPEN", window)
        self.window_id = window.window_id
        self.gates = Gates(Settings(show=ShowSettings(organisation=ORG), voting=Voting(shards=2)), client)

    def now_ms(self) -> int:
        return OPENS_MS


@pytest.fixture
async def scene(valkey: Redis) -> Scene:
    made = Scene(valkey)
    await cast(valkey, made.window_id, [row("c02", 3), row("c01")], 0)
    await cast(valkey, made.window_id, [row("c02", 1, 2), row("c04")], 1)
    return made


def publisher(scene: Scene, **options: Any) -> BoardPublisher:
    return BoardPublisher(
        settings=options.pop("settings", Results()), client=scene.client, keys=KEYS, tallies=scene.gates, stage=scene,
        clock=scene, lease=AlwaysHeld(), **options,
    )


class Heard:
    """What the bus says of boards, and, taken apart, of single contestants."""

    def __init__(self, pubsub: Any) -> None:
        self._pubsub = pubsub
        self.contestants: dict[str, Prepared] = {}

    async def next(self) -> Prepared:
        """The next message for channel `results`."""
        while (found := await self._take()) is None:
            pass
        return found

    async def update(self, contestant: str, at_ms: int) -> Any:
        """What a contestant's channel is told of the board of `at_ms`."""
        name = f"contestant:{contestant}"
        while name not in self.contestants or self.contestants[name].offset != at_ms:
            await self._take()
        return data_of(self.contestants[name])

    async def _take(self) -> Prepared | None:
        message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
        if message is None:
            return None
        if message["channel"].decode() == KEYS.results_channel:
            return Prepared.received(message["data"])
        for name, envelope in msgspec.json.decode(message["data"], type=dict[str, msgspec.Raw]).items():
            self.contestants[name] = Prepared.received(bytes(envelope))
        return None


@pytest.fixture
async def heard(valkey: Redis) -> AsyncIterator[Heard]:
    async with valkey.pubsub() as pubsub:
        await pubsub.subscribe(KEYS.results_channel, KEYS.contestants_channel)
        yield Heard(pubsub)


def data_of(prepared: Prepared) -> Any:
    return prepared.decoded()["data"]


async def test_a_board_goes_to_every_channel_and_is_kept(scene: Scene, heard: Heard) -> None:
    boards = publisher(scene)
    assert await boards.tick(OPENS_MS + 2_000)
    live, lean = await heard.next(), await heard.next()
    assert [(item.type, item.channel, item.epoch, item.offset) for item in (live, lean)] == [
        ("LIVE_RESULTS", "results", scene.window_id, OPENS_MS + 2_000),
        ("VOTE_UPDATE", "results", scene.window_id, OPENS_MS + 2_001),
    ]
    assert await scene.client.get(KEYS.board) == live.json
    left: Any = await scene.client.get(KEYS.standing)
    standing = Standing.unpack(left)
    assert (standing.window_id, standing.counts, standing.order) == (scene.window_id, [1, 5, 0, 1], [1, 0, 3, 2])
    await cast(scene.client, scene.window_id, [row("c03", 10)])
    assert await boards.tick(OPENS_MS + 3_000)
    data = data_of(await heard.next())
    assert set(heard.contestants) == {f"contestant:c0{n}" for n in range(1, 5)}
    assert [(line["contestantId"], line["rank"]) for line in data["results"]] == [
        ("c03", 1), ("c02", 2), ("c01", 3), ("c04", 3),
    ]  # fmt: skip
    assert (data["totalVotes"], data["timeRemaining"], data["contestantCount"]) == (17, 87, 4)
    assert boards.votes_per_second == 10.0 and boards.total_votes == 17


async def test_places_are_gained_against_the_board_of_a_minute_ago(scene: Scene, heard: Heard) -> None:
    boards = publisher(scene)
    assert await boards.tick(OPENS_MS + 6_000)
    await cast(scene.client, scene.window_id, [row("c03", 10)])
    for second in (30, 66):
        assert await boards.tick(OPENS_MS + second * 1_000)
    changes = [
        {line["contestantId"]: line["change"] for line in data_of(message)["results"]}
        for message in [await heard.next() for _ in range(6)][::2]
    ]
    assert changes[0] == changes[1] == {"c01": 0, "c02": 0, "c03": 0, "c04": 0}  # nothing was ranked a minute ago
    assert changes[2] == {"c01": -1, "c02": -1, "c03": 3, "c04": -1}


async def test_how_long_ago_is_a_setting(scene: Scene, heard: Heard) -> None:
    boards = publisher(scene, settings=Results(change_s=10))
    await boards.tick(OPENS_MS + 10_000)
    await cast(scene.client, scene.window_id, [row("c03", 10)])
    await boards.tick(OPENS_MS + 20_000)
    await heard.next(), await heard.next()
    assert [(one["contestantId"], one["change"]) for one in data_of(await heard.next())["results"]] == [
        ("c03", 3), ("c02", -1), ("c01", -1), ("c04", -1),
    ]  # fmt: skip


async def test_one_board_a_turn_however_many_nodes(scene: Scene, heard: Heard) -> None:
    """And each later than the last, also across the end of the node that made them."""
    every = Results(interval_ms=100)
    nodes = []
    for name in ("n1", "n2", "n3"):
        lease = Lease(scene.client, KEYS.director, name, 300)
        boards = BoardPublisher(
            settings=every, client=scene.client, keys=KEYS, tallies=scene.gates, stage=scene, clock=EngineClock(),
            lease=lease,
        )
        nodes.append((lease, [asyncio.create_task(lease.run()), asyncio.create_task(boards.run())]))
    offsets = [await live(heard) for _ in range(4)]
    [(lease, tasks)] = [node for node in nodes if node[0].held]
    await ended(tasks)
    await lease.release()
    offsets += [await live(heard) for _ in range(4)]
    assert offsets == sorted(set(offsets)) and all(offset % 100 == 0 for offset in offsets)
    for _, tasks in nodes:
        await ended(tasks)


async def live(heard: Heard) -> int:
    """The offset of the next LIVE_RESULTS."""
    while (message := await heard.next()).type != "LIVE_RESULTS":
        pass
    return message.offset or 0


async def ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_votes_by_type_and_voters_go_out(scene: Scene, heard: Heard) -> None:
    for shard, voters in ((0, ("a", "b")), (1, ("c",))):
        keys = ShardKeys(ORG, shard)
        await scene.client.hset(keys.types(scene.window_id), mapping={"free": 3, "paid": shard})
        await scene.client.pfadd(keys.voters(scene.window_id), *voters)
    assert await publisher(scene).tick(OPENS_MS + 2_000)
    data = data_of(await heard.next())
    assert (data["breakdown"], data["uniqueVoters"]) == ({"free": 6, "paid": 1}, 3)


async def test_a_broken_turnout_costs_its_own_figures_and_no_board(scene: Scene, heard: Heard) -> None:
    await scene.client.set(ShardKeys(ORG, 1).voters(scene.window_id), "rubbish")
    with capture_logs() as logs:
        boards = publisher(scene)
        assert await boards.tick(OPENS_MS + 2_000) and await boards.tick(OPENS_MS + 3_000)
    assert [line["event"] for line in logs] == ["turnout_unreadable"]
    data = data_of(await heard.next())
    assert data["totalVotes"] == 7 and not {"breakdown", "uniqueVoters"} & data.keys()


async def test_a_new_director_carries_on_with_the_history(scene: Scene, heard: Heard) -> None:
    """It knows what was there before it came, in the engine's bounded list; what is not of this window it leaves."""
    first = publisher(scene)
    for second in range(0, 700, 5):
        assert await first.tick(OPENS_MS + second * 1_000)
    assert await scene.client.llen(KEYS.samples(scene.window_id)) == SAMPLES
    await cast(scene.client, scene.window_id, [row("c03", 10)])
    heir = publisher(scene)
    assert await heir.tick(OPENS_MS + 700_000)
    while (message := await heard.next()).offset != OPENS_MS + 700_000:
        pass
    assert {line["contestantId"]: line["change"] for line in data_of(message)["results"]}["c03"] == 3
    update = await heard.update("c03", OPENS_MS + 700_000)
    assert (update["recentVotes"], update["totalVotes"]) == (10, 10)


async def test_a_history_that_cannot_be_read_costs_changes_and_nothing_else(scene: Scene) -> None:
    await scene.client.rpush(KEYS.samples(scene.window_id), b"rubbish")
    with capture_logs() as logs:
        assert await publisher(scene).tick(OPENS_MS + 2_000)
    assert [line["event"] for line in logs] == ["history_lost"]


async def test_a_board_with_more_votes_than_javascript_counts_goes_out_to_nobody(scene: Scene) -> None:
    boards = publisher(scene)
    await scene.client.hset(ShardKeys(ORG, 0).tally(scene.window_id), "c01", str(2**53))
    with capture_logs() as logs:
        assert not await boards.tick(OPENS_MS + 2_000)
        assert not await boards.tick(OPENS_MS + 3_000)
    assert [line["event"] for line in logs] == ["board_beyond_exact"]
    assert await scene.client.get(KEYS.board) is None


async def test_of_thousands_the_best_hundred_go_out_and_what_changes(valkey: Redis, heard: Heard) -> None:
    many = tuple(ContestantInfo(f"c{n}", n, f"Singer {n}", "", "active") for n in range(1, 3_001))
    scene = Scene(valkey, many)
    tally = ShardKeys(ORG, 0).tally(scene.window_id)
    await valkey.hset(tally, mapping={person.id: 3_001 - person.number for person in many})
    boards = publisher(scene)
    told: set[str] = set()
    for second in range(2, 8):  # all are new, and too many for one message
        assert await boards.tick(OPENS_MS + second * 1_000)
        live, lean = data_of(await heard.next()), data_of(await heard.next())
        assert len(live["results"]) == 100 and live["contestantCount"] == lean["contestantCount"] == 3_000
        assert len(lean["results"]) <= 600
        told.update(line["contestantId"] for line in lean["results"])
    assert len(told) == 3_000
    await valkey.hincrby(tally, "c3000", 2)
    assert await boards.tick(OPENS_MS + 8_000)
    live, lean = data_of(await heard.next()), data_of(await heard.next())
    others = [line["contestantId"] for line in lean["results"][100:]]
    assert {"c2999", "c3000"} <= set(others) and len(others) < 60
    assert len(heard.contestants) == 3_000


async def test_boards_end_with_one_last_board_after_the_close(scene: Scene) -> None:
    boards = publisher(scene)
    assert await boards.tick(OPENS_MS + 1_000)
    scene.stage = msgspec.structs.replace(scene.stage, voting="CLOSED")
    assert await boards.tick(OPENS_MS + 2_000)
    assert not await boards.tick(OPENS_MS + 3_000)
    assert boards.votes_per_second == 0.0
    scene.stage = msgspec.structs.replace(scene.stage, voting="IDLE", window=None)
    assert not await boards.tick(OPENS_MS + 4_000)


async def test_a_director_that_comes_after_the_close_publishes_nothing(scene: Scene) -> None:
    scene.stage = msgspec.structs.replace(scene.stage, voting="CLOSED")
    assert not await publisher(scene).tick(OPENS_MS + 1_000)


async def test_boards_go_on_after_an_outage(scene: Scene) -> None:
    """The engine fails for two boards: one line when it begins, one when it is over."""

    class Ticking:
        def __init__(self) -> None:
            self.ms = OPENS_MS

        def now_ms(self) -> int:
            self.ms += 50
            return self.ms

    failures = 2
    resumed = asyncio.Event()
    boards = publisher(scene, settings=Results(interval_ms=50))
    boards._clock = Ticking()
    real = boards.tick

    async def flaky(at_ms: int) -> bool:
        nonlocal failures
        if failures:
            failures -= 1
            raise ConnectionRefusedError
        done = await real(at_ms)
        resumed.set()
        return done

    boards.tick = flaky  # type: ignore[method-assign]
    with capture_logs() as logs:
        running = asyncio.create_task(boards.run())
        await resumed.wait()
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
    assert [line["event"] for line in logs] == ["boards_interrupted", "boards_resumed"]


async def test_the_last_ballots_of_a_contestant_come_with_masked_names(scene: Scene, postgres_url: str) -> None:
    pool = await open_pool(postgres_url)
    ref = await seed_episode(pool)
    async with pool.acquire() as connection:
        await ensure_partition(connection, ref)
    show = scene.stage.show
    assert show is not None
    scene.stage = msgspec.structs.replace(scene.stage, show=msgspec.structs.replace(show, episode_ref=ref))
    ballots = RecentBallots(pool, ORG, lambda: scene.stage)
    await ballots.look()
    assert ballots.of(scene.window_id) == {} and ballots.of("another") is None

    async def store(contestant: str, at_ms: int, window: str, voter: str) -> None:
        await pool.execute(
            "INSERT INTO votes VALUES ($1, $2, $3, $4, 0, $5, $6, 'free', 2, 1, 'x', to_timestamp($7::float8 / 1000))",
            ORG, ref, uuid7(at_ms), UUID(window), voter, contestant, at_ms,
        )

    await store("c02", OPENS_MS + 100, scene.window_id, "sokha@example.test")
    await store("c02", OPENS_MS + 150, str(uuid7()), "of another window")
    await ballots.look()
    for number in range(7):
        await store("c02", OPENS_MS + 200 + number, scene.window_id, "+85512345678")
    await store("c01", OPENS_MS + 300, scene.window_id, "u1")
    await ballots.look()
    found = ballots.of(scene.window_id)
    assert found is not None and set(found) == {"c01", "c02"}
    assert [(vote.name, vote.vote_count) for vote in found["c02"]] == [("+8***", 2)] * 5
    assert found["c02"][0].at > found["c02"][4].at and found["c01"][0].name == "***"
    await pool.close()


@pytest.mark.parametrize(
    ("voter", "shown"), [("u", "***"), ("u12", "u***"), ("sokha@example.test", "so***"), ("សុខា", "ស***")]
)
def test_a_masked_name_gives_little_away(voter: str, shown: str) -> None:
    assert masked(voter) == shown
