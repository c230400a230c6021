"""BroadcastSyncClient: one connection to the show that survives the network, and votes that are counted once.

    async with BroadcastSyncClient("ws://127.0.0.1:8000/voting/sync", token=token) as show:
        ack = await show.vote("c07")
        async for message in show:
            print(message.type, message.data)
"""

from __future__ import annotations

import asyncio
import logging
import random as chance
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Literal
from uuid import uuid4

import msgspec
from msgspec import UNSET, Raw

from broadcast_sync.wire.client import CueMessage, Ping, Position, RequestUpdate, Subscribe, Vote
from broadcast_sync.wire.delivery import Delivery
from broadcast_sync.wire.server import CueAck, Error, LiveResults, ResultsReady, StateUpdate, VoteAck, WindowInfo
from broadcast_sync.wire.times import parse_iso
from clients.python.connection import BACKOFF, Backoff
from clients.python.errors import ConnectionEnded
from clients.python.inbox import Inbox
from clients.python.link import LOST_POSITION, Link, Token
from clients.python.messages import Message, decode, encode, with_acks
from clients.python.offset import ClockOffset
from clients.python.positions import Positions
from clients.python.requests import PATIENCE, Patience, Requests

NO_WINDOW_MS: Final = 30_000.0
"""How long a vote is tried while no window is known."""
CLOCK_BURST_S: Final = (0.0, 0.1, 0.3, 1.0)
CLOCK_AGAIN_S: Final = 60.0
ACK_WITHIN_S: Final = 5.0
"""What must arrive is acknowledged within this, each client in its own time: a million at once would be a flood."""
GREETED: Final = frozenset({"show", "results", "control"})
"""Channels that the server subscribes a new connection to by itself, with a snapshot."""
TOKEN_CODES: Final = frozenset({"UNAUTHENTICATED", "TOKEN_EXPIRED"})
WALL_MS: Final = time.time() * 1000.0 - time.monotonic() * 1000.0
"""Makes the monotonic clock look like Unix milliseconds; a step of the wall clock after the start moves nothing."""

_log: Final = logging.getLogger("broadcast_sync.client")


def local_ms() -> float:
    """Steady Unix milliseconds of this machine."""
    return time.monotonic() * 1000.0 + WALL_MS


