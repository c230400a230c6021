"""A Valkey of a test's own, with options of its own: a replica, a node of a cluster, one that is slow to load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, RedisError

from broadcast_sync.bus.connect import connect
from broadcast_sync.engine.binaries import valkey_server
from tests.support.process import free_port


async def ask(client: Any, *words: str | int) -> Any:
    """A command that redis-py has no typed method for."""
    return await client.execute_command(*words)


class LooseValkey:
    """Listens on a socket in `folder` and, for replicas and clusters, on a port of loopback."""

    def __init__(self, folder: Path, *options: str, cluster: bool = False) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self.cluster_port = free_port()
        self.options = options
        if cluster:
            self.options += ("--cluster-enabled", "yes", "--cluster-port", str(self.cluster_port))
        self.url = f"unix://{folder / 'valkey.sock'}"
        self.environment: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str, loaded: bool = True) -> None:
        """Returns once it answers; with `loaded` False it may still be reading its data."""
        given = {
            "port": str(self.port), "bind": "127.0.0.1", "unixsocket": str(self.folder / "valkey.sock"),
            "dir": str(self.folder), "appendonly": "yes", "appendfsync": "always", "save": "", "logfile": "log",
            "repl-diskless-sync-delay": "0",
        }
        self._process = await asyncio.create_subprocess_exec(
            valkey_server(), *(part for name, value in given.items() for part in (f"--{name}", value)),
            *self.options, *options, stdout=asyncio.subprocess.DEVNULL, env={**os.environ, **self.environment},
        )
        async with self.client() as client:
            while not await self._answers(client, loaded):
                assert self._process.returncode is None, (self.folder / "log").read_text()[-2000:]
                await asyncio.sleep(0.01)

    async def _answers(self, client: Redis, loaded: bool) -> bool:
        try:
            await client.ping()
        except BusyLoadingError:
            return not loaded
        except (RedisError, OSError):
            return False
        return True

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """It stands still for as long as the block runs, and what it is sent waits."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """A client of this engine and no other, whatever has become of it."""
        client = connect(self.url)
        yield client
        await client.aclose()


@contextlib.asynccontextmanager
async def loose_valkey(folder: Path, *options: str, cluster: bool = False) -> AsyncIterator[LooseValkey]:
    """One engine for as long as the block runs; with `cluster` a node of a cluster that has no slots yet."""
    engine = LooseValkey(folder, *options, cluster=cluster)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.kill()
