"""server.lock and engines.json: who holds the data folder, and what runs in it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from typing import Final, Literal

import msgspec
import structlog
from msgspec import Struct

from broadcast_sync.engine.folder import WAY_OUT, DataFolder, trouble
from broadcast_sync.errors import StartError

log = structlog.get_logger()

_POLL_S: Final = 0.05
_FILE: Final = "engines.json"


class Holder(Struct, frozen=True):
    """Who holds the lock: a server, or a command that needed engines where none ran. Times in Unix ms."""

    role: Literal["server", "command"]
    pid: int
    port: int
    started_ms: int


class EngineRecord(Struct, frozen=True):
    """One engine that runs. `pid` is 0 for an engine given by URL."""

    url: str
    version: str
    embedded: bool
    pid: int
    started_ms: int


class Record(Struct, frozen=True):
    """The content of engines.json."""

    valkey: EngineRecord
    postgres: EngineRecord


def write_record(folder: DataFolder, record: Record) -> None:
    """Writes engines.json (mode 0600) in one step. StartError if it cannot be written."""
    folder.write(_FILE, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def read_record(folder: DataFolder) -> Record | None:
    """What engines.json says; None if there is none that makes sense."""
    try:
        return msgspec.json.decode((folder.path / _FILE).read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("engine_record_unreadable", file=str(folder.path / _FILE), reason=str(error))
        return None


def remove_record(folder: DataFolder) -> None:
    """After a clean stop: nothing runs."""
    (folder.path / _FILE).unlink(missing_ok=True)


class FolderLock:
    """The lock of a data folder. The kernel gives it up when its holder ends, however that ends; engines, which
    outlive their server, never have it."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._path = folder.path / "server.lock"
        self._descriptor: int | None = None

    def take(self, role: Literal["server", "command"], port: int) -> bool:
        """Takes the lock and says who has it now; False if somebody else has. StartError if it cannot be tried."""
        try:
            new = not self._path.exists()
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise trouble(self._folder.path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holder = Holder(role, os.getpid(), port, int(time.time() * 1000))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(holder) + b"\n", 0)
            if new:
                self._folder.hand_over(self._path)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            raise trouble(self._folder.path, error) from None
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Gives the lock up; nothing happens if it was not taken."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> Holder | None:
        """Who says to hold it; None for a moment while it changes hands."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Holder)
        except (OSError, msgspec.MsgspecError):
            return None  # read between another's taking the lock and signing it: the caller looks again

    async def take_for_server(self, port: int, timeout_s: float) -> None:
        """Takes the lock for a server. Waits for a command to finish; StartError at once if a server has it."""
        deadline = time.monotonic() + timeout_s
        while not self.take("server", port):
            holder = self.holder()
            if holder is not None and holder.role == "server":
                raise StartError(
                    f"the data folder {self._folder.path} is in use by a live server (pid {holder.pid}, port "
                    f"{holder.port}): stop it, or {WAY_OUT}"
                )
            self._give_up_at(deadline, holder)
            await asyncio.sleep(_POLL_S)

    async def take_for_command(self, timeout_s: float) -> bool:
        """Takes the lock for a command, waiting for another command to finish. False if a live server has it:
        its engines are there to be used."""
        deadline = time.monotonic() + timeout_s
        while not self.take("command", 0):
            holder = self.holder()
            if holder is not None and holder.role == "server":
                return False
            self._give_up_at(deadline, holder)
            await asyncio.sleep(_POLL_S)
        return True

    def _give_up_at(self, deadline: float, holder: Holder | None) -> None:
        if time.monotonic() >= deadline:
            who = f"a command (pid {holder.pid})" if holder else "another process"
            raise StartError(
                f"the data folder {self._folder.path} is still in use by {who}: wait for it or stop it, or {WAY_OUT}"
            )
