"""BroadcastSyncClient: one connection to the show that survives the network, and votes that are counted once.

    async with BroadcastSyncClient("ws://127.0.0.1:8000/voting/sync", token=token) as show:
        ack = await show.vote("c07")
        async for message in show:
            print(message.type, message.data)

docs/sdk.md has the behaviours one by one, beside those of the JavaScript SDK.
"""

from __future__ import annotations

import logging
import random as chance
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Literal
from uuid import uuid4

import msgspec
from msgspec import UNSET, Raw

from broadcast_sync.wire.client import CueMessage, RequestUpdate, Vote
from broadcast_sync.wire.server import CueAck, LiveResults, ResultsReady, StateUpdate, VoteAck, WindowInfo
from clients.python.connection import BACKOFF, HEARTBEAT, Backoff, Heartbeat
from clients.python.conversation import Conversation, Owner
from clients.python.countdown import whole_seconds
from clients.python.errors import ConnectionEnded, Refused
from clients.python.inbox import Inbox
from clients.python.messages import Message
from clients.python.requests import PATIENCE, Patience
from clients.python.tokens import Refresh

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
        self._inbox = Inbox(inbox, self._reader_back)
        self._reading = False
        self._callbacks: dict[str, list[Callable[[Message], None]]] = {}
        self._second_callbacks: list[Callable[[int], None]] = []
        self._conversation = Conversation(
            url, Owner(self._hand_on, self._second, self._inbox.end), token=token, refresh_token=refresh_token,
            channels=channels, patience=patience, backoff=backoff, heartbeat=heartbeat, compression=compression,
            proxy=proxy, random=random,
        )

    # --- life -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> BroadcastSyncClient:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        """Begins to connect, in the background."""
        self._conversation.link.start()

    async def close(self) -> None:
        """Ends the connection for good. Votes and cues without an answer raise ConnectionEnded."""
        await self._conversation.link.close()

    async def wait_live(self) -> None:
        """Until connected, and with a token until it was accepted. Raises Refused or ConnectionEnded if that will not
        be."""
        await self._conversation.wait_live()

    @property
    def live(self) -> bool:
        """True while connected, and with a token accepted."""
        return self._conversation.live

    @property
    def ended(self) -> ConnectionEnded | None:
        """Why there will be no further connection; None while there may be."""
        return self._conversation.link.ended

    @property
    def connections(self) -> int:
        """How often a connection came up: 1 is the first."""
        return self._conversation.link.connections

    def set_token(self, token: str | None) -> None:
        """Uses another token from now on, on the same connection."""
        self._conversation.set_token(token)

    # --- what it knows ----------------------------------------------------------------------------------------

    @property
    def state(self) -> StateUpdate | None:
        return self._conversation.show.state

    @property
    def board(self) -> LiveResults | None:
        return self._conversation.show.board

    @property
    def results(self) -> ResultsReady | None:
        return self._conversation.show.results

    @property
    def remaining(self) -> dict[str, int] | None:
        """Votes left by type, as the server last told."""
        return self._conversation.show.remaining

    @property
    def window(self) -> WindowInfo | None:
        """The voting window, open or the last one; None before any."""
        return self.state.window if self.state is not None else None

    def now_ms(self) -> float:
        """The server's time in Unix milliseconds, as well as it is known here. Small corrections are slewed."""
        return self._conversation.clock.now_ms()

    @property
    def clock_error_ms(self) -> float:
        """How far `now_ms` may be off; infinite before the first sample of a connection."""
        return self._conversation.clock.error_ms

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the announced close by the server's clock, never negative; None when no window is open."""
        return self._conversation.remaining_s()

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
        talk = self._conversation
        if talk.link.ended is None and talk.tokens.token is None:
            raise Refused("UNAUTHENTICATED", "there is no token to vote with")
        ack: VoteAck = await talk.ask(talk.votes, vote.id, vote, talk.hard_close())
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
        ack: CueAck = await self._conversation.ask(self._conversation.cues, cue_id, cue, lambda: until)
        return ack

    def request_update(self) -> bool:
        """Asks for the current state and board; False if there is no connection to ask on."""
        return self._conversation.say(RequestUpdate())

    # --- inside -----------------------------------------------------------------------------------------------

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
        self._conversation.start_over()
