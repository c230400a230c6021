"""What anybody may look up over HTTP, with 5,000 contestants and a million votes: how long each answer takes.

    python -m bench.reads [--contestants 5000] [--votes 1000000] [--asks 300]

The routes are served by uvicorn, on engines that are started for the run, while the board changes every second as in a
show. Another process asks one question after the other over one connection, each of them another one, and by turns with
the floor: a route of the same server that answers as many bytes, which it has ready. Questions come 25 ms apart, so
that some of them, `max` at least, find what they ask for more than a second old and wait until it is made. `SQL` is the
peer: the same page as the source documents have it, one statement over votes and contestants, of PostgreSQL alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import random
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import uvicorn
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from starlette.requests import Request
from starlette.responses import Response

from broadcast_sync.api import Answer, application, endpoint
from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import ShardKeys, StageKeys
from broadcast_sync.clock import EngineClock
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Engine, Results, Settings
from broadcast_sync.show import showfile
from broadcast_sync.show.catalogue import Catalogue
from broadcast_sync.show.model import Ruleset, Stage, Window
from broadcast_sync.signatures import Signer
from results.archive import Archive
from results.contestant_routes import ContestantRoutes
from results.cursor import ListCursors
from results.events import Events
from results.publisher import BoardPublisher
from voting.ballot.gates import Gates
from voting.ledger.migrate import migrate
from voting.ledger.store import open_pool

GIVEN: Final = ("Sok", "Dara", "Bopha", "Chan", "Vanna", "Rith", "Maly", "Sreymom", "Piseth", "Kosal")
FAMILY: Final = ("Nhem", "Keo", "Chea", "Long", "Meas", "Prak", "Sam", "Tep", "Ung", "Yim")
KHMER: Final = ("សុខ", "តារា", "បុប្ផា", "ចាន់", "វណ្ណា", "រិទ្ធ", "ម៉ាលី", "ពិសិដ្ឋ", "កុសល", "ញឹម")
PAUSE_S: Final = 0.025
TARGETS_MS: Final = {"page": 20.0, "cursor": 20.0, "search": 20.0, "top 100": 5.0, "contestant": 5.0}

VOTES: Final = """
INSERT INTO votes (org_id, episode_ref, vote_id, window_id, shard, voter, contestant_id, vote_type, vote_count, weight,
                   client_id, received_at)
SELECT 'default', $1, gen_random_uuid(), $2, 0, 'v' || n % 200000,
       'c' || lpad((1 + floor(power(random(), 3) * $3))::int::text, 4, '0'), 'free', 1, 1, 'x', now()
FROM generate_series(1, $4) n
"""
PAGE: Final = """
SELECT c.contestant_id, c.name, coalesce(sum(v.vote_count * v.weight), 0) AS votes
FROM contestants c
LEFT JOIN votes v ON v.episode_ref = $1 AND v.contestant_id = c.contestant_id
WHERE c.org_id = 'default' AND c.show_id = 'bench' AND c.episode = 1
GROUP BY c.contestant_id, c.name ORDER BY votes DESC, c.name LIMIT 24 OFFSET $2
"""


class Held:
    """A lease that nobody takes away."""

    held = True

    async def wait_held(self) -> None:
        return None


class Show:
    """An event with votes, its boards, and the routes."""

    def __init__(self, client: Any, pool: Any) -> None:
        self.client = client
        self.pool = pool
        self.stage = Stage("default")
        self.clock = EngineClock()
        self.floor = b""
        self.publisher = BoardPublisher(
            settings=Results(), client=client, keys=StageKeys("default"), tallies=Gates(Settings(), client), stage=self,
            clock=self.clock, lease=Held(),
        )

    async def fill(self, contestants: int, votes: int) -> None:
        catalogue = Catalogue(self.pool, "default")
        await catalogue.load(showfile.ShowFile(
            showfile.Season("s", "S"), showfile.ShowEntry("bench", "Bench"), showfile.Episode(1, "Bench"),
            [contestant(number) for number in range(1, contestants + 1)],
        ))
        show = await catalogue.find("bench", 1)
        if show is None:
            raise SystemExit("the show is not where it was stored")
        now, window_id = self.clock.now_ms(), uuid7()
        window = Window(
            str(window_id), now, now + 3_600_000, now + 3_605_000, Ruleset("bench", "00", {}), show.contestants
        )
        self.stage = Stage("default", show=show, voting="OPEN", window=window)
        await self.pool.execute(VOTES, show.episode_ref, window_id, contestants, votes)
        await self.pool.execute("ANALYZE")
        counted = await self.pool.fetch(
            "SELECT contestant_id, sum(vote_count * weight)::bigint AS votes FROM votes GROUP BY contestant_id"
        )
        await self.client.hset(self.tally, mapping={row["contestant_id"]: row["votes"] for row in counted})

    @property
    def tally(self) -> str:
        return ShardKeys("default", 0).tally(self.stage.window.window_id if self.stage.window else "")

    async def votes_come(self) -> None:
        """Some votes and a board, each second."""
        while True:
            people = random.sample(self.stage.show.contestants if self.stage.show else (), 50)
            for person in people:
                await self.client.hincrby(self.tally, person.id, random.randint(1, 20))
            await self.publisher.tick(self.clock.now_ms())
            await asyncio.sleep(1)

    def app(self) -> Any:
        events = Events(
            pool=self.pool, client=self.client, organisation="default", catalogue=Catalogue(self.pool, "default"),
            archive=Archive(self.pool, "default"), stage=lambda: self.stage, clock=self.clock, locale="en",
        )
        signer = Signer(Ed25519PrivateKey.generate())
        return application([
            *ContestantRoutes(events, ListCursors(signer, "default")).endpoints(),
            endpoint("GET", "/floor/{size}", "Bytes", self._bytes, tag="bench", answers={200: Answer(str, "Bytes.")}),
        ])

    async def _bytes(self, request: Request) -> Response:
        return Response(b"x" * int(request.path_params["size"]), media_type="application/json")


def contestant(number: int) -> showfile.Contestant:
    chance = random.Random(number)
    name = f"{chance.choice(FAMILY)} {chance.choice(GIVEN)} {number}"
    khmer = f"{chance.choice(KHMER)} {chance.choice(KHMER)}"
    return showfile.Contestant(
        f"c{number:04d}", number, name, khmer_name=khmer, photo=f"/photos/{number}.jpg",
        category=chance.choice(("Boys", "Girls", "Groups")),
    )


class Measured(Struct):
    """Milliseconds of each answer, and of as many bytes from the floor's route right after it."""

    times: list[float]
    floor: list[float]


