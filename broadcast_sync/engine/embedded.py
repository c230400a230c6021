"""What starting, adopting and stopping an embedded engine have in common."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from abc import ABC, abstractmethod
from enum import Enum, auto
from pathlib import Path
from typing import ClassVar, Final

import structlog

from broadcast_sync.engine.account import Account
from broadcast_sync.engine.folder import DataFolder, disk_full, trouble
from broadcast_sync.engine.process import POLL_S, EngineProcess, engine_at, engines_in, size, spawn, tail
from broadcast_sync.engine.record import EngineRecord
from broadcast_sync.errors import StartError

log = structlog.get_logger()

STOP_S: Final = 10.0
"""How long an engine may take to stop in order before it is made to."""
_ADOPT_S: Final = 3.0
"""How long an engine found running may be silent before it is started afresh."""
_STRAY_S: Final = 2.0
_DATED: Final = re.compile(r"^(\d+:\w \d+ \w+ \d{4} [\d:.]+ [#*.-]|[\d-]+ [\d:.]+ \w+ \[\d+\]) +")


class Answer(Enum):
    """What an engine says when asked whether it is there."""

    READY = auto()
    RECOVERING = auto()
    """It reads its data; however long that takes, waiting is right."""
    SILENT = auto()


def complaint(output: str) -> str:
    """The line of an engine's output that says why it ended, without its date; the last one if none stands out."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    loud = [line for line in lines if re.search(r"FATAL:|PANIC:|ERROR:|error:|[Ff]ailed|\d # ", line)]
    chosen = (loud or lines or ["it said nothing"])[-1]
    return _DATED.sub("", chosen)


class Embedded(ABC):
    """One engine of the data folder. Either it is started by us or adopted; `process` is None before that."""

    title: ClassVar[str]
    program: ClassVar[str]
    """The name its process goes by."""
    setting: ClassVar[str]
    gently: ClassVar[signal.Signals]
    harshly: ClassVar[signal.Signals]

    def __init__(self, folder: DataFolder, account: Account, start_timeout_s: float) -> None:
        self._folder = folder
        self._account = account
        self._start_timeout_s = start_timeout_s
        self.process: EngineProcess | None = None
        self.version = ""
        self.ours = False
        """True if it was started by this process, False if it was found running."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it listens."""

    @property
    @abstractmethod
    def home(self) -> Path:
        """The folder it works in."""

    @property
    @abstractmethod
    def log(self) -> Path:
        """The file it complains to."""

    @abstractmethod
    def pid(self) -> int | None:
        """The pid its own pid file names, true or not."""

    @abstractmethod
    async def prepare(self) -> None:
        """Makes its folder ready for a start; no process of it runs."""

    @abstractmethod
    def argv(self) -> list[str | Path]:
        """The command line that runs it in the foreground."""

    @abstractmethod
    async def ask(self) -> Answer:
        """Whether it answers, on its socket, as the process it should be."""

    @abstractmethod
    async def opened(self) -> None:
        """Just after READY: learns the version, makes what must exist."""

    async def adopt(self) -> bool:
        """Takes over an engine that runs in the folder already. One that does not answer is stopped: False."""
        pid = self.pid()
        process = engine_at(pid, self.program, self.home) if pid else None
        if process is None:
            return False
        self.process = process
        if not await self._ready(process, _ADOPT_S):
            log.warning("engine_silent", engine=self.title, pid=process.pid)
            await process.end(self.gently, self.harshly, STOP_S)
            self.process = None
            return False
        await self.opened()
        log.info("engine_adopted", engine=self.title, version=self.version, pid=process.pid)
        return True

    async def start(self) -> None:
        """Starts it and waits until it answers. StartError says in one line why not; nothing is left running."""
        began = time.monotonic()
        before = size(self.log)
        try:
            await self._end_strays()
            await self.prepare()
            self.process = spawn(self.argv(), account=self._account, log=self.log)
        except OSError as error:
            raise trouble(self._folder.path, error) from None
        try:
            if not await self._ready(self.process, self._start_timeout_s):
                raise self._failed(self.process, before)
            await self.opened()
        except BaseException:
            await self.process.end(self.gently, self.harshly, STOP_S)
            self.process = None
            raise
        self.ours = True
        ms = round((time.monotonic() - began) * 1000)
        log.info("engine_started", engine=self.title, version=self.version, pid=self.process.pid, ms=ms)

    async def stop(self) -> None:
        """Stops it with everything on disk; harshly, which loses nothing either, if it will not within STOP_S."""
        if self.process is None:
            return
        began = time.monotonic()
        in_order = await self.process.end(self.gently, self.harshly, STOP_S)
        ms = round((time.monotonic() - began) * 1000)
        log.log(20 if in_order else 30, "engine_stopped", engine=self.title, in_order=in_order, ms=ms)

    def alive(self) -> bool:
        """True while its process lives."""
        return self.process is not None and self.process.alive()

    def record(self) -> EngineRecord:
        """What engines.json says of it."""
        process = self.process
        pid, started_ms = (process.pid, process.started_ms) if process else (0, 0)
        return EngineRecord(self.url, self.version, True, pid, started_ms)

    def failed(self, output: str) -> StartError:
        """The one line for an engine that ended with `output`."""
        if "No space left on device" in output:
            return disk_full(self._folder.path)
        return StartError(
            f"{self.title} did not start ({complaint(output)}): see {self.log}, or set engine.{self.setting} to one "
            "that runs elsewhere"
        )

    def _failed(self, process: EngineProcess, before: int) -> StartError:
        if not process.alive():
            return self.failed(tail(self.log, before))
        return StartError(
            f"{self.title} did not answer within {self._start_timeout_s:g} s: see {self.log}, or raise "
            "engine.start_timeout_s"
        )

    async def _ready(self, process: EngineProcess, patience_s: float) -> bool:
        """Waits for READY; False if it ends, or is silent for `patience_s` seconds. Recovery may take its time."""
        deadline = time.monotonic() + patience_s
        recovering = False
        while process.alive():
            answer = await self.ask()
            if answer is Answer.READY:
                return True
            if answer is Answer.RECOVERING:
                deadline = time.monotonic() + patience_s
                if not recovering:
                    recovering = True
                    log.info("engine_recovering", engine=self.title, pid=process.pid)
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(POLL_S)
        return False

    async def _end_strays(self) -> None:
        """Ends what is left of an earlier run: it must not write to the same files. Usually it ends by itself."""
        if not self.log.exists():
            return
        for stray in await asyncio.to_thread(engines_in, self.program, self.home):
            if not await stray.gone(_STRAY_S):
                log.warning("engine_stray", engine=self.title, pid=stray.pid)
                await stray.end(self.gently, self.harshly, _STRAY_S)
