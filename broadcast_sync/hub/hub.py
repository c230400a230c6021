"""The hub: everything between the sockets and the rest of the process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import randrange
from typing import Any, Final

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from broadcast_sync.clock import Clock
from broadcast_sync.hub.admission import Admission
from broadcast_sync.hub.cable_feed import CableFeed
from broadcast_sync.hub.channels import RESULTS, SHOW, Channels
from broadcast_sync.hub.closes import expected
from broadcast_sync.hub.compression import Compression
from broadcast_sync.hub.door import Door
from broadcast_sync.hub.drain import BATCH, Drain, send_away
from broadcast_sync.hub.endpoint import Endpoint
from broadcast_sync.hub.fanout import Fanout
from broadcast_sync.hub.handlers import Handlers
from broadcast_sync.hub.inbound import Bounds
from broadcast_sync.hub.limits import Limit
from broadcast_sync.hub.metrics import Counts, HubCollector
from broadcast_sync.hub.provenance import Proxies
from broadcast_sync.hub.router import Router
from broadcast_sync.hub.session import CONTROL, VIEWERS, Session
from broadcast_sync.hub.stalls import Pulse, Stalls
from broadcast_sync.hub.wheel import Watch
from broadcast_sync.settings import Settings
from broadcast_sync.tokens import Identity, Tokens
from broadcast_sync.wire.client import Position
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Reconnect, Subscribed, Welcome
from broadcast_sync.wire.times import iso
from broadcast_sync.wire.visibility import beside, is_beside

CONTROL_FRAMES_PER_SECOND: Final = 10.0
CONTROL_FRAMES_BURST: Final = 100
"""Pings, pongs and (a hundredth each) fragments a client may send; more close its socket (4501)."""

REPLAY_BYTES: Final = 65_536
"""What was missed is sent again if it has no more bytes of JSON, nor than an outbox holds; else a snapshot does it."""

_log = structlog.get_logger()


def _nothing(channel: str) -> list[Prepared]:
    return []


def _nowhere(channel: str) -> tuple[str, int]:
    return "", 0


def _nobody(contestant_id: str) -> bool:
    return False


def _no_replay(channel: str, epoch: str, offset: int) -> list[Prepared] | None:
    return None


async def _at_once() -> None:
    return None


async def _unknown(identity: Identity) -> dict[str, int] | None:
    return None


class Hub:
    """One node's sockets. `start` it in a running loop, give `protocol_factory` to uvicorn as `ws=`, `stop` it.

    The six callables are set by the composition root before `start`. They are called from the loop's thread; the
    first four must answer at once, all from the same state, which already holds every message published here.
    """

    def __init__(self, settings: Settings, clock: Clock, router: Router, tokens: Tokens, node: str) -> None:
        self.settings: Final = settings
        self.clock: Final = clock
        self.router: Final = router
        self.tokens: Final = tokens
        self.node: Final = node
        self.snapshot: Callable[[str], list[Prepared]] = _nothing
        """What a joiner of a channel gets."""
        self.position: Callable[[str], tuple[str, int]] = _nowhere
        """Epoch and offset of a channel's last must-arrive message."""
        self.replay: Callable[[str, str, int], list[Prepared] | None] = _no_replay
        """Everything of a channel after (epoch, offset), or None if that is not known whole."""
        self.knows: Callable[[str], bool] = _nobody
        """Whether a contestant is in the line-up on air, which messages list only in part."""
        self.remaining: Callable[[Identity], Awaitable[dict[str, int] | None]] = _unknown
        """What a voter may still cast, for AUTH_OK."""
        self.answered: Callable[[], Awaitable[None]] = _at_once
        """Returns when every message that plain handlers have taken so far is answered."""
        self.sessions: dict[str, Session] = {}
        """By session id; includes those in their closing handshake."""
        self.channels: Final = Channels()
        self.counts: Final = Counts()
        limits = settings.hub
        self.compression: Final = Compression(limits.deflate)
        self.bounds: Final = [Bounds(limits.frame_bytes, limits.message_bytes, agreed) for agreed in (False, True)]
        """What sockets are held to that have not, and that have, agreed on compression."""
        self.flow: Final = Limit(limits.messages_per_second, limits.messages_burst)
        self.bad: Final = Limit(limits.bad_messages / limits.bad_window_s, limits.bad_messages)
        self.control: Final = Limit(CONTROL_FRAMES_PER_SECOND, CONTROL_FRAMES_BURST)
        self.admission: Final = Admission(limits)
        self.proxies: Final = Proxies(limits.trusted_proxies)
        self.watch: Final = Watch(limits.ping_interval_s, limits.drain_timeout_s, limits.message_timeout_s)
        self.stalls: Final = Stalls()
        self._pulse = Pulse(self.stalls)
        self.metrics: Final = HubCollector(
            self.counts, self.stalls, lambda: self.socket_count, self.channels.counts, router.counts
        )
        """For a Prometheus registry."""
        self.fanout: Final = Fanout(self.channels, self.counts, limits.slice_ms / 1000)
        self.cable: Final = CableFeed(self)
        self._tasks: list[asyncio.Task[None]] = []
        self._empty = asyncio.Event()
        self._stamp = (0, "")
        Handlers(self)

    # --- for the rest of the process --------------------------------------------------------------------------

    @property
    def socket_count(self) -> int:
        """Connected sockets, those in their closing handshake included."""
        return len(self.sessions)

    def publish(self, prepared: Prepared, channel: str | None = None) -> None:
        """Sends a message to the subscribers of `channel` (its own by default). Returns at once; the sending goes
        on in slices. Raises ValueError for a message without a channel."""
        name = channel or prepared.channel
        if name is None:
            raise ValueError(f"{prepared.type} has no channel")
        self.fanout.publish(prepared, name)
        if not is_beside(name):
            self.cable.feed(prepared)

    def follows(self, channel: str) -> bool:
        """True if anybody here is subscribed to a channel, over whatever door."""
        return self.channels.get(channel) is not None or self.channels.get(f"cable:{channel}") is not None

    def sent_share(self, offset: int | None = None, channel: str = SHOW) -> float:
        """The share of a channel's open sockets that were sent its message `offset` (default: the last one) and
        have nothing waiting; 1.0 when there are none."""
        found = self.channels.get(channel)
        if found is None:
            return 1.0
        epoch, last = self.position(channel)
        wanted = last if offset is None else offset
        sent = 0
        for session in found.members:
            given = session.channels[channel]
            if session.ready and given[0] == epoch and given[1] >= wanted:
                sent += 1
        return sent / len(found.members)

    def acked_share(self) -> float:
        """The share of the open sockets of channel `show` whose client has acknowledged its last message; 1.0 when
        there are none. Clients that never acknowledge (ActionCable apps, event streams) count as missing."""
        found = self.channels.get(SHOW)
        if found is None:
            return 1.0
        epoch, last = self.position(SHOW)
        acked = 0
        for member in found.members:
            place = member.acked
            if place is not None and place[1] >= last and place[0] == epoch:
                acked += 1
        return acked / len(found.members)

    def start(self) -> None:
        """Starts the fan-out, the timers and the cable's heart in the running loop."""
        loop = asyncio.get_running_loop()
        self._pulse.start()
        self._tasks = [
            loop.create_task(self.fanout.run(), name="hub-fanout"),
            loop.create_task(self.watch.run(), name="hub-watch"),
            loop.create_task(self.cable.run(), name="hub-cable"),
        ]

    async def drain(self, spread_s: float, reason: str) -> None:
        """Sends everybody away within `spread_s`, each in its own time; see `Drain`. Refuses newcomers from now on."""
        await Drain(self, spread_s, reason).run()

    async def settle(self, timeout_s: float) -> None:
        """Returns when every message taken so far has been answered, or after `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.answered()
                await self.router.settle()

    async def emptied(self, timeout_s: float) -> bool:
        """Waits until no socket is left; False if there still are some after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.sessions:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, reason: str = "shutdown", spread_ms: int = 5_000) -> None:
        """Sends everybody away at once: RECONNECT with a time of their own within `spread_ms`, then 4000, after the
        answers to what was taken of them. Takes at most `server.stop_s` plus a turn of the loop; who has not left by
        then is cut off. Refuses newcomers from now on."""
        self.admission.open = False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.server.stop_s
        sessions = list(self.sessions.values())
        for index, session in enumerate(sessions):
            session.reply(Reconnect(randrange(spread_ms + 1), reason))
            if index % BATCH == BATCH - 1:
                await asyncio.sleep(0)
        await send_away(self, sessions, reason)
        await self.router.finish()
        if not await self.emptied(deadline - loop.time()):
            for session in list(self.sessions.values()):
                session.abort()
            await asyncio.sleep(0)  # their connections are lost in this turn of the loop
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def door(self, *args: Any, **options: Any) -> Door:
        """What uvicorn's `http=` takes: makes the protocol that a connection begins with."""
        return Door(*args, hub=self, **options)

    def protocol_factory(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        address: str = "",
    ) -> Endpoint:
        """What uvicorn's `ws=` takes: makes the protocol of a connection that the door has let in from `address`."""
        return Endpoint(self, server_state, address)

    # --- for the hub's own parts ------------------------------------------------------------------------------

    def stamp(self) -> str:
        """Now, as the wire shows it; made once a millisecond."""
        now = self.clock.now_ms()
        if now != self._stamp[0]:
            self._stamp = (now, iso(now))
        return self._stamp[1]

    def joined(self, session: Session) -> None:
        """A handshake is complete: WELCOME, and on the paths of viewers the state of the show at once."""
        self.counts.opened += 1
        self.sessions[session.id] = session
        self.admission.entered(session.address)
        limits = self.settings.hub
        self.watch.welcome(session, limits.auth_timeout_s if session.path == CONTROL else None)
        session.reply(Welcome(session.id, self.node, self.stamp(), limits.ping_interval_s))
        if session.path in VIEWERS:
            self.subscribe(session, SHOW)
            self.subscribe(session, RESULTS)

    def subscribe(
        self, session: Session, channel: str, *, since: Position | None = None, announce: bool = False
    ) -> None:
        """Joins a channel in one step with what was missed `since`, or with a snapshot: nothing is lost or doubled
        between that and what is published next."""
        epoch, offset = self.position(channel)
        missed = None if since is None else self._missed(channel, since)
        self.channels.join(session, channel, (epoch, offset))
        if announce:
            session.reply(Subscribed(channel, missed is not None, epoch, offset))
        if missed and session.ready:
            session.write(b"".join([prepared.frame_for(session.format) for prepared in missed]))
        else:
            session.greet(self.snapshot(channel) if missed is None else missed)
        if session.identity is not None and channel != SHOW:
            self.let_see(session, channel)

    def let_see(self, session: Session, channel: str) -> None:
        """Gives a subscriber of `channel` what is beside it for screens and the control room, the newest at once; or
        takes it away, by what its token says now."""
        private = beside(channel)
        if session.sees_counts():
            self.channels.join(session, private, ("", 0))
            for prepared in self.snapshot(private):
                session.send(prepared)
        else:
            self.channels.leave(session, private)

    def _missed(self, channel: str, since: Position) -> list[Prepared] | None:
        """All that a client missed; None if that is not known, or too large: it goes out in one piece, made for one
        socket alone. Nor would a crowd that comes back be served by it any better."""
        missed = self.replay(channel, since.epoch, since.offset)
        most = min(REPLAY_BYTES, self.settings.hub.outbox_bytes)
        if missed is None or sum(len(prepared.json) for prepared in missed) > most:
            return None
        return missed

    def left(self, session: Session, now: float) -> None:
        """A connection is gone: its one line in the log."""
        del self.sessions[session.id]
        self.admission.left(session.address)
        if not self.sessions:
            self._empty.set()
        code = session.close_code
        self.counts.closed(code)
        log = _log.debug if expected(code) else _log.info
        log(
            "session_ended",
            session=session.id,
            path=session.path,
            address=session.address,
            user=session.identity.user_id if session.identity else None,
            code=code,
            seconds=round(now - session.opened_at, 3),
            messages=session.received,
        )