def ask(port: int, event: int, contestants: int, asks: int) -> dict[str, Measured]:
    """In a process of its own: each kind of question `asks` times."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(path: str) -> tuple[float, bytes]:
        started = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:200]!r}")
        return (time.perf_counter() - started) * 1000, body

    root, chance, cursor = f"/api/v1/events/{event}", random.Random(1), ""

    def question(kind: str) -> str:
        if kind == "page":
            sort = chance.choice(("popular", "name", "number"))
            return f"{root}/contestants?sort={sort}&page={chance.randint(1, max(1, contestants // 24))}"
        if kind == "cursor":
            return f"{root}/contestants?sort=popular{cursor and f'&cursor={cursor}'}"
        if kind == "search":
            name = chance.choice(GIVEN + FAMILY + KHMER)
            return f"{root}/contestants?search={quote(name[: chance.randint(2, 4)])}"
        if kind == "contestant":
            return f"{root}/contestants/c{chance.randint(1, contestants):04d}"
        return f"{root}/leaderboard"

    found = {}
    for kind in TARGETS_MS:
        measured = Measured([], [])
        for _ in range(asks):
            taken, body = get(question(kind))
            if kind == "cursor":
                _, _, rest = body.decode().partition('"nextCursor":')
                cursor = "" if rest.startswith("null") else rest[1:].partition('"')[0]
            measured.times.append(taken)
            measured.floor.append(get(f"/floor/{len(body)}")[0])
            time.sleep(PAUSE_S)
        found[kind] = measured
    return found


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    """The port of `app`, for as long as the block runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(128)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve([bound]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]


async def main(contestants: int, votes: int, asks: int) -> None:
    table = Table("what", "p50 ms", "p95 ms", "max ms", "floor p95 ms", "x floor", "target p95 ms")
    with tempfile.TemporaryDirectory(prefix="bs-bench-") as folder:
        settings = Settings(engine=Engine(data_dir=str(Path(folder) / "data"), min_free_mb=0))
        async with open_engines(settings, serve=False) as engines, contextlib.AsyncExitStack() as stack:
            await migrate(engines.postgres_url)
            client, pool = connect(engines.valkey_url), await open_pool(engines.postgres_url, timeout_s=600)
            stack.push_async_callback(client.aclose)
            stack.callback(pool.terminate)
            show = Show(client, pool)
            await show.fill(contestants, votes)
            event = show.stage.show.episode_ref if show.stage.show else 0
            coming = asyncio.create_task(show.votes_come())
            port = await stack.enter_async_context(serving(show.app()))
            asker = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(asker, ask, port, event, contestants, 5)  # warm
            found = await loop.run_in_executor(asker, ask, port, event, contestants, asks)
            coming.cancel()
            for what, measured in found.items():
                ratio = statistics.median(measured.times) / statistics.median(measured.floor)
                table.add_row(
                    what, f"{statistics.median(measured.times):.2f}", f"{p95(measured.times):.2f}",
                    f"{max(measured.times):.2f}",
                    f"{p95(measured.floor):.2f}", f"{ratio:.1f}", f"{TARGETS_MS[what]:g}",
                )
            slow = []
            for _ in range(5):
                started = time.perf_counter()
                await pool.fetch(PAGE, event, random.randint(0, contestants - 24))
                slow.append((time.perf_counter() - started) * 1000)
            table.add_row("SQL page (peer)", f"{statistics.median(slow):.2f}", "", f"{max(slow):.2f}", "", "", "")
    table.title = f"broadcast-sync {version('broadcast-sync')}: {contestants:,} contestants, {votes:,} votes"
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contestants", type=int, default=5_000)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--asks", type=int, default=300)
    arguments = parser.parse_args()
    uvloop.run(main(arguments.contestants, arguments.votes, arguments.asks))
