"""Processes around a data folder: a server that can be killed, and who lives in the folder."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from broadcast_sync.engine.folder import DataFolder
from broadcast_sync.engine.record import read_record

ROOT = Path(__file__).resolve().parents[2]


class Pids(msgspec.Struct, frozen=True):
    """The engines of a data folder."""

    valkey: int
    postgres: int


def recorded(data: Path) -> Pids:
    """The pids that engines.json names."""
    record = read_record(DataFolder(data))
    assert record is not None
    return Pids(record.valkey.pid, record.postgres.pid)


def alive(pid: int) -> bool:
    """True while the process lives; a zombie that nobody has collected does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class EngineServer:
    """A `tests.support.engine_server` process and the first line it said."""

    def __init__(self, process: asyncio.subprocess.Process, said: dict[str, Any]) -> None:
        self.process = process
        self.said = said

    async def kill(self) -> None:
        """kill -9: what an orderly end would do is left undone."""
        self.process.kill()
        await self.process.communicate()

    async def stop(self) -> None:
        """The orderly end; nothing if it has ended."""
        if self.process.returncode is None:
            await self.process.communicate(b"")


@contextlib.asynccontextmanager
async def engine_server(data: Path, *user: str) -> AsyncIterator[EngineServer]:
    """A server process on `data`, stopped in order at the end unless it was killed before."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.engine_server", str(data), *user),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    server = EngineServer(process, msgspec.json.decode(await process.stdout.readline()))
    try:
        yield server
    finally:
        await server.stop()
