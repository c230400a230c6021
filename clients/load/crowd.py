"""What the voices of one process share: who may be voted for, and the counts."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec
from msgspec import Raw, Struct

from broadcast_sync.wire.server import StateUpdate, WindowInfo
from clients.load.histogram import Histogram

BOARDS_KEPT: Final = 8
"""Boards whose spread is still being watched; an older one is closed."""


class _Envelope(Struct, frozen=True):
    type: str
    data: Raw


_envelope: Final = msgspec.json.Decoder(_Envelope)


class Boards:
    """How far apart the sockets get the same board."""

    def __init__(self) -> None:
        self.received = 0
        self.spread = Histogram()
        self._open: dict[bytes, tuple[int, int]] = {}

    def arrived(self, timestamp: bytes, now_ns: int) -> None:
        """One socket has the board made at `timestamp`."""
        self.received += 1
        first, _ = self._open.get(timestamp, (now_ns, 0))
        self._open[timestamp] = (first, now_ns)
        if len(self._open) > BOARDS_KEPT:
            self._close(next(iter(self._open)))

    def finish(self) -> None:
        """Counts the boards that are still being watched."""
        while self._open:
            self._close(next(iter(self._open)))

    def _close(self, timestamp: bytes) -> None:
        first, last = self._open.pop(timestamp)
        self.spread.add((last - first) // 1000)


class Crowd:
    """Shared by all voices of a process. `voting` decides whether an answered voice votes again."""

    def __init__(self) -> None:
        self.loop: Final = asyncio.get_running_loop()
        self.voting = False
        self.contestants: list[str] = []
        """Who may be voted for in the open window; empty while none is open."""
        self.window_id = ""
        self.window_open = asyncio.Event()
        self.latency = Histogram()
        self.boards = Boards()
        self.connected = 0
        self.welcomed = 0
        self.authenticated = 0
        self.sent = 0
        self.acked = 0
        self.replayed = 0
        self.mismatched = 0
        self.errors: dict[str, int] = {}
        self.failures: dict[str, int] = {}
        self.messages: dict[str, int] = {}
        self.received_bytes = 0
        self.ending = False
        """True when sockets are being closed by us: their end is no failure."""
        self._state = b""

    def start_counting(self) -> None:
        """Forgets what was counted while the sockets came up, failures apart."""
        self.latency, self.boards = Histogram(), Boards()
        self.sent = self.acked = self.replayed = self.mismatched = self.received_bytes = 0
        self.errors, self.messages = {}, {}

    def failed(self, reason: str) -> None:
        """A socket did not come up, or was lost."""
        if not self.ending:
            self.failures[reason] = self.failures.get(reason, 0) + 1

    def refused(self, code: str) -> None:
        """An ERROR has come."""
        self.errors[code] = self.errors.get(code, 0) + 1

    def heard(self, type_: bytes) -> None:
        """A message of a type that is only counted."""
        name = type_.decode() or "?"
        self.messages[name] = self.messages.get(name, 0) + 1

    def state(self, payload: bytes) -> None:
        """STATE_UPDATE or VOTING_OPEN has come to some voice; the same one to all others as well."""
        if payload == self._state:
            return
        self._state = payload
        envelope = _envelope.decode(payload)
        if envelope.type == WindowInfo.TYPE:
            self._window(msgspec.json.decode(envelope.data, type=WindowInfo), open=True)
        else:
            state = msgspec.json.decode(envelope.data, type=StateUpdate)
            self._window(state.window, open=state.voting == "OPEN")

    def _window(self, window: WindowInfo | None, *, open: bool) -> None:
        if window is None or not open:
            self.window_open.clear()
            return
        self.window_id = window.window_id
        self.contestants = [one.id for one in window.contestants if one.status == "active"]
        if self.contestants:
            self.window_open.set()


def now_ns() -> int:
    """The clock of all latencies."""
    return time.perf_counter_ns()
