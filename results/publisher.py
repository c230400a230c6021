"""The board of each second: read from the shards' tallies by the director, published once to every node.

An outage of the engine costs boards and nothing else: screens keep the last one, and the next comes when the
engine is back (fails open, as boards are never evidence).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import Clock
from broadcast_sync.settings import Results
from broadcast_sync.show.model import Stage, Window
from broadcast_sync.wire.server import Data, RecentVote
from results.board import Board, board_of, contestant_update, envelope, live_results, vote_update
from results.history import SAMPLES, History, Sample
from results.leaderboard import LineUp
from results.sent import Sent
from results.standing import Standing
from voting.ballot.gates import Turnout
from voting.ledger.writer import Turn

CHANNEL: Final = "results"
RATE_SAMPLES: Final = 4
"""Votes a second are averaged over the time of so many boards."""
PART: Final = 250
"""Contestants' updates made between two turns of the loop."""
KEPT_S: Final = 24 * 3600
"""How long the engine keeps the samples of a window after the last one."""

Ballots = Callable[[str], Mapping[str, Sequence[RecentVote]] | None]
"""The last ballots of a window by contestant, None if they are not told."""

log = structlog.get_logger()


class Counted(NamedTuple):
    """What the last boards of a window say of it: votes, and votes a second over the last few."""

    total_votes: int
    votes_per_second: float


class StageSource(Protocol):
    """Whoever knows the stage as it is now."""

    @property
    def stage(self) -> Stage: ...


class Tallies(Protocol):
    """Whoever can sum the shards' tallies."""

    async def tallies(self, window_id: str) -> dict[str, int]: ...
    async def turnout(self, window_id: str) -> Turnout: ...


class Outgoing(msgspec.Struct):
    """All that one board leaves: `live`, `lean` and the bundles of `contestants` are published, `standing` and the
    `samples` kept in the engine."""

    live: bytes
    lean: bytes
    standing: bytes
    samples: list[Sample]
    contestants: list[bytes]


def _no_ballots(window_id: str) -> None:
    return None


