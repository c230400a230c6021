"""The troubles in turn, while votes stream in, and the reckoning."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from clients.python.client import BroadcastSyncClient
from clients.python.connection import Backoff
from tests.support.drill.crowd import Crowd
from tests.support.drill.disk import small_disk
from tests.support.drill.house import House
from tests.support.drill.report import Reckoning, Trouble, reckon
from tests.support.process import ServerProcess

SETTLE_S = 120.0
"""The longest that a trouble may take to be over, and the result after the close."""


class Plan(Struct, frozen=True):
    """`pace_s`: seconds between two ballots of a voter, on average; `pause_s`: how long what is stopped stays
    stopped; `calm_s`: undisturbed voting before the first trouble and after each; `engine_timeout_s`: below the
    pause, so that outcomes become unknown."""

    sockets: int
    pace_s: float
    pause_s: float
    calm_s: float
    engine_timeout_s: float
    backoff: Backoff = Backoff()


class Drill:
    """One drill. `say` is told what happens."""

    def __init__(self, plan: Plan, house: House, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._house = house
        self._say = say
        self._crowd: Crowd
        self.troubles: list[Trouble] = []

    async def run(self) -> Reckoning:
        """All troubles, the close, the reckoning. TimeoutError if something does not heal or no result comes."""
        house, plan = self._house, self._plan
        first = house.nodes[0]
        tokens = await asyncio.to_thread(first.tokens, plan.sockets)
        await asyncio.to_thread(first.cue, "SHOW_START", {"showId": "demo", "episode": 1})
        await asyncio.to_thread(first.cue, "VOTING_OPEN", {"duration": 3600, "ruleset": "unlimited"})
        self._crowd = crowd = Crowd([node.url for node in house.nodes], tokens, plan.pace_s, plan.backoff)
        try:
            await crowd.come()
            self._say(f"{plan.sockets} sockets are voting")
            await crowd.all_heard(time.monotonic())
            await crowd.rest(plan.calm_s)
            for what, trouble in self._all():
                await self._trouble(what, trouble)
            await crowd.finish()
            return await self._reckon()
        finally:
            await crowd.leave()

    def _all(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        house, pause = self._house, f"{self._plan.pause_s:g} s"
        return [
            ("a node is killed (-9) and started again", self._kill_node),
            ("the director is killed (-9) and started again", self._kill_director),
            ("Valkey is killed (-9)", lambda: self._kill_engine("valkey")),
            ("PostgreSQL is killed (-9)", lambda: self._kill_engine("postgres")),
            (f"Valkey is silent for {pause} (SIGSTOP)", self._pause_valkey),
            (f"the director is silent for {pause} (SIGSTOP)", self._pause_director),
            (f"PostgreSQL's disk refuses for {pause}: {house.disk.how}", self._full_disk),
        ]

    async def _trouble(self, what: str, trouble: Callable[[], Awaitable[None]]) -> None:
        crowd, began = self._crowd, time.monotonic()
        acked, connections = len(crowd.acked), crowd.connections
        crowd.slowest_s = 0.0
        self._say(what)
        async with asyncio.timeout(SETTLE_S):
            await trouble()
            await crowd.all_heard(time.monotonic())
            back_s = time.monotonic() - began
            await self._house.ledger_has(len(crowd.acked))
        self.troubles.append(
            Trouble(what, len(crowd.acked) - acked, crowd.slowest_s, crowd.connections - connections, back_s)
        )
        await crowd.rest(self._plan.calm_s)

    # --- the troubles -----------------------------------------------------------------------------------------

    async def _kill_node(self) -> None:
        await self._restart(await self._house.other())

    async def _kill_director(self) -> None:
        await self._restart(await self._house.director())

    async def _restart(self, node: ServerProcess) -> None:
        await asyncio.to_thread(node.kill)
        await self._crowd.rest(self._plan.pause_s)
        await asyncio.to_thread(node.start)

    async def _kill_engine(self, name: str) -> None:
        """Its node starts it again."""
        pid = self._house.signal_engine(name, signal.SIGKILL)
        while self._house.engines()[name]["pid"] == pid:  # noqa: ASYNC110 - it is written by another process
            await asyncio.sleep(0.05)

    async def _pause_valkey(self) -> None:
        self._house.signal_engine("valkey", signal.SIGSTOP)
        await self._crowd.rest(self._plan.pause_s)
        self._house.signal_engine("valkey", signal.SIGCONT)

    async def _pause_director(self) -> None:
        """When it wakes it believes that it still directs; another does by then."""
        director = (await self._house.director()).process
        assert director is not None
        os.kill(director.pid, signal.SIGSTOP)
        await self._crowd.rest(self._plan.pause_s)
        os.kill(director.pid, signal.SIGCONT)

    async def _full_disk(self) -> None:
        disk = self._house.disk
        before = self._house.postgres_log.stat().st_size
        disk.fill(self._house.engines()["postgres"]["pid"])
        await self._house.postgres_says(disk.complaint, before)
        await self._crowd.rest(self._plan.pause_s)
        disk.clear(self._house.engines()["postgres"]["pid"])

    # --- the reckoning ----------------------------------------------------------------------------------------

    async def _reckon(self) -> Reckoning:
        node, crowd = self._house.nodes[0], self._crowd
        async with asyncio.timeout(SETTLE_S):
            await asyncio.to_thread(node.cue, "VOTING_CLOSE")
            async with BroadcastSyncClient(f"{node.url.replace('http', 'ws', 1)}/voting/results", proxy=None) as screen:
                async for _ in screen:
                    if screen.results is not None:
                        break
        assert screen.results is not None
        results = screen.results
        tally = {row.contestant_id: row.vote_count for row in results.results}
        return reckon(
            crowd.acked, crowd.unanswered, crowd.replayed, await self._house.rows(), tally, results.certified
        )


@asynccontextmanager
async def drill(folder: Path, plan: Plan, say: Callable[[str], None]) -> AsyncIterator[Drill]:
    """A drill in a house of its own in `folder`, which is empty and goes with the caller. Blocks while the house opens
    and closes, so that a cancellation never meets it half open."""
    house = House(folder, small_disk(), {"voting.engine_timeout_s": plan.engine_timeout_s})
    try:
        house.open()
        yield Drill(plan, house, say)
    finally:
        house.close()
