"""The board of each second, for a dozen contestants and for thousands: what it takes of the director's loop.

    python -m bench.board [--contestants 12 100 5000] [--boards 30] [--shards 1]

Each row is the median of its boards, over a real engine that is started for the run. `board` is the making of the board
and of all its messages, encoding included; `in all` adds reading the tallies and writing to the engine: CPU of this
process. `longest` is the longest time in which the loop did nothing else. `floor` is what nobody can leave out: the
same counts sorted, and the same messages encoded once by msgspec when they are there already. `all` has a vote for
everybody between two boards, `some` for one in fifty.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import uvloop
from msgspec import Struct
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.settings import Engine, Results, Settings, Voting
from broadcast_sync.show.model import Ruleset, Show, Stage, Window
from broadcast_sync.wire.server import ContestantInfo
from results.board import contestant_update, live_results, vote_update
from results.leaderboard import LineUp
from results.publisher import BoardPublisher, Outgoing
from results.sent import Sent
from voting.ballot.gates import Gates

TARGET_MS = 25.0
WARM = 3
POLL_S = 0.0005


class Held:
    """A lease that nobody takes away."""

    held = True

    async def wait_held(self) -> None:
        return None


class Publisher(BoardPublisher):
    """The server's own, with a watch on what it does by itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.made_ms = 0.0

    def _make(self, *arguments: Any) -> Any:
        started = time.process_time()
        made = super()._make(*arguments)
        self.made_ms = (time.process_time() - started) * 1000
        return made

    async def _pack(self, *arguments: Any) -> Outgoing:
        started = time.process_time()
        made = await super()._pack(*arguments)
        self.made_ms += (time.process_time() - started) * 1000
        return made


class Row(Struct):
    """Milliseconds, medians of the boards; `longest` is the longest of all."""

    board: float
    in_all: float
    longest: float
    floor: float


class Meter:
    """The longest time in which the loop did not come round."""

    def __init__(self) -> None:
        self.longest_ms = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.longest_ms = max(self.longest_ms, (now - last) * 1000)
            last = now


class Bench:
    """One window with votes for everybody."""

    def __init__(self, client: Redis, contestants: int, shards: int) -> None:
        self.client = client
        self.settings = Settings(voting=Voting(shards=shards))
        self.gates = Gates(self.settings, client)
        self.people = tuple(
            ContestantInfo(f"c{n:04d}", n, f"Contestant {n}", f"/photos/{n}.jpg", "active")
            for n in range(1, contestants + 1)
        )
        now = time.time_ns() // 1_000_000
        window = Window(str(uuid4()), now, now + 600_000, now + 605_000, Ruleset("bench", "00", {}), self.people)
        self.stage = Stage("default", show=Show("bench", 1, "Bench", 1, self.people), voting="OPEN", window=window)
        self.opens_ms, self.window_id = now, window.window_id
        self.counts: dict[str, int] = {}
        self.publisher = Publisher(
            settings=Results(), client=client, keys=StageKeys("default"), tallies=self.gates, stage=self, clock=self,
            lease=Held(),
        )

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def run(self, boards: int, every: int) -> Row:
        """Every other board is watched for how long it holds the loop: the watch itself takes time."""
        rows, meter = [], Meter()
        for number in range(WARM + 2 * boards):
            await self._vote(number, every)
            watching = asyncio.create_task(meter.run()) if number >= WARM and number % 2 else None
            await asyncio.sleep(0)
            started = time.process_time()
            # a board each six seconds, so that each brings a sample as well
            if not await self.publisher.tick(self.opens_ms + number * 6_000):
                raise SystemExit("no board was made")
            in_all = (time.process_time() - started) * 1000
            if watching is not None:
                watching.cancel()
                await asyncio.wait([watching])
            elif number >= WARM:
                rows.append((self.publisher.made_ms, in_all, self._floor()))
        made, in_all_ms, floor = zip(*rows, strict=True)
        return Row(statistics.median(made), statistics.median(in_all_ms), meter.longest_ms, statistics.median(floor))

    async def _vote(self, number: int, every: int) -> None:
        async with self.client.pipeline(transaction=False) as pipe:
            for place, person in enumerate(self.people):
                if number == 0 or (place + number) % every == 0:
                    votes = 1 + (place * 7919 + number * 104_729) % 1_000
                    self.counts[person.id] = self.counts.get(person.id, 0) + votes
                    shard = self.gates.shards[place % len(self.gates.shards)]
                    pipe.hincrby(shard.tally(self.window_id), person.id, votes)
            await pipe.execute()

    def _floor(self) -> float:
        if self.publisher.latest is None:
            raise SystemExit("no board was made")
        _, board = self.publisher.latest
        everybody = LineUp(self.people).column(self.counts)
        sent = Sent(len(self.people))
        said = [
            live_results(board, 0), vote_update(board, sent.others(board)),
            {person.id: contestant_update(board, place) for place, person in enumerate(self.people)},
        ]
        encode: Callable[[Any], bytes] = msgspec.json.encode
        started = time.process_time()
        sorted(everybody, reverse=True)
        for message in said:
            encode(message)
        return (time.process_time() - started) * 1000


async def main(sizes: list[int], boards: int, shards: int) -> None:
    table = Table(
        "of", "votes for", "board ms", "in all ms", "longest ms", "floor ms", "x floor", title="one board"
    )
    with tempfile.TemporaryDirectory(prefix="bs-bench-") as folder:
        settings = Settings(engine=Engine(data_dir=str(Path(folder) / "data"), min_free_mb=0))
        async with open_engines(settings, serve=False) as engines, contextlib.AsyncExitStack() as stack:
            client = connect(engines.valkey_url)
            stack.push_async_callback(client.aclose)
            for size in sizes:
                for name, every in (("all", 1), ("some", 50)):
                    row = await Bench(client, size, shards).run(boards, every)
                    table.add_row(
                        f"{size:,}", name, f"{row.board:.2f}", f"{row.in_all:.2f}", f"{row.longest:.2f}",
                        f"{row.floor:.2f}", f"{row.board / row.floor:.1f}",
                    )
    Console().print(table)
    Console().print(f"target: board of 5,000 below {TARGET_MS:g} ms", style="dim")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contestants", type=int, nargs="+", default=[12, 100, 5_000])
    parser.add_argument("--boards", type=int, default=30)
    parser.add_argument("--shards", type=int, default=1)
    arguments = parser.parse_args()
    uvloop.run(main(arguments.contestants, arguments.boards, arguments.shards))
