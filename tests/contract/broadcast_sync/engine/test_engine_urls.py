"""Engines given by URL: used if they will do, refused in one line if not, and never started or stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broadcast_sync.engine.engines import open_engines
from broadcast_sync.engine.postgres import check_postgres
from broadcast_sync.engine.valkey import check_valkey
from broadcast_sync.errors import StartError
from tests.support.engines import RunningEngines, settings_for


@contextlib.asynccontextmanager
async def fake_redis(info: str) -> AsyncIterator[str]:
    """A server that speaks just enough RESP: INFO has its answer, all else is OK. Yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while header := await reader.readline():
                words = []
                for _ in range(int(header[1:])):
                    length = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(length + 2))[:-2])
                is_info = words[0].upper() == b"INFO"
                writer.write(f"${len(info)}\r\n{info}\r\n".encode() if is_info else b"+OK\r\n")
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"redis://user:hunter2@127.0.0.1:{port}/0"


async def refused(url: str) -> str:
    check = check_postgres if url.startswith("postgres") else check_valkey
    with pytest.raises(StartError) as caught:
        await check(url)
    said = str(caught.value)
    assert "\n" not in said and "hunter2" not in said
    assert "empty, " in said
    return said


async def test_engines_given_by_url_are_used_and_left_alone(data: Path, engines: RunningEngines) -> None:
    settings = settings_for(data, valkey_url=engines.valkey_url, postgres_url=engines.postgres_url)
    for serve in (True, True, False):
        async with open_engines(settings, serve=serve) as given:
            assert (given.valkey_url, given.postgres_url) == (engines.valkey_url, engines.postgres_url)
            assert not given.valkey_embedded and not given.postgres_embedded
            assert given.valkey_version.startswith("9.") and given.postgres_version.startswith("18.")
    assert data.name not in os.listdir(data.parent)


async def test_one_may_be_given_and_the_other_started(data: Path, engines: RunningEngines) -> None:
    given = settings_for(data, postgres_url=engines.postgres_url)
    async with open_engines(given, serve=True) as mixed:
        assert mixed.valkey_embedded and not mixed.postgres_embedded
        async with open_engines(settings_for(data), serve=False) as found:
            assert found == mixed
    assert not (data / "postgres").exists()


async def test_nothing_is_left_running_when_the_other_is_refused(data: Path) -> None:
    settings = settings_for(data, postgres_url="postgresql://u:hunter2@127.0.0.1:1/db")
    with pytest.raises(StartError, match=r"^PostgreSQL at postgresql://u:\*+@127.0.0.1:1/db cannot be used"):
        async with open_engines(settings, serve=True):
            pass
    assert not (data / "run" / "valkey.sock").exists()
    assert not (data / "engines.json").exists()


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("redis_version:5.0.14\r\n", "Redis 5.0.14 at redis://user:********@127.0.0.1"),
        ("redis_version:7.2.4\r\nvalkey_version:7.0.1\r\n", "Valkey 7.0.1 at"),
        ("something:else\r\n", "Redis unknown at"),
    ],
)
async def test_an_old_engine_is_refused(info: str, said: str) -> None:
    async with fake_redis(info) as url:
        found = await refused(url)
    assert found.startswith(said) and "is too old" in found


async def test_the_oldest_that_will_do_are_taken() -> None:
    async with fake_redis("redis_version:6.2.0\r\naof_enabled:1\r\n") as url:
        assert await check_valkey(url) == "6.2.0"
    async with fake_redis("redis_version:7.2.4\r\nvalkey_version:7.2.4\r\n") as url:
        assert await check_valkey(url) == "7.2.4"


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hunter2@127.0.0.1:1/0",
        "unix:///nowhere/at/all.sock",
        "http://user:hunter2@localhost/",
        "redis://user:hunter2@127.0.0.1:port/0",
        "postgresql://user:hunter2@127.0.0.1:1/db",
        "postgresql://user:hunter2@127.0.0.1:port/db",
        "postgresql://postgres@/nowhere?host=/nowhere",
    ],
)
async def test_an_engine_that_cannot_be_reached_is_refused(url: str) -> None:
    assert "cannot be used (" in await refused(url)


async def test_a_database_that_does_not_exist_is_refused(engines: RunningEngines) -> None:
    assert 'database "nowhere" does not exist' in await refused(engines.database("nowhere"))
