"""Opening engines: start, stop, find again, refuse."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.engine.engines import Engines, open_engines
from broadcast_sync.engine.folder import socket_folder
from broadcast_sync.engine.process import engines_in
from broadcast_sync.errors import StartError
from tests.support.engine_process import alive, recorded
from tests.support.engines import settings_for


async def put(engines: Engines) -> None:
    client: Redis = connect(engines.valkey_url)
    await client.set("kept", b"yes")
    await client.aclose()
    connection = await asyncpg.connect(engines.postgres_url)
    await connection.execute("CREATE TABLE kept AS SELECT 'yes' AS word")
    await connection.close()


async def kept(engines: Engines) -> bool:
    client: Redis = connect(engines.valkey_url)
    in_valkey = await client.get("kept")
    await client.aclose()
    connection = await asyncpg.connect(engines.postgres_url)
    in_postgres = await connection.fetchval("SELECT word FROM kept")
    await connection.close()
    return bool(in_valkey == b"yes" and in_postgres == "yes")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def refusal(data: Path, **engine: object) -> str:
    with pytest.raises(StartError) as caught:
        async with open_engines(settings_for(data, **engine), serve=True):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_engines_start_stop_and_keep_what_they_had(data: Path) -> None:
    async with open_engines(settings_for(data), serve=True) as engines:
        assert engines.valkey_embedded and engines.postgres_embedded
        assert engines.valkey_version.startswith("9.") and engines.postgres_version.startswith("18.")
        await put(engines)
        first = recorded(data)
    assert not alive(first.valkey) and not alive(first.postgres)
    assert not (data / "engines.json").exists()
    assert not any((data / "run").iterdir())
    async with open_engines(settings_for(data), serve=True) as again:
        assert again == engines
        assert await kept(again)


async def test_valkey_has_it_on_disk_before_it_answers(data: Path) -> None:
    async with open_engines(settings_for(data), serve=True) as engines:
        client: Redis = connect(engines.valkey_url)
        for key, value in {"appendonly": "yes", "appendfsync": "always", "port": "0"}.items():
            assert await client.config_get(key) == {key: value}
        await client.aclose()
        connection = await asyncpg.connect(engines.postgres_url)
        row = await connection.fetchrow(
            "SELECT current_setting('fsync') AS fsync, current_setting('listen_addresses') AS tcp,"
            " current_setting('server_encoding') AS encoding, current_user AS who"
        )
        assert dict(row) == {"fsync": "on", "tcp": "", "encoding": "UTF8", "who": "postgres"}
        await connection.close()


async def test_engines_are_out_of_the_terminals_reach_and_without_our_lock(data: Path) -> None:
    async with open_engines(settings_for(data), serve=True):
        running = recorded(data)
        for pid in (running.valkey, running.postgres):
            assert os.getsid(pid) == pid
            held = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
            assert not any(name.endswith("server.lock") for name in held)


async def test_a_command_uses_the_engines_of_a_live_server(data: Path) -> None:
    async with open_engines(settings_for(data), serve=True) as engines:
        async with open_engines(settings_for(data), serve=False) as found:
            assert found == engines
        await put(engines)
        assert "in use by a live server" in await refusal(data)


async def test_a_command_waits_for_a_server_that_is_starting(data: Path) -> None:
    serving, used = asyncio.Event(), asyncio.Event()

    async def serve() -> None:
        async with open_engines(settings_for(data), serve=True):
            serving.set()
            await used.wait()

    server = asyncio.create_task(serve())
    await asyncio.sleep(0)  # one turn: it has the folder and no engine yet
    assert names(data) and not serving.is_set()
    async with open_engines(settings_for(data), serve=False) as found:
        await put(found)
    used.set()
    await server


async def test_a_command_starts_what_does_not_run_and_a_server_waits_for_it(data: Path) -> None:
    async with open_engines(settings_for(data), serve=False) as engines:
        await put(engines)
        first = recorded(data)
        waiting = asyncio.create_task(refusal(data, start_timeout_s=1))
        assert "still in use by a command" in await waiting
    assert not alive(first.valkey) and not alive(first.postgres)


async def test_an_ordinary_folder_name_need_not_be_short_or_plain(data: Path) -> None:
    for path in (data / ("long" * 30), data / "ខ្មែរ 100% ?#"):
        async with open_engines(settings_for(path), serve=True) as engines:
            await put(engines)
        assert not any(socket_folder(path).glob("*"))
    assert not socket_folder(data / ("long" * 30)).exists()


async def test_a_socket_folder_that_is_not_ours_is_refused(data: Path) -> None:
    path = data / ("long" * 30)
    socket_folder(path).symlink_to(data.parent)
    try:
        assert "belongs to somebody else: remove it" in await refusal(path)
    finally:
        socket_folder(path).unlink()
    assert names(data.parent) == ["data"]


async def test_a_start_that_is_given_up_leaves_nothing_running(data: Path) -> None:
    async def start() -> None:
        async with open_engines(settings_for(data), serve=True):
            raise AssertionError("it was to be given up before")

    starting = asyncio.create_task(start())
    while True:
        await asyncio.sleep(0.01)
        if engines_in("valkey-server", data / "valkey") and (data / "postgres.new").exists():
            break
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not engines_in("valkey-server", data / "valkey")
    async with open_engines(settings_for(data), serve=True) as engines:
        await put(engines)


async def test_a_part_of_the_folder_may_be_a_link_to_another_disk(data: Path) -> None:
    write(data / "VERSION", '{"format": 1, "postgres": 18}')
    (data.parent / "elsewhere").mkdir()
    (data / "valkey").symlink_to(data.parent / "elsewhere")
    async with open_engines(settings_for(data), serve=True) as engines:
        await put(engines)
        assert [process.pid for process in engines_in("valkey-server", data / "valkey")] == [recorded(data).valkey]
    async with open_engines(settings_for(data), serve=True) as engines:
        assert await kept(engines)


async def test_a_cluster_cut_short_in_the_making_is_made_anew(data: Path) -> None:
    write(data / "postgres.new" / "PG_VERSION", "18\n")
    (data / "postgres").mkdir()
    async with open_engines(settings_for(data), serve=True) as engines:
        await put(engines)
    assert not (data / "postgres.new").exists()


async def test_pid_files_that_name_somebody_else_are_no_obstacle(data: Path) -> None:
    async with open_engines(settings_for(data), serve=True) as engines:
        await put(engines)
    lines = f"{os.getpid()}\n{data / 'postgres'}\n1700000000\n5432\n{data / 'run'}\n\n  1 2\nready\n"
    (data / "postgres" / "postmaster.pid").write_text(lines)
    (data / "valkey" / "valkey.pid").write_text(f"{os.getpid()}\n")
    async with open_engines(settings_for(data), serve=True) as engines:
        assert await kept(engines)


async def test_another_version_is_refused(data: Path) -> None:
    write(data / "VERSION", '{"format": 9, "postgres": 18}')
    assert "is of another version (format 9" in await refusal(data)
    assert names(data) == ["VERSION", "server.lock"]


async def test_a_file_is_refused(data: Path) -> None:
    write(data, "")
    assert "is a file" in await refusal(data)


async def test_a_disk_with_too_little_left_is_refused(data: Path) -> None:
    assert "MB free and 1000000 are wanted" in await refusal(data, min_free_mb=1_000_000)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
async def test_a_disk_that_fills_up_while_starting_is_told_as_such(data: Path) -> None:
    write(data / "VERSION", '{"format": 1, "postgres": 18}')
    mount = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", "size=6m", "none", str(data))
    assert await mount.wait() == 0
    try:
        assert "is full (no space left on device): free some space" in await refusal(data)
    finally:
        unmount = await asyncio.create_subprocess_exec("umount", str(data))
        assert await unmount.wait() == 0


async def test_data_that_valkey_cannot_read_is_told_and_leaves_nothing_running(data: Path) -> None:
    async with open_engines(settings_for(data), serve=True) as engines:
        await put(engines)
    file = next((data / "valkey" / "appendonlydir").glob("*.incr.aof"))
    file.write_bytes(b"*3\r\n$3\r\nSET\r\nrubbish" * 100)
    said = await refusal(data)
    assert said.startswith("Valkey did not start (") and str(data / "valkey" / "valkey.log") in said
    assert not engines_in("valkey-server", data / "valkey") and not engines_in("postgres", data / "postgres")
