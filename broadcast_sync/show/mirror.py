"""A node's live copy of the stage, and what its sockets are sent of it.

The mirror reads the bus, makes good what it missed, whether it was cut off or the bus lost it (each must-arrive event
once, in order), and ticks the countdown from the node's own clock, outage or not. It delivers by callback and never
waits for one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.pubsub import Connected, Disconnected, Payload, Report, Subscription
from broadcast_sync.clock import Clock
from broadcast_sync.show.canary import Canary
from broadcast_sync.show.countdown import next_instant, remaining_s, ticks
from broadcast_sync.show.embargo import Boards, Withheld
from broadcast_sync.show.excerpt import results_told
from broadcast_sync.show.model import Stage
from broadcast_sync.show.outages import Outage
from broadcast_sync.show.recent import Recent
from broadcast_sync.show.store import StageStore
from broadcast_sync.show.views import state_update
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import ContestantInfo, Countdown, Data, ResultsReady, TimeUpdate
from broadcast_sync.wire.times import iso

log = structlog.get_logger()

CONTESTANTS: Final = "contestants"
"""What the bus's bundles of contestants' messages are called here; each message is for a channel of its own."""
STALE_TICK_MS: Final = 1_000
"""A tick that could not be sent for this long is no longer true and is left out."""
SILENCE_S: Final = 3.0
"""Without a word of the canary for so long the subscription is dead, even if its connection lives."""

_bundle: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class StageMirror:
    """One node's copy. `on_message` gets every message for the channels `show`, `results` and `control`;
    `on_degraded` every change of `degraded`. Of the messages for single contestants, of which there may be thousands a
    second, only those of channels that are `followed` are looked at; the others are kept as they are. `contestants` are
    those messages, by channel, out of the last board that the engine has. The client is the caller's."""

    def __init__(
        self, client: Redis, keys: StageKeys, store: StageStore, clock: Clock, organisation: str,
        on_message: Callable[[Prepared], None],
        on_degraded: Callable[[bool], None] | None = None,
        followed: Callable[[str], bool] = lambda channel: True,
        contestants: Callable[[bytes], Mapping[str, bytes]] = lambda standing: {},
    ) -> None:
        self.stage = Stage(organisation=organisation)
        self.canary: Final = Canary(client, keys, store, clock)
        """Proves the path from the engine to this mirror."""
        self.degraded = True
        """True while the node is cut off from the bus: from the start until the first load, and in outages."""
        self._client = client
        self._keys = keys
        self._store = store
        self._clock = clock
        self._on_message = on_message
        self._on_degraded = on_degraded
        self._followed = followed
        self._contestants = contestants
        self._channels = {
            keys.channel: "show", keys.results_channel: "results", keys.control_channel: "control",
            keys.contestants_channel: CONTESTANTS,
        }
        self._recent = Recent()
        self._boards = Boards()
        self._withheld = Withheld()
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._skipped: set[str] = set()
        self._shown: tuple[Stage, bool, int, list[Prepared]] | None = None
        self._known: tuple[Sequence[ContestantInfo], frozenset[str]] = (), frozenset()
        """The line-up on air, and its ids."""
        self._results: tuple[ResultsReady, ResultsReady] | None = None
        """Those of the stage, and as they are told: of thousands of contestants that takes a while."""

    # --- what others read -----------------------------------------------------------------------------------

    async def wait_ready(self) -> None:
        """Returns once the stage has been loaded for the first time."""
        await self._ready.wait()

    async def wait_change(self, seen: Stage) -> None:
        """Returns when `stage` is no longer `seen`."""
        while self.stage is seen:
            await self._changed.wait()

    @property
    def withholding(self) -> bool:
        """True while this node must not tell how many votes it has taken: it has known a window under an embargo and
        has not heard of its release; or it knows nothing yet (fails closed)."""
        return not self._ready.is_set() or bool(self._withheld)

    def knows(self, contestant_id: str) -> bool:
        """Whether a contestant is in the line-up on air."""
        show = self.stage.show
        people = () if show is None else show.contestants
        if self._known[0] is not people:
            self._known = people, frozenset(one.id for one in people)
        return contestant_id in self._known[1]

    def position(self, channel: str) -> tuple[str, int]:
        """Epoch and offset a joiner of `channel` starts from; only `show` counts its messages."""
        return (self._recent.epoch, self._recent.offset if channel == "show" else 0)

    def replay(self, channel: str, epoch: str, offset: int) -> list[Prepared] | None:
        """The must-arrive messages of `channel` after a position; None if a snapshot must do."""
        return self._recent.since(epoch, offset) if channel == "show" and epoch else None

    def snapshot(self, channel: str) -> list[Prepared]:
        """What a joiner of `channel` is sent first: the stage, time left and public result for `show`, the last
        boards for `results`, a contestant's channel, or the channel for screens beside it, whichever may have them. The
        same objects for all who ask within a second."""
        if channel != "show":
            return self._boards.snapshot(self.stage, channel)
        now_ms = self._clock.now_ms()
        second = now_ms // 1000
        shown = self._shown
        if shown is None or shown[0] is not self.stage or shown[1] != self.degraded or shown[2] != second:
            shown = self._shown = (self.stage, self.degraded, second, self._make_snapshot(now_ms))
        return list(shown[3])

    def _make_snapshot(self, now_ms: int) -> list[Prepared]:
        stage = self.stage
        messages: list[Data] = [state_update(stage, degraded=self.degraded)]
        if stage.voting == "OPEN" and stage.window:
            closes_ms = stage.window.closes_ms
            messages.append(TimeUpdate(remaining_s(closes_ms, now_ms), iso(closes_ms)))
        if stage.released and stage.results:
            if self._results is None or self._results[0] is not stage.results:
                self._results = stage.results, results_told(stage.results)
            messages.append(self._results[1])
        return [Prepared.of(message, now_ms, "show") for message in messages]

    def clock_stepped(self) -> None:
        """The node's clock has been set: whoever waits for an instant of the stage looks again."""
        self._set_stage(replace(self.stage))

    # --- the bus ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follows the bus, ticks and sings, until cancelled. Engine errors are survived."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="mirror-follow")
            tasks.create_task(self._tick(), name="mirror-tick")
            tasks.create_task(self.canary.sing(), name="mirror-canary")

    async def _follow(self) -> None:
        outage = Outage("mirror", longest_s=1.0)
        channels = (*self._channels, self.canary.channel)
        while True:
            heed_cancellation()
            try:
                subscription = Subscription(self._client, channels, silence_s=SILENCE_S)
                async with aclosing(subscription.reports()) as reports:
                    async for report in reports:
                        heed_cancellation()
                        await self._take(report)
                        if not isinstance(report, Disconnected):
                            outage.over()
            except VALKEY_ERRORS as error:
                # subscribed, but the stage could not be read: begin again, so that nothing is skipped
                self._set_degraded(True)
                await asyncio.sleep(outage.failed(error))

    async def _take(self, report: Report) -> None:
        if isinstance(report, Disconnected):
            self._set_degraded(True)
        elif isinstance(report, Connected):
            await self._heal()
            await self._load_boards()
            self._set_degraded(False)
            self._ready.set()
        elif report.channel == self.canary.channel:
            await self._take_word(report.body)
        else:
            await self._take_payload(report)

    async def _take_word(self, word: bytes) -> None:
        """The canary's: whatever was published before it has come by now, or never will."""
        try:
            stored = self.canary.heard(word)
        except msgspec.DecodeError as error:
            self._skip("canary", error)
            return
        recent = self._recent
        if not stored.epoch:
            return  # the engine has lost its data: what is known here stays on show
        if stored.epoch != recent.epoch or stored.offset > recent.offset:
            log.warning("bus_lost_events", known=recent.offset, stored=stored.offset, epoch=stored.epoch)
            await self._heal()

    async def _take_payload(self, payload: Payload) -> None:
        channel = self._channels[payload.channel]
        if channel == CONTESTANTS:
            self._take_bundle(payload.body)
            return
        try:
            message = Prepared.received(payload.body)
        except (msgspec.DecodeError, KeyError) as error:
            self._skip(channel, error)
            return
        if message.channel is None:
            message.channel = channel
        if message.offset is not None and channel == "show":
            await self._take_event(message, message.offset)
            return
        if channel != "results":
            self._on_message(message)
        else:
            self._take_board(message)

    def _take_board(self, board: Prepared) -> None:
        sent = self._boards.take(self.stage, board)
        if sent is not None:
            self._on_message(sent)

    def _take_bundle(self, body: bytes) -> None:
        try:
            # copies: one of them must not hold the whole bundle in memory
            bundle = {name: bytes(envelope) for name, envelope in _bundle.decode(body).items()}
            self._boards.keep(bundle)
            for name in bundle:
                if self._followed(name) and (sent := self._boards.contestant(self.stage, name)) is not None:
                    self._on_message(sent)
        except (msgspec.DecodeError, KeyError) as error:
            self._skip(CONTESTANTS, error)

    async def _take_event(self, message: Prepared, offset: int) -> None:
        recent = self._recent
        if message.epoch != recent.epoch or offset > recent.offset + 1:
            await self._heal()
            return
        if offset <= recent.offset:
            return
        if offset > self.stage.offset:
            # first the stage, then its event: whoever acts on VOTING_OPEN must find the window here
            stage = await self._store.load()
            if stage.epoch != recent.epoch:
                await self._heal()
                return
            self._set_stage(stage)
        recent.append(message)
        self._on_message(message)

    async def _heal(self) -> None:
        """Comes level with the store: what was missed is delivered once and in order, and if that is no longer
        to be had, the stage as it is."""
        recent = self._recent
        stage, events = await self._store.load_recent(recent.size)
        # before the very first commit there is no epoch: position 0 of any
        known_epoch, known = recent.epoch or stage.epoch, recent.offset
        recent.reset(stage.epoch, stage.offset, events)
        missed = recent.since(known_epoch, known)
        if stage != self.stage:
            self._set_stage(stage)
        if not self._ready.is_set():
            return
        if missed is not None:
            for message in missed:
                self._on_message(message)
        else:
            log.warning("mirror_position_lost", epoch=stage.epoch, offset=stage.offset, known=known)
            for message in self.snapshot("show"):
                self._on_message(message)

    async def _load_boards(self) -> None:
        """What joiners are sent until the next boards come, and of contestants for whom nothing changes. Who was here
        while the node was cut off is sent it as well."""
        kept: Any = await self._client.mget(self._keys.board, self._keys.standing)
        board, standing = kept
        if self.stage.window is None:
            return
        told: list[Prepared | None] = []
        with contextlib.suppress(msgspec.DecodeError, KeyError):  # of another version: the next boards come in a second
            if board is not None:
                told.append(self._boards.take(self.stage, Prepared.received(board)))
            if standing is not None:
                contestants = await asyncio.to_thread(self._contestants, standing)  # of thousands it takes a while
                self._boards.keep(contestants)
                told += [self._boards.contestant(self.stage, name) for name in contestants if self._followed(name)]
        if self._ready.is_set():
            for message in filter(None, told):
                self._on_message(message)

    def _set_stage(self, stage: Stage) -> None:
        before, self.stage = self.stage, stage
        self._withheld.heed(stage)
        for board in self._boards.moved(before, stage, self._followed):
            self._on_message(board)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _set_degraded(self, degraded: bool) -> None:
        if degraded == self.degraded:
            return
        self.degraded = degraded
        if self._on_degraded is not None:
            self._on_degraded(degraded)
        self._on_message(self.snapshot("show")[0])

    def _skip(self, channel: str, error: Exception) -> None:
        """Something on the bus that this version does not know: said once a kind, and passed over."""
        kind = f"{channel}: {error}"[:200]
        if kind not in self._skipped and len(self._skipped) < 64:
            self._skipped.add(kind)
            log.warning("bus_message_skipped", channel=channel, error=str(error))

    # --- the countdown ----------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        window_id, after_ms = "", 0
        while True:
            stage, now_ms = self.stage, self._clock.now_ms()
            window = stage.window if stage.voting == "OPEN" else None
            if window is None:
                await self.wait_change(stage)
                continue
            if window.window_id != window_id or now_ms < after_ms:  # or the clock has gone back
                window_id, after_ms = window.window_id, max(window.opens_ms - 1, now_ms - STALE_TICK_MS)
            at_ms = next_instant(window.closes_ms, after_ms)
            if at_ms is None:
                await self.wait_change(stage)
            elif at_ms > now_ms:
                # not wait_for: in Python 3.11 it may swallow a cancellation that meets the change
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout((at_ms - now_ms) / 1000):
                        await self.wait_change(stage)
            else:
                self._send_ticks(window.closes_ms, after_ms, now_ms)
                after_ms = now_ms

    def _send_ticks(self, closes_ms: int, after_ms: int, now_ms: int) -> None:
        for tick in ticks(closes_ms, max(after_ms, now_ms - STALE_TICK_MS), now_ms):
            if tick.time_update:
                self._on_message(Prepared.of(TimeUpdate(tick.remaining, iso(closes_ms)), now_ms, "show"))
            if tick.countdown:
                self._on_message(Prepared.of(Countdown(tick.remaining), now_ms, "show"))
