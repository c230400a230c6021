"""One client: who it is, what it is subscribed to, what it is told, and when it has misbehaved enough."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import UNSET

from broadcast_sync.errors import Refusal
from broadcast_sync.hub.channels import SHOW, Place
from broadcast_sync.hub.closes import CLOSES, DRAINING, SLOW_CONSUMER, TOO_MANY_BAD
from broadcast_sync.hub.outbox import Key, Outbox, Progress
from broadcast_sync.hub.router import identify
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Position
from broadcast_sync.wire.codecs import Codec
from broadcast_sync.wire.delivery import DELIVERY, Delivery
from broadcast_sync.wire.formats import Format
from broadcast_sync.wire.frames import BINARY, TEXT
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Data, Envelope, Error, Reconnect
from broadcast_sync.wire.visibility import SEERS

if TYPE_CHECKING:
    from broadcast_sync.hub.hub import Hub

VOTING: Final = "/voting/sync"
RESULTS: Final = "/voting/results"
CONTROL: Final = "/control/sync"
CABLE: Final = "/cable"
STREAM: Final = "/voting/results/stream"
VIEWERS: Final = frozenset({VOTING, RESULTS})
"""The paths whose sockets follow `show` and `results` from the start."""

PATIENCE: Final = 2.0
"""A flood closes the socket once it owes this many bursts beyond the one it may owe."""
FRAGMENT_COST: Final = 0.01
"""What a fragment costs of the allowance for control frames."""


class Connection(Protocol):
    """What a session needs of its connection. `abort` cuts it without a word; `send_close` may take its time; `ping`
    sends a heartbeat and is true if the client owes an answer to it; after `hold` nothing is read before `send_close`;
    `unsent` is how many bytes the kernel would not take yet."""

    def send_close(self, code: int, reason: str) -> None: ...
    def ping(self) -> bool: ...
    def hold(self) -> None: ...
    def unsent(self) -> int: ...
    def abort(self) -> None: ...


class Session:
    """One open socket. Made by its endpoint after the handshake; all methods are synchronous and safe after the end.

    `ready` is true while a frame may go straight to `write`: open, not paused, nothing waiting.
    """

    __slots__ = (
        "_bad", "_control", "_endpoint", "_flow", "_hub", "_outbox", "_paused", "acked", "address", "auth_by",
        "channels", "close_by", "close_code", "expires_at", "format", "id", "identity", "is_open", "look_at",
        "next_ping", "opened_at", "path", "pending", "progress", "ready", "received", "unanswered", "wake_at",
        "whole_by", "write",
    )

    def __init__(
        self, hub: Hub, endpoint: Connection, write: Callable[[bytes], None], id: str, path: str, address: str,
        format: Format, now: float,
    ) -> None:
        self._hub = hub
        self._endpoint: Connection | None = endpoint
        self.write = write
        self.id: Final = id
        self.path: Final = path
        self.address: Final = address
        self.format = format
        self.identity: Identity | None = None
        self.channels: dict[str, Place] = {}
        """Channels subscribed to, each with the last position given."""
        self.acked: Place | None = None
        """How far in channel `show` the client says it has got."""
        self.is_open = True
        self.ready = True
        self.close_code = 0
        """The code of the end, once it has begun."""
        self.pending = 0
        """Asynchronous handlers at work for this session."""
        self.received = 0
        self.unanswered = 0
        """Pings sent since the last pong."""
        self.opened_at = now
        # what the wheel watches, in seconds of the monotonic clock
        self.next_ping = inf
        self.auth_by = inf
        self.expires_at = inf
        self.close_by = inf
        self.look_at = inf
        """When to see next whether a client that does not keep up takes anything."""
        self.progress: Progress | None = None
        self.whole_by = inf
        self.wake_at = inf
        self._outbox: Outbox | None = None
        self._paused = False
        self._flow = 0.0
        self._bad = 0.0
        self._control = 0.0

    @property
    def codec(self) -> Codec:
        """How this client's messages are read."""
        return self.format.codec

    # --- what it is told --------------------------------------------------------------------------------------

    def reply(self, data: Data) -> None:
        """Sends `data` to this client alone, in order with everything else it is sent."""
        if not self.is_open:
            return
        made = self.format.reply(Envelope(data.TYPE, data, self._hub.stamp()))
        self.put(DELIVERY[data.TYPE], (None, data.TYPE), made)

    def send(self, prepared: Prepared) -> None:
        """Sends a prepared message, by its delivery class if the client is not reading."""
        if self.ready:
            self.write(prepared.frame_for(self.format))
        elif self.is_open:
            self._keep(prepared.delivery, (prepared.channel, prepared.type), prepared.frame_for(self.format))

    def greet(self, messages: list[Prepared]) -> None:
        """Sends a snapshot. To a client that has read all it was sent it goes out whole, however much of it the
        connection takes at once: what it is greeted with must not fill the outbox of a slow one."""
        send = self._write_prepared if self.ready else self.send
        for prepared in messages:
            send(prepared)

    def _write_prepared(self, prepared: Prepared) -> None:
        self.write(prepared.frame_for(self.format))

    def put(self, delivery: Delivery, key: Key, made: bytes) -> None:
        """Sends bytes that were made for this client, by their delivery class if it is not reading."""
        if self.ready:
            self.write(made)
        elif self.is_open:
            self._keep(delivery, key, made)

    def refuse(self, refusal: Refusal, id: str | None = None, cue_id: str | None = None) -> None:
        """Sends ERROR. Costs the client nothing; see `bad` for refusals that do."""
        detail = refusal.detail or {}
        revision, receipt = detail.get("revision"), detail.get("receipt")
        self.reply(
            Error(
                refusal.code,
                refusal.message,
                refusal.retryable,
                UNSET if refusal.retry_after is None else round(refusal.retry_after, 3),
                id or UNSET,
                cue_id or UNSET,
                revision if isinstance(revision, int) else UNSET,
                receipt if isinstance(receipt, str) else UNSET,
            )
        )

    def bad(self, refusal: Refusal, id: str | None = None, cue_id: str | None = None) -> None:
        """Sends ERROR for a message that should not have been sent; too many of them close the socket (4501)."""
        self._hub.counts.bad += 1
        self.refuse(refusal, id, cue_id)
        now = monotonic()
        self._bad = self._hub.bad.spend(self._bad, now)
        if self._hub.bad.excess(self._bad, now) > 0:
            self.close(TOO_MANY_BAD)

    def dismiss(self, after_ms: int, reason: str) -> None:
        """Tells the client when to come back, and closes (4000)."""
        self.reply(Reconnect(after_ms, reason))
        self.close(DRAINING, reason)

    def sees_counts(self) -> bool:
        """Whether this client may see counts that are for screens and the control room alone: it has shown a token with
        such a role, and that has not expired."""
        identity = self.identity
        return identity is not None and identity.has(*SEERS) and not identity.expired(self._hub.clock.now_ms())

    def hold(self) -> None:
        """Takes nothing more of what the client says, until the close. What was taken is answered."""
        if self.is_open and self._endpoint is not None:
            self._endpoint.hold()

    def close(self, code: int, reason: str = "") -> None:
        """Begins the closing handshake; does nothing on a session that is closing. `code` is one of the table.

        What waits in the outbox is dropped; a client that does not answer in time is cut off.
        """
        if self.is_open:
            self.ended(code)
            if self._endpoint is not None:
                self._endpoint.send_close(code, reason or CLOSES[code].reason)

    # --- what it says -----------------------------------------------------------------------------------------

    def receive(self, opcode: int, payload: bytes | None, received_ms: int) -> None:
        """Takes one message or control frame that arrived at `received_ms`; see inbound.Message."""
        if not self.is_open:
            return
        hub = self._hub
        now = monotonic()
        if opcode != TEXT and opcode != BINARY:
            self._control_frame(opcode, now)
            return
        self.received += 1
        self._flow = level = hub.flow.spend(self._flow, now)
        excess = hub.flow.excess(level, now)
        if excess > 0:
            self._flooded(excess, payload)
        elif payload is None:
            self.bad(Refusal("TOO_LARGE", f"A message may have {hub.settings.hub.message_bytes} bytes."))
        elif opcode != self.codec.opcode:
            kind = "text" if self.codec.opcode == TEXT else "binary"
            self.bad(Refusal("BAD_MESSAGE", f"Messages of this subprotocol are {kind} frames."))
        else:
            self.understand(payload, received_ms)

    def understand(self, payload: bytes, received_ms: int) -> None:
        """Takes a whole message that this client may send."""
        self._hub.router.dispatch(self, payload, received_ms)

    def acknowledge(self, acks: dict[str, Position]) -> None:
        """Notes how far the client says it has got. What it was never sent is not believed; an older position than
        one it has named before is passed over."""
        said, given, before = acks.get(SHOW), self.channels.get(SHOW), self.acked
        if said is None or given is None or said.epoch != given[0] or said.offset > given[1]:
            return
        if before is None or before[0] != given[0] or before[1] < said.offset:
            # the place of the last message is one object for all; only who lags behind has one of their own
            self.acked = given if said.offset == given[1] else (given[0], said.offset)

    def pong(self) -> None:
        self.unanswered = 0

    def _control_frame(self, opcode: int, now: float) -> None:
        if opcode == 0xA:
            self.pong()
        limit = self._hub.control
        self._control = limit.spend(self._control, now, FRAGMENT_COST if opcode == 0 else 1.0)
        if limit.excess(self._control, now) > 0:
            self.close(TOO_MANY_BAD, "too many control frames")

    def _flooded(self, excess: float, payload: bytes | None) -> None:
        self._hub.counts.floods += 1
        id, cue_id = identify(self.codec, payload or b"")
        self.refuse(Refusal("RATE_LIMIT", retry_after=excess), id, cue_id)
        if excess > PATIENCE * self._hub.flow.window:
            self.close(TOO_MANY_BAD, "too many messages")

    # --- flow and end; called by the endpoint -----------------------------------------------------------------

    def pause(self) -> None:
        """The client does not read: from now on frames wait in the outbox, and it has to take something in time."""
        self._paused = True
        self.ready = False
        self._hub.watch.stalled(self)

    def resume(self) -> None:
        """The client reads again: what waits goes out until it stops once more."""
        self._paused = False
        self.look_at, self.progress = inf, None
        outbox = self._outbox
        if outbox is not None:
            while len(outbox) and not self._paused:
                self.write(outbox.pop())
        if not self._paused:
            self._outbox = None
            self.ready = self.is_open

    def ended(self, code: int) -> None:
        """No more goes in or out; `code` is what the end will be remembered by. The first call counts."""
        if self.is_open:
            self.is_open = self.ready = False
            self.close_code = code
            self._outbox = None
            self._hub.channels.forget(self)

    def gone(self) -> None:
        """The connection is lost: lets go of it."""
        self._endpoint = None

    def ping(self) -> None:
        """Sends a heartbeat, whatever waits: it is small, and where it asks for an answer a client is cut off after
        two that got none."""
        if self.is_open and self._endpoint is not None and self._endpoint.ping():
            self.unanswered += 1

    def unsent(self) -> int:
        """Bytes that the kernel would not take yet."""
        return 0 if self._endpoint is None else self._endpoint.unsent()

    def abort(self) -> None:
        """Cuts the connection without a word."""
        if self._endpoint is not None:
            self._endpoint.abort()

    def _keep(self, delivery: Delivery, key: Key, made: bytes) -> None:
        if not made:
            return
        if self._outbox is None:
            limits = self._hub.settings.hub
            self._outbox = Outbox(limits.outbox_messages, limits.outbox_bytes)
        if not self._outbox.put(delivery, key, made):
            self.close(SLOW_CONSUMER)
