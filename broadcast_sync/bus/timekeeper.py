"""The time that all nodes share: the engine's own, or, if that clock has been set while a show was on air, what it was
before.

A node's clock runs on its monotonic clock, so a step of any wall clock moves nothing in a process that runs. For those
that come later the director keeps in the engine by how much the shared time differs from the engine's clock: whoever
starts then has the time of the show, not that of the step. Off air the difference is given up, and all nodes follow
the engine again. Only the holder of the director's lease may say what time it is.

A step that nobody sees, since no process of ours runs, is taken for the time; but on air no clock goes back, not even
then. Engine errors pass through `begin` and `measure`; `run` goes on by the node's own clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.leases import Lease
from broadcast_sync.bus.scripts import Script
from broadcast_sync.clock import STEP_MS, EngineClock

log = structlog.get_logger()

INTERVAL_S: Final = 1.0
ATTEMPTS: Final = 5
SLOW_NS: Final = 500_000_000
"""An answer that took longer says nothing: it may be off by half of that, and must never look like a step."""
PATIENCE_S: Final = 15.0
"""How long a node that is not the director may disagree with the shared time before it believes that the fault is its
own: a machine that was suspended, say. The director says within a second or two what a step of the engine is worth."""

_KEEP: Final = Script("broadcast_sync.bus", "time_keep")


class Reading(NamedTuple):
    """The engine's clock between two `time.monotonic_ns()` readings, and what is kept beside it (None: nothing)."""

    engine_ms: float
    offset_ms: int | None
    noted_ms: int | None
    sent_ns: int
    received_ns: int

    @property
    def shared_ms(self) -> float:
        return self.engine_ms + (self.offset_ms or 0)

    @property
    def slow(self) -> bool:
        """The process or the engine was held up meanwhile."""
        return self.received_ns - self.sent_ns > SLOW_NS


async def read_time(client: Redis, keys: StageKeys) -> Reading:
    """One reading. Engine errors pass through."""
    sent = time.monotonic_ns()
    async with client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.hmget(keys.time, "offset", "noted")
        (seconds, micros), (offset, noted) = await pipe.execute()
    received = time.monotonic_ns()
    return Reading(
        int(seconds) * 1000 + int(micros) / 1000, None if offset is None else int(offset),
        None if noted is None else int(noted), sent, received,
    )


async def set_clock(client: Redis, keys: StageKeys, clock: EngineClock) -> Reading:
    """Sets a new `clock` to the shared time, which on air is never behind what it has been. Of slow answers the last
    one must do. Engine errors pass through."""
    reading = await read_time(client, keys)
    for _ in range(ATTEMPTS):
        if not reading.slow:
            break
        reading = await read_time(client, keys)
    stepped_back = reading.noted_ms is not None and reading.noted_ms - reading.shared_ms > STEP_MS
    now_ms = reading.noted_ms if stepped_back and reading.noted_ms else reading.shared_ms
    clock.correct(now_ms, reading.sent_ns, reading.received_ns)
    return reading


class Timekeeper:
    """Keeps `clock` for one node. `steady` says whether somebody relies on time going on as it does: a show is on air.
    `stepped` is called when the clock has been set after all. Everything given is the caller's."""

    def __init__(
        self, client: Redis, keys: StageKeys, clock: EngineClock, lease: Lease, steady: Callable[[], bool],
        stepped: Callable[[], None],
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._lease = lease
        self._steady = steady
        self._stepped = stepped
        self._known: int | None = None
        self._apart_since: float | None = None

    async def begin(self) -> None:
        """Sets the clock. To be called before anything looks at it."""
        self._known = (await set_clock(self._client, self._keys, self._clock)).offset_ms

    async def run(self) -> None:
        """Measures each second, until cancelled. An outage leaves the node its own clock; the mirror logs it."""
        while True:
            heed_cancellation()
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.measure()
            except VALKEY_ERRORS:
                continue

    async def measure(self) -> None:
        """One measurement, and what follows from it."""
        reading = await read_time(self._client, self._keys)
        if reading.slow:
            return
        agrees = self._clock.correct(reading.shared_ms, reading.sent_ns, reading.received_ns)
        self._clock.held_ms = reading.offset_ms or 0
        if self._lease.held:
            await self._direct(reading, agrees)
        elif not agrees:
            self._follow(reading)
        if agrees:
            self._apart_since = None
            self._known = reading.offset_ms

    async def _direct(self, reading: Reading, agrees: bool) -> None:
        """The director's: on air the offset takes up a step, off air there is none."""
        if not self._steady():
            if reading.offset_ms or reading.noted_ms is not None:
                if await self._keep(0) and reading.offset_ms:
                    log.warning("clock_let_go", held_ms=reading.offset_ms)
            elif not agrees:
                self._set()
            return
        offset_ms = reading.offset_ms or 0
        if not agrees:
            offset_ms -= round(self._clock.offset_ms)
        if await self._keep(offset_ms, self._clock.now_ms()) and not agrees:
            log.warning("clock_step", step_ms=round(self._clock.offset_ms), held_ms=offset_ms)

    async def _keep(self, offset_ms: int, noted_ms: int | None = None) -> bool:
        """False if this node is the director no more."""
        return bool(await _KEEP(
            self._client, [self._keys.time, self._keys.director],
            [self._lease.holder, offset_ms, "" if noted_ms is None else noted_ms],
        ))

    def _follow(self, reading: Reading) -> None:
        """Everybody else's: the director has said what time it is, or will; or nobody is wrong but this node."""
        now = time.monotonic()
        if self._apart_since is None:
            self._apart_since = now
        said = reading.offset_ms is not None and reading.offset_ms != self._known
        if said or not self._steady() or now - self._apart_since >= PATIENCE_S:
            self._known, self._apart_since = reading.offset_ms, None
            self._set()

    def _set(self) -> None:
        log.warning("clock_set", by_ms=round(self._clock.offset_ms))
        self._clock.follow()
        self._stepped()