class BroadcastSyncClient:
    """One client of a server. Use it with `async with`, or call `start` and `close`.

    Connects again by itself with full jitter, except after a close code of 4500-4999; says AUTH, asks for what it
    missed, drops what came twice. `state`, `board` and `results` are the last of their kind, or None.
    Messages come to callbacks (`on`) as they arrive, and to one `async for` through a queue of `inbox` messages;
    a reader too slow for it gets the whole state instead of what it missed. `token` None only watches.
    """

    def __init__(
        self, url: str, *, token: Token | None = None, channels: Sequence[str] = ("show",), inbox: int = 256,
        patience: Patience = PATIENCE, backoff: Backoff = BACKOFF, compression: bool = True,
        proxy: str | Literal[True] | None = True, random: Callable[[], float] = chance.random,
    ) -> None:
        self._link = Link(
            url, self, token=token, backoff=backoff, compression=compression, proxy=proxy, random=random
        )
        self._channels = list(channels)
        self._inbox = Inbox(inbox, self._reader_back)
        self._reading = False
        self._positions = Positions()
        self._clock = ClockOffset()
        self._pings: asyncio.TimerHandle | None = None
        self._random = random
        self._unacked: dict[str, Position] = {}
        """How far we have got in channels since the server was told last."""
        self._ack: asyncio.TimerHandle | None = None
        self._requests = Requests(self._send_request, self.now_ms, random, patience)
        self._callbacks: dict[str, list[Callable[[Message], None]]] = {}
        self._live = asyncio.Event()
        self._unreadable = 0
        self.state: StateUpdate | None = None
        self.board: LiveResults | None = None
        self.results: ResultsReady | None = None
        self.remaining: dict[str, int] | None = None
        """Votes left by type, as the server last told."""

    # --- life -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> BroadcastSyncClient:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        """Begins to connect, in the background."""
        self._link.start()

    async def close(self) -> None:
        """Ends the connection for good. Votes and cues without an answer raise ConnectionEnded."""
        await self._link.close()
        self._stop_pings()

    async def wait_live(self) -> None:
        """Until connected, and with a token until it was accepted. Raises ConnectionEnded if that will not be."""
        await self._live.wait()
        if self._link.ended is not None:
            raise self._link.ended

    @property
    def live(self) -> bool:
        """True while connected, and with a token accepted."""
        return self._link.live

    @property
    def ended(self) -> ConnectionEnded | None:
        """Why there will be no further connection; None while there may be."""
        return self._link.ended

    @property
    def connections(self) -> int:
        """How often a connection came up: 1 is the first."""
        return self._link.connections

    # --- what it knows ----------------------------------------------------------------------------------------

    def now_ms(self) -> float:
        """The server's time in Unix milliseconds, as well as it is known here; steady between samples."""
        return local_ms() + self._clock.offset_ms

    @property
    def clock_error_ms(self) -> float:
        """How far `now_ms` may be off: half the best round trip; infinite before the first."""
        return self._clock.error_ms

    @property
    def window(self) -> WindowInfo | None:
        """The voting window, open or the last one; None before any."""
        return self.state.window if self.state is not None else None

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the announced close by the server's clock, never negative; None when no window is open."""
        state = self.state
        if state is None or state.voting != "OPEN" or state.window is None:
            return None
        return max(0.0, (parse_iso(state.window.closes_at) - self.now_ms()) / 1000.0)

    def on(self, type: str, callback: Callable[[Message], None]) -> None:
        """Calls `callback` with every message of `type` (`*`: of any) as it arrives. It must not block; what it
        raises is logged and does not reach the connection."""
        self._callbacks.setdefault(type, []).append(callback)

    def __aiter__(self) -> AsyncIterator[Message]:
        """All messages from now on, in order, until the client is closed. For one reader."""
        self._reading = True
        return self._read()

    async def _read(self) -> AsyncIterator[Message]:
        while (message := await self._inbox.get()) is not None:
            yield message

    # --- what it does -----------------------------------------------------------------------------------------

    async def vote(
        self, contestant_id: str, vote_type: str = "free", vote_count: int = 1, *,
        id: str | None = None, metadata: Any = UNSET,
    ) -> VoteAck:
        """Casts a vote and returns its ack: it is counted, once, and durable.

        It is sent again with the same id until it is acked or refused, at the latest until the window's hard
        close. Raises Refused, Unconfirmed, Overloaded, ConnectionEnded.
        """
        raw = UNSET if metadata is UNSET else Raw(msgspec.json.encode(metadata))
        vote = Vote(id or uuid4().hex, contestant_id, vote_type, vote_count, raw)
        ack: VoteAck = await self._ask(vote.id, encode(vote), self._hard_close())
        return ack

    async def cue(
        self, event: str, data: dict[str, Any] | None = None, *, cue_id: str | None = None,
        expected_revision: int | None = None, timecode: str | None = None, within_s: float = 5.0,
    ) -> CueAck:
        """Gives a cue (on /control/sync, role control). Sent again with the same cueId for `within_s`, then given
        up: a late cue is worse than none. Raises as `vote` does."""
        cue_id = cue_id or uuid4().hex
        cue = CueMessage(
            event, cue_id=cue_id, data=data or {}, expected_revision=expected_revision, timecode=timecode
        )
        until = self.now_ms() + within_s * 1000.0
        ack: CueAck = await self._ask(cue_id, encode(cue), lambda: until)
        return ack

    def request_update(self) -> bool:
        """Asks for the current state and board; False if there is no connection to ask on."""
        return self._send(encode(RequestUpdate()))

    async def _ask(self, id: str, text: str, deadline_ms: Callable[[], float]) -> Any:
        if self._link.ended is not None:
            raise self._link.ended
        return await self._requests.add(id, text, deadline_ms)

    def _send_request(self, text: str) -> bool:
        return self._link.live and self._send(text)

    def _send(self, text: str) -> bool:
        """Any message takes along what has arrived since the last one."""
        sent = self._link.send(with_acks(text, self._unacked) if self._unacked else text)
        if sent:
            self._nothing_to_ack()
        return sent

    def _acknowledge(self, channel: str, position: Position) -> None:
        """Without a message of its own in the meantime, a PING tells the server within `ACK_WITHIN_S`."""
        self._unacked[channel] = position
        if self._ack is None:
            wait_s = ACK_WITHIN_S * self._random()
            self._ack = asyncio.get_running_loop().call_later(wait_s, lambda: self._send(encode(Ping(local_ms()))))

    def _nothing_to_ack(self) -> None:
        self._unacked.clear()
        if self._ack is not None:
            self._ack.cancel()
            self._ack = None

    def _hard_close(self) -> Callable[[], float]:
        """The hard close of the window a vote is meant for, followed if the window is extended or closed early."""
        window = self.window
        if window is None or self.state is None or self.state.voting not in ("OPEN", "CLOSING"):
            until = self.now_ms() + NO_WINDOW_MS
            return lambda: until
        meant, known = window.window_id, parse_iso(window.hard_closes_at)

        def deadline() -> float:
            now = self.window
            return parse_iso(now.hard_closes_at) if now is not None and now.window_id == meant else known

        return deadline

    # --- what the link tells ----------------------------------------------------------------------------------

    def opened(self) -> None:
        """A new connection may lead to another machine: its clock is measured anew."""
        self._clock.restart()
        self._positions.resume(self._channels)
        self._unreadable = 0
        self._ping(0)

    def established(self) -> None:
        """Asks for what was missed; what waited for a connection goes out."""
        self._live.set()
        since = self._positions.since()
        wanted = [name for name in self._channels if name in since or name not in GREETED]
        if wanted:
            self._send(encode(Subscribe(wanted, since)))
        self._requests.flush()

    def lost(self, code: int | None) -> None:
        """Stops what needs a connection."""
        if self._link.ended is None:
            self._live.clear()
        self._stop_pings()
        if code == LOST_POSITION:
            self._positions.forget()

    def finished(self, why: ConnectionEnded) -> None:
        """Everybody who waits learns that nothing will come."""
        self._stop_pings()
        self._requests.fail_all(why)
        self._inbox.end()
        self._live.set()

    def received(self, frame: str | bytes) -> None:
        """Takes one frame: drops duplicates, answers who waits, hands the message on."""
        try:
            message = decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._unreadable += 1
            if self._unreadable == 1:  # one line a connection
                _log.warning("a message that cannot be read was left out: %s", error)
            return
        channel, epoch, offset = message.channel, message.epoch, message.offset
        if channel is not None and epoch is not None and offset is not None:
            if not self._positions.is_new(channel, epoch, offset):
                return
            if message.delivery is Delivery.MUST_ARRIVE:
                self._acknowledge(channel, Position(epoch, offset))
        handler = _HANDLERS.get(message.type)
        if handler is not None:
            handler(self, message.data)
        self._hand_on(message)

    def _hand_on(self, message: Message) -> None:
        for callback in (*self._callbacks.get(message.type, ()), *self._callbacks.get("*", ())):
            try:
                callback(message)
            except Exception:
                # the application's fault must not cost it the connection
                _log.exception("a callback for %s failed", message.type)
        if self._reading:
            self._inbox.put(message)

    def _reader_back(self) -> None:
        """The reader was too slow and has lost messages: the whole state follows, as for somebody who is new."""
        _log.warning("the reader was too slow: messages were dropped, the whole state follows")
        self._positions.forget()
        self.request_update()

    # --- what arrives -----------------------------------------------------------------------------------------

    def _ping(self, number: int) -> None:
        self._send(encode(Ping(local_ms())))
        gap = CLOCK_BURST_S[number + 1] if number + 1 < len(CLOCK_BURST_S) else CLOCK_AGAIN_S
        self._pings = asyncio.get_running_loop().call_later(gap, self._ping, number + 1)

    def _stop_pings(self) -> None:
        if self._pings is not None:
            self._pings.cancel()
            self._pings = None
        self._nothing_to_ack()

    def _on_welcome(self, data: Any) -> None:
        self._clock.guess(parse_iso(data.server_time), local_ms())

    def _on_auth_ok(self, data: Any) -> None:
        self.remaining = data.remaining
        self._link.accepted()

    def _on_pong(self, data: Any) -> None:
        self._clock.add(data.t0, data.t1, data.t2, local_ms())

    def _on_subscribed(self, data: Any) -> None:
        self._positions.subscribed(data.channel, data.epoch, data.offset, recovered=data.recovered)
        if not data.recovered:  # the snapshot that follows stands for this position
            self._acknowledge(data.channel, Position(data.epoch, data.offset))

    def _on_state(self, data: Any) -> None:
        self.state = data
        if data.voting != "CLOSED":
            self.results = None

    def _on_board(self, data: Any) -> None:
        self.board = data

    def _on_results(self, data: Any) -> None:
        self.results = data

    def _on_vote_ack(self, data: Any) -> None:
        self.remaining = data.remaining
        self._requests.answer(data.id, data)

    def _on_cue_ack(self, data: Any) -> None:
        self._requests.answer(data.cue_id, data)

    def _on_reconnect(self, data: Any) -> None:
        self._link.move(max(0.0, data.after_ms / 1000.0))

    def _on_error(self, data: Error) -> None:
        for id in (data.id, data.cue_id):
            if isinstance(id, str):
                self._requests.refuse(id, data)
                return
        if data.code in TOKEN_CODES:
            self._link.token_refused(data.message)
        elif self._positions.resuming:
            # it may have been SUBSCRIBE that was refused: better the whole state again than none
            self._positions.forget()
            self.request_update()


_HANDLERS: Final[dict[str, Callable[[BroadcastSyncClient, Any], None]]] = {
    "WELCOME": BroadcastSyncClient._on_welcome,
    "AUTH_OK": BroadcastSyncClient._on_auth_ok,
    "PONG": BroadcastSyncClient._on_pong,
    "SUBSCRIBED": BroadcastSyncClient._on_subscribed,
    "STATE_UPDATE": BroadcastSyncClient._on_state,
    "LIVE_RESULTS": BroadcastSyncClient._on_board,
    "RESULTS_READY": BroadcastSyncClient._on_results,
    "VOTE_ACK": BroadcastSyncClient._on_vote_ack,
    "CUE_ACK": BroadcastSyncClient._on_cue_ack,
    "RECONNECT": BroadcastSyncClient._on_reconnect,
    "ERROR": BroadcastSyncClient._on_error,
}
