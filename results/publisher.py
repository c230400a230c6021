"""The board of each second: read from the shards' tallies by the director, published once to every node.

An outage of the engine costs boards and nothing else: screens keep the last one, and the next comes when the
engine is back (fails open, as boards are never evidence).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

import msgspec
import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import Clock
from broadcast_sync.show.model import Stage, Window
from broadcast_sync.wire.server import BoardRow, ContestantUpdate, Data, Envelope
from broadcast_sync.wire.times import iso
from results import board
from results.history import History
from voting.ledger.writer import Turn

CHANNEL: Final = "results"
RATE_SAMPLES: Final = 4
"""Votes a second are averaged over the time of so many boards."""

log = structlog.get_logger()


class StageSource(Protocol):
    """Whoever knows the stage as it is now."""

    @property
    def stage(self) -> Stage: ...


class Tallies(Protocol):
    """Whoever can sum the shards' tallies."""

    async def tallies(self, window_id: str) -> dict[str, int]: ...


class BoardPublisher:
    """Publishes while `lease` is held and voting is OPEN or CLOSING, and one last board when it has closed.

    LIVE_RESULTS and VOTE_UPDATE carry channel `results`, epoch = window id and offset = the board's time in ms (the
    second of the two one more), so offsets grow across directors. CONTESTANT_UPDATE of channel `contestant:ID` comes
    only when something in it has changed. All go through one pub/sub channel, each as a JSON envelope.
    """

    def __init__(
        self,
        *,
        interval_ms: int,
        client: Redis,
        keys: StageKeys,
        tallies: Tallies,
        stage: StageSource,
        clock: Clock,
        lease: Turn,
    ) -> None:
        self._interval_ms = interval_ms
        self._client = client
        self._keys = keys
        self._tallies = tallies
        self._stage = stage
        self._clock = clock
        self._lease = lease
        self._window_id = ""
        self._final = False
        self._history: History | None = None
        self._ranks: dict[str, int] = {}
        self._sent: dict[str, ContestantUpdate] = {}
        self._totals: deque[tuple[int, int]] = deque(maxlen=RATE_SAMPLES)

    @property
    def votes_per_second(self) -> float:
        """The rate over the last few boards; 0.0 when no window is open or this node is not the director."""
        if len(self._totals) < 2 or self._final or not self._lease.held:
            return 0.0
        (first_ms, first), (last_ms, last) = self._totals[0], self._totals[-1]
        return max(0.0, round((last - first) * 1000 / max(1, last_ms - first_ms), 1))

    @property
    def total_votes(self) -> int:
        """The total of the last board; 0 before the first."""
        return self._totals[-1][1] if self._totals else 0

    async def run(self) -> None:
        """A board at each multiple of `interval_ms` of absolute time, until cancelled."""
        down = False
        while True:
            heed_cancellation()
            await self._lease.wait_held()
            at_ms = await self._next_slot()
            if not self._lease.held:
                continue
            try:
                await self.tick(at_ms)
                if down:
                    down = False
                    log.info("boards_resumed")
            except VALKEY_ERRORS as error:
                if not down:
                    down = True
                    log.warning("boards_interrupted", error=repr(error))

    async def tick(self, at_ms: int) -> bool:
        """Publishes the board of `at_ms` if one is due; says whether it did. Engine errors pass through."""
        stage = self._stage.stage
        window = stage.window
        if window is None:
            return False
        if window.window_id != self._window_id:
            self._begin(window)
        counting = stage.voting in ("OPEN", "CLOSING")
        if not counting and (self._final or self._history is None or not self._totals):
            return False
        counts = await self._tallies.tallies(window.window_id)
        await self._publish(window, counts, at_ms)
        self._final = not counting
        return True

    def _begin(self, window: Window) -> None:
        self._window_id = window.window_id
        self._final = False
        self._history = History(window.opens_ms)
        self._ranks, self._sent = {}, {}
        self._totals.clear()

    async def _next_slot(self) -> int:
        now = self._clock.now_ms()
        slot = (now // self._interval_ms + 1) * self._interval_ms
        while now < slot:
            await asyncio.sleep((slot - now) / 1000)
            now = self._clock.now_ms()
        return slot

    async def _publish(self, window: Window, counts: dict[str, int], at_ms: int) -> None:
        history = self._history
        if history is not None:
            history.feed(at_ms, counts)
        trending = board.trends(history, counts, at_ms)
        made = board.rows(counts, window.contestants, previous=self._ranks, trending=trending)
        live = self._envelope(board.live_results(made, at_ms, window.closes_ms), CHANNEL, at_ms, at_ms)
        updates = self._changed(made, at_ms)
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.set(self._keys.board, live)
            pipe.publish(self._keys.results_channel, live)
            lean = self._envelope(board.vote_update(made), CHANNEL, at_ms, at_ms + 1)
            pipe.publish(self._keys.results_channel, lean)
            for update in updates:
                channel = f"contestant:{update.contestant_id}"
                pipe.publish(self._keys.results_channel, self._envelope(update, channel, at_ms, at_ms))
            await pipe.execute()
        self._ranks = {row.contestant_id: row.rank for row in made}
        self._sent.update((update.contestant_id, update) for update in updates)
        self._totals.append((at_ms, sum(row.vote_count for row in made)))

    def _changed(self, made: list[BoardRow], at_ms: int) -> list[ContestantUpdate]:
        updates = [board.contestant_update(row, self._history, at_ms) for row in made]
        return [update for update in updates if self._sent.get(update.contestant_id) != update]

    def _envelope(self, data: Data, channel: str, at_ms: int, offset: int) -> bytes:
        return msgspec.json.encode(Envelope(data.TYPE, data, iso(at_ms), channel, self._window_id, offset))
