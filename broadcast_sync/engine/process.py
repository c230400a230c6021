"""Child processes, and whether a pid is still who we think it is.

Engines outlive a server that is killed and are adopted by the next one, so an engine may or may not be our child.
A pid alone proves nothing: it may have been given to somebody else. A process is taken for an engine of a data
folder only by its program's name and its working directory, both of which the engine itself set.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from broadcast_sync.engine.account import Account

POLL_S: Final = 0.02


def environment() -> dict[str, str]:
    """What engines get of our environment: nothing of ours, least of all secrets. English messages, UTC."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


class EngineProcess:
    """One live or dead engine process: a child, or one adopted. Signals never reach a recycled pid."""

    def __init__(self, process: psutil.Process, child: subprocess.Popen[bytes] | None = None) -> None:
        self._process = process
        self._child = child
        self.pid = int(process.pid)

    @property
    def started_ms(self) -> int:
        """When it started, in Unix milliseconds; 0 if it is gone."""
        try:
            return int(self._process.create_time() * 1000)
        except psutil.Error:
            return 0

    @property
    def exit_code(self) -> int | None:
        """The exit code of a dead child, negative for a signal; None of others."""
        return self._child.poll() if self._child else None

    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        try:
            return bool(self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; nothing happens if the process is gone."""
        try:
            if self.alive():
                self._process.send_signal(number)
        except psutil.NoSuchProcess:
            pass  # it went between the two calls: what the signal was for

    async def gone(self, timeout_s: float, poll_s: float = POLL_S) -> bool:
        """Waits until it has ended, looking every `poll_s` seconds; False if it has not within `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while self.alive():
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(poll_s)
        return True

    async def end(self, gently: signal.Signals, harshly: signal.Signals, patience_s: float) -> bool:
        """Ends it: `gently`, and `harshly` after `patience_s` seconds. True if the gentle way was enough."""
        self.send(gently)
        if await self.gone(patience_s):
            return True
        self.send(harshly)
        await self.gone(patience_s)
        return False


def spawn(argv: Sequence[str | Path], *, account: Account, log: Path) -> EngineProcess:
    """Starts an engine in a session of its own, so that the terminal's Ctrl-C is not for it, with no file of ours.

    Its output is appended to `log`, which becomes the account's. OSError if it cannot be started at all.
    """
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if account.switched:
            os.fchown(out, account.uid, account.gid)
        child = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            env=environment(),
            umask=0o077,
            start_new_session=True,
            **account.popen(),
        )
    finally:
        os.close(out)
    return EngineProcess(psutil.Process(child.pid), child)


def is_engine(process: psutil.Process, name: str, folder: Path) -> bool:
    """True if `process` runs the program `name` in `folder`."""
    try:
        return bool(process.name().startswith(name) and Path(process.cwd()) == folder.resolve())
    except (psutil.Error, OSError):
        return False  # gone, or somebody else's: in neither case ours


def engine_at(pid: int, name: str, folder: Path) -> EngineProcess | None:
    """The process `pid`, if it is the engine `name` of `folder`; None for anybody else, dead or alive."""
    try:
        process = psutil.Process(pid)
    except (psutil.Error, ValueError):
        return None
    engine = EngineProcess(process)
    return engine if engine.alive() and is_engine(process, name, folder) else None


def engines_in(name: str, folder: Path) -> list[EngineProcess]:
    """Every process of the program `name` that works in `folder`. Looks at all processes: some 10 ms."""
    return [EngineProcess(process) for process in psutil.process_iter() if is_engine(process, name, folder)]


def tail(log: Path, offset: int) -> str:
    """What was written to `log` after `offset` bytes, at most the last 8 KB; empty if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(offset, log.stat().st_size - 8192))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def size(path: Path) -> int:
    """Bytes in a file, 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
