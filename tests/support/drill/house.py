"""Two nodes on the same engines, and what can be done to them. Only processes of the drill's own, by their pid."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, connect
from broadcast_sync.bus.keys import StageKeys
from tests.support.drill.disk import Disk
from tests.support.process import ServerProcess

Row = tuple[str, str, str, str]
"""Vote id, voter, client's id, contestant."""
LOOK_S = 0.05


class House:
    """`nodes[0]` is the one whose children the engines are. Valkey and PostgreSQL are named as in engines.json."""

    def __init__(self, folder: Path, disk: Disk, settings: dict[str, object]) -> None:
        self.disk = disk
        self._folder = folder
        self._settings = settings
        self.nodes: list[ServerProcess] = []

    def open(self) -> None:
        """Returns when both nodes are ready."""
        first = ServerProcess(self._folder / "first", self._settings)
        self.nodes.append(first)
        first.start()
        first.stop()
        self.disk.prepare(first.data / "postgres")
        first.start()
        engines = self.engines()
        self.nodes.append(ServerProcess(self._folder / "second", {
            **self._settings,
            "engine.valkey_url": engines["valkey"]["url"], "engine.postgres_url": engines["postgres"]["url"],
            "auth.private_key_file": first.data / "keys" / "signing.pem",
        }))
        self.nodes[1].start()

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.cleanup()
        self.disk.remove()

    def engines(self) -> dict[str, Any]:
        """engines.json: url and pid of each."""
        found: dict[str, Any] = json.loads((self.nodes[0].data / "engines.json").read_text())
        return found

    @property
    def postgres_log(self) -> Path:
        return self.nodes[0].data / "postgres.log"

    async def postgres_says(self, words: bytes, after: int) -> None:
        """Returns when PostgreSQL has written `words` to its log beyond the byte `after`."""
        while words not in self.postgres_log.read_bytes()[after:]:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(LOOK_S)

    def signal_engine(self, name: str, number: signal.Signals) -> int:
        """Sends a signal to an engine; its pid."""
        pid: int = self.engines()[name]["pid"]
        os.kill(pid, number)
        return pid

    async def director(self) -> ServerProcess:
        """The node that holds the director's lease, waiting until one does."""
        lease = StageKeys("default").lease("default", "director")
        async with self.valkey() as client:
            while True:
                try:
                    holder = await client.hget(lease, "holder")
                except VALKEY_ERRORS:
                    holder = None  # restarting
                for node in self.nodes if holder else ():
                    if node.get("/api/v1/status")["node"].encode() == holder:
                        return node
                await asyncio.sleep(LOOK_S)

    async def other(self) -> ServerProcess:
        """The node that does not."""
        director = await self.director()
        return next(node for node in self.nodes if node is not director)

    async def rows(self) -> list[Row]:
        """Every row of the ledger, read past the server."""
        connection = await asyncpg.connect(self.engines()["postgres"]["url"])
        try:
            found = await connection.fetch("SELECT vote_id, voter, client_id, contestant_id FROM votes")
        finally:
            await connection.close()
        return [(str(row["vote_id"]), row["voter"], row["client_id"], row["contestant_id"]) for row in found]

    async def ledger_has(self, votes: int) -> None:
        """Returns when the ledger has so many rows, through every outage of PostgreSQL."""
        while True:
            try:
                connection = await asyncpg.connect(self.engines()["postgres"]["url"], timeout=5)
                try:
                    if await connection.fetchval("SELECT count(*) FROM votes") >= votes:
                        return
                finally:
                    await connection.close()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass  # away, or recovering
            await asyncio.sleep(4 * LOOK_S)

    @asynccontextmanager
    async def valkey(self) -> AsyncIterator[Redis]:
        client = connect(self.engines()["valkey"]["url"])
        yield client
        await client.aclose()
