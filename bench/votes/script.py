"""The vote's engine floor: take_ballots.lua called directly, and the ballot intake over it without any socket.

    python -m bench.votes.script [--url URL] [--seconds 1]

Each row is one run. `node` and `engine` are CPU microseconds a vote of this process and of the engine. Every ballot
is of another voter, so that each one pays for keys of its own. The engine should run with `appendfsync always`; the
one that is started when no URL is given does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop
from msgspec import Struct
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.scripts import Script
from broadcast_sync.clock import EngineClock
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Engine, Settings, Voting
from broadcast_sync.show.model import Show, Stage, Window
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.codecs import EXACT, JSON
from broadcast_sync.wire.server import ContestantInfo, Data
from voting.ballot.answer import TAKEN, read_answers
from voting.ballot.batcher import script_batch, script_orders
from voting.ballot.desk import Desk, ballot_of
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake
from voting.ballot.rules import WindowRules

CONTESTANTS = tuple(ContestantInfo(f"c{n}", n, f"Contestant {n}", "", "active") for n in range(1, 13))


class Measured(Struct, frozen=True):
    votes: int
    seconds: float
    node_us: float
    engine_us: float


class Bench:
    """One open window on one engine."""

    def __init__(self, client: Redis, ruleset: str) -> None:
        self.client = client
        self.settings = Settings(voting=Voting(ruleset=ruleset, allow_unlimited="always"))
        self.gates = Gates(self.settings, client)
        now = time.time_ns() // 1_000_000
        held = self.gates.ruleset(None)
        window = Window(str(uuid4()), now - 1000, now + 600_000, now + 605_000, held, CONTESTANTS)
        self.window = window
        self.stage = Stage("default", show=Show("bench", 1, "Bench", 1, CONTESTANTS), voting="OPEN", window=window)

    async def measure(self, run: Callable[[], Awaitable[int]]) -> Measured:
        await self.client.flushall()
        await self.gates.opening(self.stage)
        engine = await self._engine_cpu()
        started, cpu = time.perf_counter(), time.process_time()
        votes = await run()
        seconds, node = time.perf_counter() - started, time.process_time() - cpu
        engine = await self._engine_cpu() - engine
        counted = sum((await self.gates.tallies(self.window.window_id)).values())
        if counted != votes:
            raise SystemExit(f"{votes} votes were acknowledged, {counted} counted")
        return Measured(votes, seconds, node / votes * 1e6, engine / votes * 1e6)

    async def _engine_cpu(self) -> float:
        info: dict[str, Any] = await self.client.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    async def script(self, seconds: float, batch: int, in_flight: int) -> int:
        """Calls of `batch` ballots, `in_flight` at a time. Building the ballots is part of `node`."""
        script, until, taken = Script("voting.ballot", "take_ballots"), time.perf_counter() + seconds, 0
        shown = self.stage.show
        data = self.gates.rules(self.window.ruleset)
        if shown is None or data is None:
            raise SystemExit("no rules")
        keys, window_id = self.gates.shards[0], self.window.window_id
        asked = Desk(shown, self.window, WindowRules(data, shown, self.window), [keys]).ask(
            "c1", "free", 1, self.window.opens_ms + 1
        )
        order = asked.orders[0]
        orders = script_orders({order.id: order.data})
        names = (keys.gate(window_id), keys.tally(window_id), keys.stream, keys.refused(window_id))

        def ballot(voter: str) -> bytes:
            now = self.window.opens_ms + 1
            return ballot_of(order, asked.ruled, voter, Vote("b1", "c1"), uuid7(now).bytes, now, None)

        async def caller(name: int) -> int:
            count = 0
            while time.perf_counter() < until:
                ballots = [ballot(f"{name}-{count + n}") for n in range(batch)]
                arguments = (
                    window_id, orders, script_batch(ballots), keys.shared(window_id), keys.types(window_id),
                    keys.voters(window_id), EXACT,
                )
                reply = await script(self.client, names, arguments)
                count += sum(answer.verdict == TAKEN for answer in read_answers(reply, batch))
            return count

        for count in await asyncio.gather(*[caller(name) for name in range(in_flight)]):
            taken += count
        return taken

    async def intake(self, seconds: float, voters: int) -> int:
        """`voters` that each press again as soon as they are answered, every time as somebody else."""
        intake = BallotIntake(self.settings, EngineClock(), self.client, self.gates, lambda: self.stage)
        load = Load(intake, self.window.opens_ms + 1, time.perf_counter() + seconds)
        for number in range(voters):
            Presser(load, str(number)).press()
        await asyncio.sleep(load.until - time.perf_counter())
        await asyncio.sleep(0)  # who was answered just in time has pressed
        await intake.drain()
        return intake.metrics.accepted


class Load:
    def __init__(self, intake: BallotIntake, received_ms: int, until: float) -> None:
        self.intake = intake
        self.received_ms = received_ms
        self.until = until


class Presser:
    """A session that presses again when it is answered."""

    codec = JSON

    def __init__(self, load: Load, name: str) -> None:
        self._load = load
        self._name = name
        self._count = 0
        self.identity: Identity | None = None

    def press(self) -> None:
        self._count += 1
        self.identity = Identity(f"{self._name}-{self._count}", "default", frozenset({"user"}), 2**52)
        self._load.intake.handle(self, Vote("b1", "c1"), self._load.received_ms)

    def reply(self, data: Data) -> None:
        if time.perf_counter() < self._load.until:
            asyncio.get_running_loop().call_soon(self.press)

    def refuse(self, refusal: Refusal, id: str | None = None) -> None:
        raise refusal


@contextlib.asynccontextmanager
async def engine(url: str) -> AsyncIterator[str]:
    """The given engine, or one started for the run in a folder that goes with it."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="bs-bench-") as folder:
        settings = Settings(engine=Engine(data_dir=str(Path(folder) / "data"), min_free_mb=0))
        async with open_engines(settings, serve=False) as engines:
            yield engines.valkey_url


async def bare(url: str, seconds: float, batch: int) -> Measured:
    """The script alone under the ruleset `unlimited`, two calls in flight, on an engine whose data may be flushed."""
    client = connect(url)
    try:
        bench = Bench(client, "unlimited")
        return await bench.measure(lambda: bench.script(seconds, batch, 2))
    finally:
        await client.aclose()


async def main(url: str, seconds: float) -> None:
    table = Table("ruleset", "what", "votes/s", "node µs", "engine µs", title="durable votes, no sockets")
    async with engine(url) as found, contextlib.AsyncExitStack() as stack:
        client = connect(found)
        stack.push_async_callback(client.aclose)
        for ruleset in ("xfactor", "unlimited"):
            bench = Bench(client, ruleset)
            runs: dict[str, Callable[[], Awaitable[int]]] = {
                "script, 1 a call, 1 in flight": partial(bench.script, seconds, 1, 1),
                "script, 128 a call, 1 in flight": partial(bench.script, seconds, 128, 1),
                "script, 128 a call, 2 in flight": partial(bench.script, seconds, 128, 2),
                "intake, 256 voters": partial(bench.intake, seconds, 256),
                "intake, 2000 voters": partial(bench.intake, seconds, 2000),
            }
            for what, run in runs.items():
                row = await bench.measure(run)
                table.add_row(
                    ruleset, what, f"{row.votes / row.seconds:,.0f}", f"{row.node_us:.1f}", f"{row.engine_us:.1f}"
                )
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="", help="a Valkey or Redis whose data may be flushed")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each run")
    arguments = parser.parse_args()
    uvloop.run(main(arguments.url, arguments.seconds))
