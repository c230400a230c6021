"""Servers that are killed, engines that are killed, and users who are not root."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from broadcast_sync.bus.connect import connect
from broadcast_sync.engine.engines import Engines, open_engines
from tests.support.engine_process import alive, engine_server, recorded
from tests.support.engines import settings_for


async def until(answers: Callable[[], Awaitable[bool]]) -> None:
    """Returns when `answers` does with True; the test's own time limit is the only one."""
    while True:
        if await answers():
            return
        await asyncio.sleep(0.02)


def owners(folder: Path) -> set[int]:
    """Whose the folder is, with all in it and the one above it."""
    return {path.lstat().st_uid for path in (folder.parent, folder, *folder.rglob("*"))}


def closed(folder: Path) -> None:
    """Makes a folder of ours that nobody may write."""
    folder.mkdir()
    folder.chmod(0o555)


async def valkey_has(engines: Engines, key: str) -> bool:
    client: Redis = connect(engines.valkey_url)
    try:
        return bool(await client.exists(key))
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()


async def postgres_has(engines: Engines, table: str) -> bool:
    try:
        connection = await asyncpg.connect(engines.postgres_url)
    except (asyncpg.PostgresError, OSError):
        return False
    try:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_class WHERE relname = $1", table))
    finally:
        await connection.close()


async def put(engines: Engines, name: str) -> None:
    client: Redis = connect(engines.valkey_url)
    await client.set(name, b"1")
    await client.aclose()
    connection = await asyncpg.connect(engines.postgres_url)
    await connection.execute(f"CREATE TABLE {name} ()")
    await connection.close()


async def test_engines_of_a_killed_server_are_adopted(data: Path) -> None:
    async with engine_server(data) as server:
        await server.kill()
    left = recorded(data)
    assert alive(left.valkey) and alive(left.postgres)
    async with open_engines(settings_for(data), serve=True) as engines:
        assert recorded(data) == left
        await put(engines, "kept")
    assert not alive(left.valkey) and not alive(left.postgres)


async def test_a_command_uses_what_a_killed_server_left_and_leaves_it(data: Path) -> None:
    async with engine_server(data) as server:
        await server.kill()
    left = recorded(data)
    os.kill(left.valkey, signal.SIGKILL)
    async with open_engines(settings_for(data), serve=False) as engines:
        await put(engines, "kept")
        assert recorded(data).postgres == left.postgres
        started = recorded(data).valkey
    assert alive(left.postgres)
    assert not alive(started)
    async with open_engines(settings_for(data), serve=True) as engines:
        assert recorded(data).postgres == left.postgres
        assert await valkey_has(engines, "kept") and await postgres_has(engines, "kept")


async def test_an_engine_that_does_not_answer_is_started_afresh(data: Path) -> None:
    async with engine_server(data) as server:
        await server.kill()
    left = recorded(data)
    (data / "run" / "valkey.sock").unlink()
    async with open_engines(settings_for(data), serve=True) as engines:
        await put(engines, "kept")
        assert recorded(data).valkey != left.valkey
    assert not alive(left.valkey)


async def test_a_server_in_another_process_is_told_apart(data: Path) -> None:
    async with engine_server(data) as server, engine_server(data) as second:
        assert f"in use by a live server (pid {server.process.pid}, port 8000): stop it" in second.said["refused"]
        async with open_engines(settings_for(data), serve=False) as engines:
            await put(engines, "kept")
        assert server.said["engines"]["valkey_url"] == engines.valkey_url


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_an_engine_that_dies_is_started_again_with_its_data(data: Path, number: signal.Signals) -> None:
    async with open_engines(settings_for(data), serve=True) as engines:
        await put(engines, "kept")
        before = recorded(data)
        os.kill(before.valkey, number)
        os.kill(before.postgres, signal.SIGKILL if number == signal.SIGKILL else signal.SIGINT)

        async def both_are_new() -> bool:
            now = recorded(data)
            return now.valkey != before.valkey and now.postgres != before.postgres

        await until(both_are_new)
        await until(lambda: valkey_has(engines, "kept"))
        await until(lambda: postgres_has(engines, "kept"))
        after = recorded(data)
    assert not alive(after.valkey) and not alive(after.postgres)


async def test_an_engine_that_cannot_start_is_tried_again(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with open_engines(settings_for(data), serve=True) as engines:
        await put(engines, "kept")
        conf = data / "postgres" / "postgresql.conf"
        said = conf.read_text()
        conf.write_text(said + "\nnonsense\n")
        os.kill(recorded(data).postgres, signal.SIGKILL)
        seen = ""

        async def gave_up_twice() -> bool:
            nonlocal seen
            seen += capsys.readouterr().out
            return seen.count("engine_restart_failed") >= 2

        await until(gave_up_twice)
        conf.write_text(said)
        await until(lambda: postgres_has(engines, "kept"))


async def test_an_ordinary_user_runs_them_and_root_does_not_take_them_away(
    data: Path, ordinary: tuple[str, ...]
) -> None:
    for arguments in (ordinary, (), ordinary):
        async with engine_server(data, *arguments) as server:
            assert "engines" in server.said, server.said
    assert len(owners(data)) == 1


async def test_a_folder_that_cannot_be_written_is_refused(data: Path, ordinary: tuple[str, ...]) -> None:
    closed(data)
    async with engine_server(data, *ordinary) as server:
        assert "cannot be written by this user: run as its owner, or set" in server.said["refused"]