class BoardPublisher:
    """Publishes while `lease` is held and voting is OPEN or CLOSING, and one last board when it has closed.

    LIVE_RESULTS and VOTE_UPDATE carry channel `results`, epoch = window id and offset = the board's time in ms (the
    second of the two one more), so offsets grow across directors. CONTESTANT_UPDATE of channel `contestant:ID` comes
    only when something in it has changed; those of one board travel in bundles, JSON objects of channel -> envelope.
    A board whose votes are more than JavaScript can count goes out to nobody, and is logged as an error.
    """

    def __init__(
        self,
        *,
        settings: Results,
        client: Redis,
        keys: StageKeys,
        tallies: Tallies,
        stage: StageSource,
        clock: Clock,
        lease: Turn,
        ballots: Ballots = _no_ballots,
    ) -> None:
        self.latest: tuple[str, Board] | None = None
        """The window and the board that went out last; None before the first of a window."""
        self._settings = settings
        self._interval_ms = settings.interval_ms
        self._client = client
        self._keys = keys
        self._tallies = tallies
        self._stage = stage
        self._clock = clock
        self._lease = lease
        self._ballots = ballots
        self._window_id = ""
        self._final = False
        self._line_up = LineUp(())
        self._history = History(0, 0)
        self._sent = Sent(0)
        self._beyond = False
        self._blind = False
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

    def counted(self, window_id: str | None) -> Counted:
        """What is known of a window; zeros if the last board was another's."""
        known = window_id is not None and window_id == self._window_id
        return Counted(self.total_votes, self.votes_per_second) if known else Counted(0, 0.0)

    async def run(self) -> None:
        """A board at each multiple of `interval_ms` of absolute time, until cancelled."""
        down = False
        while True:
            heed_cancellation()
            if not self._lease.held:
                self._window_id = ""  # another director goes on with the history; it is read again
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
            await self._begin(window)
        counting = stage.voting in ("OPEN", "CLOSING")
        if not counting and (self._final or not self._totals):
            return False
        counts, turnout = await asyncio.gather(
            self._tallies.tallies(window.window_id), self._turnout(window.window_id)
        )
        made = self._make(window, counts, turnout, at_ms)
        if made is None:
            return False
        board, samples = made
        try:
            await self._leave(window.window_id, await self._pack(window, board, samples))
        except VALKEY_ERRORS:
            self._sent = Sent(len(self._line_up))  # who knows what of it went out
            raise
        self.latest = window.window_id, board
        self._totals.append((at_ms, board.ranking.total))
        self._final = not counting
        return True

    async def _begin(self, window: Window) -> None:
        """Turns to a window, with the history that directors before this one have left of it."""
        self._line_up = LineUp(window.contestants)
        self._history = History(window.opens_ms, len(self._line_up))
        self._sent = Sent(len(self._line_up))
        self._totals.clear()
        self._final, self._beyond, self.latest = False, False, None
        left: Any = await self._client.lrange(self._keys.samples(window.window_id), 0, -1)
        try:
            found = []
            for packed in left:
                found.append(Sample.unpack(packed))
                await asyncio.sleep(0)  # of thousands of contestants each takes a while
            self._history.restore(found)
        except ValueError as error:
            log.warning("history_lost", window=window.window_id, error=str(error))
        self._window_id = window.window_id

    async def _turnout(self, window_id: str) -> Turnout | None:
        """None if its keys are broken: that costs the board these figures, and nothing else."""
        try:
            found = await self._tallies.turnout(window_id)
        except ResponseError as error:
            if not self._blind:
                log.error("turnout_unreadable", window=window_id, error=str(error))
            self._blind = True
            return None
        self._blind = False
        return found

    async def _next_slot(self) -> int:
        now = self._clock.now_ms()
        slot = (now // self._interval_ms + 1) * self._interval_ms
        # should the clock be set back meanwhile, this slot is as good as another
        while 0 < slot - now <= self._interval_ms:
            await asyncio.sleep((slot - now) / 1000)
            now = self._clock.now_ms()
        return slot

    # --- a board ----------------------------------------------------------------------------------------------

    def _make(
        self, window: Window, counts: Mapping[str, int], turnout: Turnout | None, at_ms: int
    ) -> tuple[Board, list[Sample]] | None:
        """The board, and what it adds to the history; None if it has more votes than can be shown exactly."""
        try:
            samples = self._history.feed(at_ms, self._line_up.column(counts))
            return board_of(
                self._line_up, counts, at_ms, history=self._history, change_ms=self._settings.change_s * 1000,
                turnout=turnout,
            ), samples
        except OverflowError as error:
            if not self._beyond:
                log.error("board_beyond_exact", window=window.window_id, error=str(error))
            self._beyond = True
            return None

    async def _pack(self, window: Window, board: Board, samples: list[Sample]) -> Outgoing:
        """Everything as it goes out. Long boards are made in parts, between which others have their turn."""
        at_ms = board.at_ms
        await asyncio.sleep(0)
        live = self._envelope(live_results(board, window.closes_ms, self._settings.locale), CHANNEL, at_ms, at_ms)
        lean = self._envelope(vote_update(board, self._sent.others(board)), CHANNEL, at_ms, at_ms + 1)
        await asyncio.sleep(0)
        ballots = self._ballots(window.window_id)
        made = Outgoing(live, lean, Standing.of(window.window_id, board, ballots).pack(), samples, [])
        due = self._sent.contestants(board, ballots)
        for first in range(0, len(due), PART):
            await asyncio.sleep(0)
            made.contestants.append(self._bundle(board, due[first : first + PART], ballots))
        return made

    def _bundle(
        self, board: Board, places: Sequence[int], ballots: Mapping[str, Sequence[RecentVote]] | None
    ) -> bytes:
        found = {}
        for place in places:
            name = board.line_up.ids[place]
            update = contestant_update(board, place, None if ballots is None else ballots.get(name, ()))
            channel = f"contestant:{name}"
            found[channel] = envelope(update, channel, self._window_id, board.at_ms, board.at_ms)
        return msgspec.json.encode(found)

    async def _leave(self, window_id: str, made: Outgoing) -> None:
        """The one place where a board leaves this process: for the nodes' sockets, and for those who read it."""
        keys = self._keys
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.set(keys.board, made.live)
            pipe.set(keys.standing, made.standing)
            pipe.publish(keys.results_channel, made.live)
            pipe.publish(keys.results_channel, made.lean)
            for bundle in made.contestants:
                pipe.publish(keys.contestants_channel, bundle)
            if made.samples:
                samples = keys.samples(window_id)
                pipe.rpush(samples, *[sample.pack() for sample in made.samples])
                pipe.ltrim(samples, -SAMPLES, -1)
                pipe.expire(samples, KEPT_S)
            await pipe.execute()

    def _envelope(self, data: Data, channel: str, at_ms: int, offset: int) -> bytes:
        return msgspec.json.encode(envelope(data, channel, self._window_id, at_ms, offset))
