"""The conversation with a server over its connections: who the client is, what it missed, what it asks and what comes
back. What of it is for the application goes to whoever owns it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from broadcast_sync.wire.client import ClientMessage, Ping
from broadcast_sync.wire.server import SERVER_MESSAGES, Error, ResultsReady, StateUpdate, WindowInfo
from broadcast_sync.wire.times import parse_iso
from clients.python.clock import ServerClock, local_ms
from clients.python.connection import Backoff, Heartbeat
from clients.python.countdown import Countdown
from clients.python.errors import ConnectionEnded, Refused
from clients.python.link import Link
from clients.python.messages import Message, Misshapen, decode, encode, with_acks
from clients.python.requests import CUE_PATIENCE, Patience, Requests
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


class Owner(Struct, frozen=True):
    """Whom a conversation tells: of each message that was taken, of each second of an open window, and of the end."""

    message: Callable[[Message], None]
    second: Callable[[int], None]
    end: Callable[[], None]


class Conversation:
    """Of one client. All calls come from the event loop, and none blocks."""

    def __init__(
        self, url: str, owner: Owner, *, token: str | None, refresh_token: Refresh | None, channels: Sequence[str],
        patience: Patience, backoff: Backoff, heartbeat: Heartbeat, compression: bool,
        proxy: str | Literal[True] | None, random: Callable[[], float],
    ) -> None:
        self.clock: Final = ServerClock()
        self.show: Final = Show()
        self.link: Final = Link(
            url, self, backoff=backoff, heartbeat=heartbeat, compression=compression, proxy=proxy, random=random
        )
        self.tokens: Final = Tokens(
            token, refresh_token, self, answer_s=patience.answer_s, backoff=backoff, random=random
        )
        self.subscriptions: Final = Subscriptions(channels, self, answer_s=patience.answer_s, random=random)
        self.votes: Final = Requests(self._send_request, self.now_ms, random, patience)
        self.cues: Final = Requests(self._send_request, self.now_ms, random, CUE_PATIENCE)
        self._owner = owner
        self._countdown = Countdown(self.remaining_s, owner.second)
        self._pings = Timers()
        self._random = random
        self._settled = asyncio.Event()
        """Set while live, and when that will not be any more."""
        self._refusal: Refused | None = None
        self._told: ResultsReady | None = None
        """The result that was handed on last."""
        self._unreadable = 0
        self._unknown: set[str] = set()

    # --- what it knows ----------------------------------------------------------------------------------------

    @property
    def live(self) -> bool:
        """True while connected, and with a token accepted."""
        return self.link.open and (self.tokens.token is None or self.tokens.accepted)

    async def wait_live(self) -> None:
        """Until live. Raises Refused or ConnectionEnded if that will not be."""
        await self._settled.wait()
        if self.link.ended is not None:
            raise self.link.ended
        if self._refusal is not None:
            raise self._refusal

    def now_ms(self) -> float:
        """The server's time in Unix milliseconds, as well as it is known here."""
        return self.clock.now_ms()

    def remaining_s(self) -> float | None:
        """Seconds until the announced close, never negative; None when no window is open."""
        state = self.show.state
        if state is None or state.voting != "OPEN" or state.window is None:
            return None
        return max(0.0, (parse_iso(state.window.closes_at) - self.now_ms()) / 1000.0)

    # --- what is asked of it ----------------------------------------------------------------------------------

    async def ask(self, requests: Requests, id: str, message: ClientMessage, deadline: Callable[[], float]) -> Any:
        """The answer to a vote or a cue; raises what `Requests.add` and its future do, and ConnectionEnded."""
        if self.link.ended is not None:
            raise self.link.ended
        return await requests.add(id, encode(message), deadline)

    def set_token(self, token: str | None) -> None:
        """Another token from now on, on the same connection."""
        self._refusal = None
        self._settled.clear()
        self.tokens.set(token)
        self._look()

    def start_over(self) -> None:
        """Asks for the whole state, as somebody who is new does; a result that is known is told again."""
        self._told = None
        self.subscriptions.ask_anew()

    def hard_close(self) -> Callable[[], float]:
        """The hard close of the window a vote is meant for, followed if the window is extended or closed early. Without
        an open one the server has the word, and some time for it."""
        window = self._window
        if window is None or self.show.state is None or self.show.state.voting not in ("OPEN", "CLOSING"):
            until = self.now_ms() + NO_WINDOW_MS
            return lambda: until
        meant, known = window.window_id, parse_iso(window.hard_closes_at)

        def deadline() -> float:
            now = self._window
            return parse_iso(now.hard_closes_at) if now is not None and now.window_id == meant else known

        return deadline

    @property
    def _window(self) -> WindowInfo | None:
        return None if self.show.state is None else self.show.state.window

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
        self.votes.fail_all(self._refusal)
        self.cues.fail_all(self._refusal)
        self._settled.set()

    def _send_request(self, text: str) -> bool:
        return self.live and self._send(text)

    def _send(self, text: str) -> bool:
        """Any message takes along what has arrived since the last one."""
        if not self.link.open:
            return False
        acks = self.subscriptions.take_acks()
        return self.link.send(with_acks(text, acks) if acks else text)

    # --- what the link tells ----------------------------------------------------------------------------------

    def opened(self) -> None:
        """A new connection may lead to another machine: its clock is measured anew. What was missed is asked for."""
        self._unreadable = 0
        self.tokens.opened()
        self.subscriptions.opened()
        self.clock.restart()
        self._sample_clock(0)
        self._look()

    def quiet(self) -> None:
        """Nothing came for a while."""
        self.ping()

    def lost(self, code: int | None) -> None:
        """Stops what needs a connection."""
        if self.link.ended is None and self._refusal is None:
            self._settled.clear()
        self.tokens.lost()
        self.subscriptions.lost()
        self._pings.cancel_all()
        if code == LOST_POSITION:
            self.subscriptions.forget()
        elif code == TOKEN_OVER:
            self.tokens.refused("TOKEN_EXPIRED")

    def finished(self, why: ConnectionEnded) -> None:
        """Everybody who waits learns that nothing will come."""
        self.tokens.close()
        self.subscriptions.lost()
        self._pings.cancel_all()
        self._countdown.stop()
        self.votes.fail_all(why)
        self.cues.fail_all(why)
        self._owner.end()
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
        if not self.subscriptions.take(message.type, message.channel, message.epoch, message.offset):
            return
        if isinstance(message.data, Misshapen):
            self._leave_out(f"{message.type}: {message.data.reason}")
            return
        if self._is_known_result(message):
            return
        if message.type not in SERVER_MESSAGES:
            self._report(message.type)
        if not history:
            self.show.take(message.data)
        handler = _HANDLERS.get(message.type)
        if handler is not None:
            handler(self, message.data)
        self._owner.message(message)
        self._countdown.watch()

    def _is_history(self, message: Message) -> bool:
        """A replay brings states older than the snapshot that greeted the client."""
        if not isinstance(message.data, StateUpdate) or message.epoch is None:
            return False
        known = self.subscriptions.epoch(message.channel)
        return known == message.epoch and message.data.revision < self.show.revision

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

    # --- what arrives -----------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Whoever waits for `live` is told; what waited for it goes out."""
        if self.live:
            self._refusal = None if self.tokens.accepted else self._refusal
            self._settled.set()
            self.votes.flush()
            self.cues.flush()

    def _sample_clock(self, number: int) -> None:
        self.ping()
        if number + 1 < len(CLOCK_BURST_S):
            wait_s = CLOCK_BURST_S[number + 1] - CLOCK_BURST_S[number]
        else:
            wait_s = CLOCK_AGAIN_S * (0.75 + 0.5 * self._random())
        self._pings.after("clock", wait_s, lambda: self._sample_clock(number + 1))

    def _on_welcome(self, data: Any) -> None:
        self.clock.guess(parse_iso(data.server_time))

    def _on_auth_ok(self, data: Any) -> None:
        self.tokens.ok(data.expires_at)
        self._look()

    def _on_pong(self, data: Any) -> None:
        self.clock.add(data.t0, data.t1, data.t2, local_ms())

    def _on_subscribed(self, data: Any) -> None:
        self.subscriptions.subscribed(data)

    def _on_vote_ack(self, data: Any) -> None:
        self.votes.answer(data.id, data)

    def _on_cue_ack(self, data: Any) -> None:
        self.cues.answer(data.cue_id, data)

    def _on_reconnect(self, data: Any) -> None:
        self.link.move(max(0.0, data.after_ms / 1000.0))

    def _on_error(self, data: Error) -> None:
        id = data.id if isinstance(data.id, str) else None
        cue_id = data.cue_id if isinstance(data.cue_id, str) else None
        if id is not None and data.code == "TOKEN_EXPIRED" and self.tokens.renewable:
            self.tokens.refused(data.code)  # the vote stays and goes out again with the next token
        elif id is not None and self.votes.refuse(id, data):
            pass
        elif cue_id is not None and self.cues.refuse(cue_id, data):
            pass
        elif data.code in CODES:
            if not self.tokens.accepted or data.code == "TOKEN_EXPIRED":
                self.tokens.refused(data.code)
        elif id is None and cue_id is None and not data.retryable:
            self.subscriptions.refused()


_HANDLERS: Final[dict[str, Callable[[Conversation, Any], None]]] = {
    "WELCOME": Conversation._on_welcome,
    "AUTH_OK": Conversation._on_auth_ok,
    "PONG": Conversation._on_pong,
    "SUBSCRIBED": Conversation._on_subscribed,
    "VOTE_ACK": Conversation._on_vote_ack,
    "CUE_ACK": Conversation._on_cue_ack,
    "RECONNECT": Conversation._on_reconnect,
    "ERROR": Conversation._on_error,
}
