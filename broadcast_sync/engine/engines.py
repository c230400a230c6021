"""open_engines: the one door to Valkey and PostgreSQL for the server and for every other command."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Final

import structlog
from msgspec import Struct

from broadcast_sync.engine.account import choose
from broadcast_sync.engine.embedded import Embedded
from broadcast_sync.engine.folder import DataFolder
from broadcast_sync.engine.postgres import EmbeddedPostgres, check_postgres
from broadcast_sync.engine.record import (
    EngineRecord,
    FolderLock,
    Record,
    read_record,
    remove_record,
    write_record,
)
from broadcast_sync.engine.supervisor import supervise
from broadcast_sync.engine.valkey import EmbeddedValkey, check_valkey
from broadcast_sync.errors import StartError
from broadcast_sync.settings import Settings

log = structlog.get_logger()

_POLL_S: Final = 0.05


class Engines(Struct, frozen=True):
    """Two engines that answered. `valkey_url` is for redis-py, `postgres_url` for asyncpg; `*_embedded` says
    whether the engine is one of the data folder. Both URLs stay true when an engine is started again."""

    valkey_url: str
    postgres_url: str
    valkey_embedded: bool
    postgres_embedded: bool
    valkey_version: str
    postgres_version: str


@contextlib.asynccontextmanager
async def open_engines(settings: Settings, *, serve: bool) -> AsyncIterator[Engines]:
    """Engines for as long as the block runs.

    With `serve` this process holds the data folder: engines that a killed server left behind are adopted, others
    started; one that dies is started again; both are stopped at the end. Without, running engines are only used,
    and those that had to be started for the block are stopped after it. An engine given by URL is only checked;
    if both are, the data folder is not touched.

    Raises StartError, one line that ends with the way out.
    """
    engine = settings.engine
    if engine.valkey_url and engine.postgres_url:
        yield await _by_url(engine.valkey_url, engine.postgres_url)
        return
    folder = DataFolder(settings.data_path)
    folder.open()
    lock = FolderLock(folder)
    if serve:
        await lock.take_for_server(settings.server.port, engine.start_timeout_s)
    elif not await lock.take_for_command(engine.start_timeout_s):
        yield await _of_live_server(settings, folder, lock)
        return
    try:
        folder.check_version()
        async with _own(settings, folder, serve=serve) as engines:
            yield engines
    finally:
        lock.release()


async def _by_url(valkey_url: str, postgres_url: str) -> Engines:
    valkey_version, postgres_version = await _both(check_valkey(valkey_url), check_postgres(postgres_url))
    return Engines(valkey_url, postgres_url, False, False, valkey_version, postgres_version)


async def _of_live_server(settings: Settings, folder: DataFolder, lock: FolderLock) -> Engines:
    """The engines of the server that holds the folder, waiting while it starts."""
    deadline = time.monotonic() + settings.engine.start_timeout_s
    while True:
        record = read_record(folder)
        if record is not None:
            try:
                return await _recorded(settings, record)
            except StartError as error:
                reason = str(error)
        else:
            reason = "it has not started them yet"
        if time.monotonic() >= deadline:
            holder = lock.holder()
            raise StartError(
                f"the engines of the live server (pid {holder.pid if holder else '?'}) on the data folder "
                f"{folder.path} do not answer ({reason}): look at its log, or stop it"
            )
        await asyncio.sleep(_POLL_S)


async def _recorded(settings: Settings, record: Record) -> Engines:
    valkey_url = settings.engine.valkey_url or record.valkey.url
    postgres_url = settings.engine.postgres_url or record.postgres.url
    found = await _by_url(valkey_url, postgres_url)
    return Engines(
        valkey_url,
        postgres_url,
        record.valkey.embedded and valkey_url == record.valkey.url,
        record.postgres.embedded and postgres_url == record.postgres.url,
        found.valkey_version,
        found.postgres_version,
    )


@contextlib.asynccontextmanager
async def _own(settings: Settings, folder: DataFolder, *, serve: bool) -> AsyncIterator[Engines]:
    """Engines that run, or are started, while this process holds the folder."""
    engine = settings.engine
    account = choose(folder.path, folder.postgres)
    valkey = None if engine.valkey_url else EmbeddedValkey(folder, account, engine.start_timeout_s)
    postgres = None if engine.postgres_url else EmbeddedPostgres(folder, account, engine.start_timeout_s)
    embedded: list[Embedded] = [one for one in (valkey, postgres) if one is not None]
    if serve:
        folder.check_space(engine.min_free_mb)

    async def given(one: Embedded | None, check: Awaitable[str] | None) -> str:
        if one is not None:
            await _run(one, folder, engine.min_free_mb)
            return one.version
        assert check is not None
        return await check

    tasks: list[asyncio.Task[None]] = []
    try:
        valkey_version, postgres_version = await _both(
            given(valkey, None if valkey else check_valkey(engine.valkey_url)),
            given(postgres, None if postgres else check_postgres(engine.postgres_url)),
        )

        def write() -> None:
            write_record(
                folder,
                Record(
                    _record(valkey, engine.valkey_url, valkey_version),
                    _record(postgres, engine.postgres_url, postgres_version),
                ),
            )

        write()
        if serve:
            tasks = [asyncio.create_task(supervise(one, write), name=f"supervise {one.title}") for one in embedded]
        yield Engines(
            valkey.url if valkey else engine.valkey_url,
            postgres.url if postgres else engine.postgres_url,
            valkey is not None,
            postgres is not None,
            valkey_version,
            postgres_version,
        )
    finally:
        await _cancel(tasks)
        await asyncio.gather(*(one.stop() for one in embedded if serve or one.ours))
        if not any(one.alive() for one in embedded):
            remove_record(folder)
            folder.remove_sockets()


async def _run(one: Embedded, folder: DataFolder, min_free_mb: int) -> None:
    if not await one.adopt():
        folder.check_space(min_free_mb)
        await one.start()


def _record(one: Embedded | None, url: str, version: str) -> EngineRecord:
    return one.record() if one is not None else EngineRecord(url, version, False, 0, 0)


async def _both(first: Awaitable[str], second: Awaitable[str]) -> tuple[str, str]:
    """Both at once. Waits for both even if one fails, so that nothing is left half started; then raises."""
    one, two = await asyncio.gather(first, second, return_exceptions=True)
    for outcome in (one, two):
        if isinstance(outcome, BaseException):
            raise outcome
    assert isinstance(one, str) and isinstance(two, str)
    return one, two


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
