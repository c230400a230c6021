"""BroadcastSyncClient: one connection to the show that survives the network, and votes that are counted once.

    async with BroadcastSyncClient("ws://127.0.0.1:8000/voting/sync", token=token) as show:
        ack = await show.vote("c07")
        async for message in show:
            print(message.type, message.data)

docs/sdk.md has the behaviours one by one, beside those of the JavaScript SDK.
"""

from __future__ import annotations

import asyncio
import logging
import random as chance
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Literal
from uuid import uuid4

import msgspec
from msgspec import UNSET, Raw

from broadcast_sync.wire.client import ClientMessage, CueMessage, Ping, RequestUpdate, Vote
from broadcast_sync.wire.server import (
    SERVER_MESSAGES,
    CueAck,
    Error,
    LiveResults,
    ResultsReady,
    StateUpdate,
    VoteAck,
    WindowInfo,
)
from broadcast_sync.wire.times import parse_iso
from clients.python.clock import ServerClock, local_ms
from clients.python.connection import BACKOFF, HEARTBEAT, Backoff, Heartbeat
from clients.python.countdown import Countdown, whole_seconds
from clients.python.errors import ConnectionEnded, Refused
from clients.python.inbox import Inbox
from clients.python.link import Link
from clients.python.messages import Message, Misshapen, decode, encode, with_acks
from clients.python.requests import CUE_PATIENCE, PATIENCE, Patience, Requests
from clients.python.show import Show
from clients.python.subscriptions import Subscriptions
from clients.python.timers import Timers
from clients.python.tokens import CODES, Refresh, Tokens

NO_WINDOW_MS: Final = 30_000.0
"""How long a vote is tried while no window is open."""
CLOCK_BURST_S: Final = (0.0, 0.12, 0.3, 0.7, 1.5)
"""The first samples of a connection follow each other at once, so that the countdown is right from its first second."""
CLOCK_AGAIN_S: Final = 60.0
"""Clocks drift by some ms a minute; one sample a minute and client is cheap for the server."""
LOST_POSITION: Final = 4004
TOKEN_OVER: Final = 4003
INVALID_TOKEN: Final = 4500
UNKNOWN_KEPT: Final = 64
"""So many unknown types are told apart; a server that makes them up must not fill the memory."""

_log: Final = logging.getLogger("broadcast_sync.client")


class BroadcastSyncClient:
    """One client of a server. Use it with `async with`, or call `start` and `close`.

    Connects again by itself with full jitter, except after a close code of 4500-4999; says AUTH, asks for what it
    missed, drops what came twice. `state`, `board` and `results` are the last of their kind, or None.
    Messages come to callbacks (`on`) as they arrive, and to one `async for` through a queue of `inbox` messages;
    a reader too slow for it gets the whole state instead of what it missed. One with an `offset` is an event of its
    channel, and comes once and in order; after a reconnect `state` may be ahead of those that were missed, and never
    goes back. One without is a snapshot or a tick, and may come again.

    `token` None only watches. `refresh_token` gives the next one, shortly before it ends and when it is refused, for
    the same connection; votes wait for it.
    """

    def __init__(
        self, url: str, *, token: str | None = None, refresh_token: Refresh | None = None,
        channels: Sequence[str] = ("show", "results"), inbox: int = 256, patience: Patience = PATIENCE,
        backoff: Backoff = BACKOFF, heartbeat: Heartbeat = HEARTBEAT, compression: bool = True,
        proxy: str | Literal[True] | None = True, random: Callable[[], float] = chance.random,
    ) -> None:
        self._link = Link(
            url, self, backoff=backoff, heartbeat=heartbeat, compression=compression, proxy=proxy, random=random
        )
        self._tokens = Tokens(
            token, refresh_token, self, answer_s=patience.answer_s, backoff=backoff, random=random
        )
        self._subscriptions = Subscriptions(channels, self, answer_s=patience.answer_s, random=random)
        self._votes = Requests(self._send_request, self.now_ms, random, patience)
        self._cues = Requests(self._send_request, self.now_ms, random, CUE_PATIENCE)
        self._inbox = Inbox(inbox, self._reader_back)
        self._reading = False
        self._clock = ServerClock()
        self._pings = Timers()
        self._random = random
        self._countdown = Countdown(lambda: self.remaining_s, self._second)
        self._show = Show()
        self._callbacks: dict[str, list[Callable[[Message], None]]] = {}
        self._second_callbacks: list[Callable[[int], None]] = []
        self._settled = asyncio.Event()
        """Set while live, and when that will not be any more."""
        self._refusal: Refused | None = None
        self._told: ResultsReady | None = None
        """The result that was handed on last."""
        self._unreadable = 0
        self._unknown: set[str] = set()

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

    async def wait_live(self) -> None:
        """Until connected, and with a token until it was accepted. Raises Refused or ConnectionEnded if that will not
        be."""
        await self._settled.wait()
        if self._link.ended is not None:
            raise self._link.ended
        if self._refusal is not None:
            raise self._refusal

    @property
    def live(self) -> bool:
        """True while connected, and with a token accepted."""
        return self._link.open and (self._tokens.token is None or self._tokens.accepted)

    @property
    def ended(self) -> ConnectionEnded | None:
        """Why there will be no further connection; None while there may be."""
        return self._link.ended

    @property
    def connections(self) -> int:
        """How often a connection came up: 1 is the first."""
        return self._link.connections

    def set_token(self, token: str | None) -> None:
        """Uses another token from now on, on the same connection."""
        self._refusal = None
        self._settled.clear()
        self._tokens.set(token)
        self._look()

    # --- what it knows ----------------------------------------------------------------------------------------

    @property
    def state(self) -> StateUpdate | None:
        return self._show.state

    @property
    def board(self) -> LiveResults | None:
        return self._show.board

    @property
    def results(self) -> ResultsReady | None:
        return self._show.results

    @property
    def remaining(self) -> dict[str, int] | None:
        """Votes left by type, as the server last told."""
        return self._show.remaining

    @property
    def window(self) -> WindowInfo | None:
        """The voting window, open or the last one; None before any."""
        return self.state.window if self.state is not None else None

    def now_ms(self) -> float:
        """The server's time in Unix milliseconds, as well as it is known here. Small corrections are slewed."""
        return self._clock.now_ms()

    @property
    def clock_error_ms(self) -> float:
        """How far `now_ms` may be off; infinite before the first sample of a connection."""
        return self._clock.error_ms

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the announced close by the server's clock, never negative; None when no window is open."""
        state = self.state
        if state is None or state.voting != "OPEN" or state.window is None:
            return None
        return max(0.0, (parse_iso(state.window.closes_at) - self.now_ms()) / 1000.0)

    @property
    def seconds(self) -> int | None:
        """The whole seconds to show: 1 until the very end, then 0; None when no window is open."""
        return whole_seconds(self.remaining_s)

    # --- who is told ------------------------------------------------------------------------------------------

    def on(self, type: str, callback: Callable[[Message], None]) -> None:
        """Calls `callback` with every message of `type` (`*`: of any) as it arrives. It must not block; what it
        raises is logged and does not reach the connection."""
        self._callbacks.setdefault(type, []).append(callback)

    def on_second(self, callback: Callable[[int], None]) -> None:
        """Calls `callback` with the whole seconds left, each second of an open window, by the corrected local clock:
        no message need arrive for it. As `on` otherwise."""
        self._second_callbacks.append(callback)

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
        if self._link.ended is None and self._tokens.token is None:
            raise Refused("UNAUTHENTICATED", "there is no token to vote with")
        ack: VoteAck = await self._ask(self._votes, vote.id, vote, self._hard_close())
        return ack

    async def cue(
        self, event: str, data: dict[str, Any] | None = None, *, cue_id: str | None = None,
        expected_revision: int | None = None, timecode: str | None = None, timestamp: str | None = None,
        mode: Literal["take", "arm", "cancel", "confirm"] = "take", within_s: float = 5.0,
    ) -> CueAck:
        """Gives a cue (on /control/sync, role control). Sent again with the same cueId for `within_s`, then given
        up: a late cue is worse than none. Raises as `vote` does."""
        cue_id = cue_id or uuid4().hex
        cue = CueMessage(
            event, cue_id=cue_id, timestamp=timestamp, timecode=timecode, data=data or {},
            expected_revision=expected_revision, mode=mode,
        )
        until = self.now_ms() + within_s * 1000.0
        ack: CueAck = await self._ask(self._cues, cue_id, cue, lambda: until)
        return ack

    def request_update(self) -> bool:
        """Asks for the current state and board; False if there is no connection to ask on."""
        return self.say(RequestUpdate())

    async def _ask(self, requests: Requests, id: str, message: ClientMessage, deadline: Callable[[], float]) -> Any:
        if self._link.ended is not None:
            raise self._link.ended
        return await requests.add(id, encode(message), deadline)

    def _send_request(self, text: str) -> bool:
        return self.live and self._send(text)

    def _send(self, text: str) -> bool:
        """Any message takes along what has arrived since the last one."""
        if not self._link.open:
            return False
        acks = self._subscriptions.take_acks()
        return self._link.send(with_acks(text, acks) if acks else text)

    def _hard_close(self) -> Callable[[], float]:
        """The hard close of the window a vote is meant for, followed if the window is extended or closed early. Without
        an open one the server has the word, and some time for it."""
        window = self.window
        if window is None or self.state is None or self.state.voting not in ("OPEN", "CLOSING"):
            until = self.now_ms() + NO_WINDOW_MS
            return lambda: until
        meant, known = window.window_id, parse_iso(window.hard_closes_at)

        def deadline() -> float:
            now = self.window
            return parse_iso(now.hard_closes_at) if now is not None and now.window_id == meant else known

        return deadline

    # --- what its parts ask of it ------------------------------------------------------------------------------

    def say(self, message: ClientMessage) -> bool:
        """Sends a message of the protocol; False if there is no connection, or too much waits to be written."""
        return self._send(encode(message))

    def ping(self) -> None:
        """Asks for a sample of the server's clock."""
        self.say(Ping(local_ms()))

    def token_gone(self, code: str) -> None:
        """Who waits for the token learns that it is gone; the client goes on watching."""
        self._refusal = Refused(code, "the token is of no use any more, and there is no other")
        self._votes.fail_all(self._refusal)
        self._cues.fail_all(self._refusal)
        self._settled.set()

    # --- what the link tells ----------------------------------------------------------------------------------

    def opened(self) -> None:
        """A new connection may lead to another machine: its clock is measured anew. What was missed is asked for."""
        self._unreadable = 0
        self._tokens.opened()
        self._subscriptions.opened()
        self._clock.restart()
        self._sample_clock(0)
        self._look()

    def quiet(self) -> None:
        """Nothing came for a while."""
        self.ping()

    def lost(self, code: int | None) -> None:
        """Stops what needs a connection."""
        if self._link.ended is None and self._refusal is None:
            self._settled.clear()
        self._tokens.lost()
        self._subscriptions.lost()
        self._pings.cancel_all()
        if code == LOST_POSITION:
            self._subscriptions.forget()
        elif code == TOKEN_OVER:
            self._tokens.refused("TOKEN_EXPIRED")

    def finished(self, why: ConnectionEnded) -> None:
        """Everybody who waits learns that nothing will come."""
        self._tokens.close()
        self._subscriptions.lost()
        self._pings.cancel_all()
        self._countdown.stop()
        self._votes.fail_all(why)
        self._cues.fail_all(why)
        self._inbox.end()
        self._settled.set()

    def received(self, frame: str | bytes) -> None:
        """Takes one frame: drops duplicates, answers who waits, hands the message on."""
        try:
            message = decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._leave_out(str(error))
            return
        history = self._is_history(message)
        # the place moves first: a message that cannot be read must not be asked for again and again
        if not self._subscriptions.take(message.type, message.channel, message.epoch, message.offset):
            return
        if isinstance(message.data, Misshapen):
            self._leave_out(f"{message.type}: {message.data.reason}")
            return
        if self._is_known_result(message):
            return
        if message.type not in SERVER_MESSAGES:
            self._report(message.type)
        if not history:
            self._show.take(message.data)
        handler = _HANDLERS.get(message.type)
        if handler is not None:
            handler(self, message.data)
        self._hand_on(message)
        self._countdown.watch()

    def _is_history(self, message: Message) -> bool:
        """A replay brings states older than the snapshot that greeted the client."""
        if not isinstance(message.data, StateUpdate) or message.epoch is None:
            return False
        known = self._subscriptions.epoch(message.channel)
        return known == message.epoch and message.data.revision < self._show.revision

    def _is_known_result(self, message: Message) -> bool:
        """Each snapshot brings the result again; it is told once."""
        if message.type != "RESULTS_READY":
            return False
        known, self._told = self._told, message.data
        return message.offset is None and message.data == known

    def _leave_out(self, why: str) -> None:
        self._unreadable += 1
        if self._unreadable == 1:  # one line a connection
            _log.warning("a message that cannot be read was left out: %s", why)

    def _report(self, type: str) -> None:
        if type not in self._unknown and len(self._unknown) < UNKNOWN_KEPT:
            self._unknown.add(type)
            _log.warning("this SDK does not know messages of type %s; they are handed on as they are", type)

    def _hand_on(self, message: Message) -> None:
        for callback in (*self._callbacks.get(message.type, ()), *self._callbacks.get("*", ())):
            try:
                callback(message)
            except Exception:
                # the application's fault must not cost it the connection
                _log.exception("a callback for %s failed", message.type)
        if self._reading:
            self._inbox.put(message)

    def _second(self, seconds: int) -> None:
        for callback in tuple(self._second_callbacks):
            try:
                callback(seconds)
            except Exception:
                # as above; and the countdown goes on
                _log.exception("a callback for the countdown failed")

    def _reader_back(self) -> None:
        """The reader was too slow and has lost messages: the whole state follows, as for somebody who is new."""
        _log.warning("the reader was too slow: messages were dropped, the whole state follows")
        self._told = None
        self._subscriptions.ask_anew()

    # --- what arrives -----------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Whoever waits for `live` is told; what waited for it goes out."""
        if self.live:
            self._refusal = None if self._tokens.accepted else self._refusal
            self._settled.set()
            self._votes.flush()
            self._cues.flush()

    def _sample_clock(self, number: int) -> None:
        self.ping()
        if number + 1 < len(CLOCK_BURST_S):
            wait_s = CLOCK_BURST_S[number + 1] - CLOCK_BURST_S[number]
        else:
            wait_s = CLOCK_AGAIN_S * (0.75 + 0.5 * self._random())
        self._pings.after("clock", wait_s, lambda: self._sample_clock(number + 1))

    def _on_welcome(self, data: Any) -> None:
        self._clock.guess(parse_iso(data.server_time))

    def _on_auth_ok(self, data: Any) -> None:
        self._tokens.ok(data.expires_at)
        self._look()

    def _on_pong(self, data: Any) -> None:
        self._clock.add(data.t0, data.t1, data.t2, local_ms())

    def _on_subscribed(self, data: Any) -> None:
        self._subscriptions.subscribed(data)

    def _on_vote_ack(self, data: Any) -> None:
        self._votes.answer(data.id, data)

    def _on_cue_ack(self, data: Any) -> None:
        self._cues.answer(data.cue_id, data)

    def _on_reconnect(self, data: Any) -> None:
        self._link.move(max(0.0, data.after_ms / 1000.0))

    def _on_error(self, data: Error) -> None:
        id = data.id if isinstance(data.id, str) else None
        cue_id = data.cue_id if isinstance(data.cue_id, str) else None
        if id is not None and data.code == "TOKEN_EXPIRED" and self._tokens.renewable:
            self._tokens.refused(data.code)  # the vote stays and goes out again with the next token
        elif id is not None and self._votes.refuse(id, data):
            pass
        elif cue_id is not None and self._cues.refuse(cue_id, data):
            pass
        elif data.code in CODES:
            if not self._tokens.accepted or data.code == "TOKEN_EXPIRED":
                self._tokens.refused(data.code)
        elif id is None and cue_id is None and not data.retryable:
            self._subscriptions.refused()


_HANDLERS: Final[dict[str, Callable[[BroadcastSyncClient, Any], None]]] = {
    "WELCOME": BroadcastSyncClient._on_welcome,
    "AUTH_OK": BroadcastSyncClient._on_auth_ok,
    "PONG": BroadcastSyncClient._on_pong,
    "SUBSCRIBED": BroadcastSyncClient._on_subscribed,
    "VOTE_ACK": BroadcastSyncClient._on_vote_ack,
    "CUE_ACK": BroadcastSyncClient._on_cue_ack,
    "RECONNECT": BroadcastSyncClient._on_reconnect,
    "ERROR": BroadcastSyncClient._on_error,
}
