"""The messages the hub answers itself: AUTH, SUBSCRIBE, UNSUBSCRIBE, PING, REQUEST_UPDATE."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

import structlog

from broadcast_sync.errors import Refusal
from broadcast_sync.hub import channels
from broadcast_sync.hub.closes import FORBIDDEN, INVALID_TOKEN
from broadcast_sync.hub.session import CONTROL, Session
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Auth, Ping, RequestUpdate, Subscribe, Unsubscribe
from broadcast_sync.wire.delivery import Delivery
from broadcast_sync.wire.server import AuthOk, Pong, Unsubscribed
from broadcast_sync.wire.times import iso
from broadcast_sync.wire.visibility import beside, is_beside

if TYPE_CHECKING:
    from broadcast_sync.hub.hub import Hub

_log = structlog.get_logger()


class Handlers:
    """Registers itself with the hub's router."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._blind = False
        hub.router.register(Auth, self.auth)
        hub.router.register(Subscribe, self.subscribe)
        hub.router.register(Unsubscribe, self.unsubscribe)
        hub.router.register(Ping, self.ping)
        hub.router.register(RequestUpdate, self.request_update)

    def auth(self, session: Session, message: Auth, received_ms: int) -> Awaitable[None] | None:
        """Checks the token. The identity holds from here on; AUTH_OK follows when the votes left are known.

        A refused token costs an ERROR, counts as a bad message and changes nothing; a socket of the control room that
        has not signed in before it closes.
        """
        first = session.identity is None
        try:
            identity = self._hub.tokens.check(message.token)
            self._check(session, identity)
        except Refusal as refusal:
            session.bad(refusal)
            if session.path == CONTROL and first:
                session.close(FORBIDDEN if refusal.code == "FORBIDDEN" else INVALID_TOKEN)
            return None
        session.identity = identity
        expires_in_s = (identity.expires_ms + identity.leeway_ms - received_ms) / 1000
        self._hub.watch.authenticated(session, expires_in_s + self._hub.settings.auth.expiry_grace_s)
        for channel in [name for name in session.channels if name != channels.SHOW and not is_beside(name)]:
            self._hub.let_see(session, channel)
        if session.path != CONTROL:
            return self._greet(session, identity)
        self._accept(session, identity, None)
        if first:
            for channel in (channels.SHOW, channels.RESULTS, channels.CONTROL):
                self._hub.subscribe(session, channel)
        return None

    def subscribe(self, session: Session, message: Subscribe, received_ms: int) -> None:
        """All of the channels or, with an ERROR, none."""
        wanted = dict.fromkeys(message.channels)
        for channel in wanted:
            self._permit(session, channel)
        limit = self._hub.settings.hub.channels_per_socket
        if len({name for name in session.channels if not is_beside(name)} | wanted.keys()) > limit:
            raise Refusal("UNSUPPORTED", f"A socket may have {limit} channels.")
        for channel in wanted:
            since = message.since.get(channel)
            self._hub.subscribe(session, channel, since=since, announce=True)

    def unsubscribe(self, session: Session, message: Unsubscribe, received_ms: int) -> None:
        """Channels that were not subscribed are answered all the same."""
        for channel in dict.fromkeys(message.channels):
            self._hub.channels.leave(session, channel)
            self._hub.channels.leave(session, beside(channel))
            session.reply(Unsubscribed(channel))

    def ping(self, session: Session, message: Ping, received_ms: int) -> None:
        session.reply(Pong(message.t0, received_ms, self._hub.clock.now_ms()))

    def request_update(self, session: Session, message: RequestUpdate, received_ms: int) -> None:
        """Sends what a joiner of `show` and `results` gets. To a client that has not read all it was sent before, it
        is the newest of its kind alone: whoever asks often, and reads slowly, is not sent away for it."""
        self._signed_in(session)
        wanted = [channels.SHOW, channels.RESULTS, *([beside(channels.RESULTS)] if session.sees_counts() else [])]
        messages = [prepared for channel in wanted for prepared in self._hub.snapshot(channel)]
        if session.ready:
            session.greet(messages)
            return
        for prepared in messages:
            key = (prepared.channel, prepared.type)
            session.put(Delivery.NEWEST_ONLY, key, prepared.frame_for(session.format))

    def _check(self, session: Session, identity: Identity) -> None:
        if identity.organisation != self._hub.settings.show.organisation:
            raise Refusal("FORBIDDEN", "This token belongs to another organisation.")
        if session.path == CONTROL and not identity.has("control"):
            raise Refusal("FORBIDDEN")
        if session.identity is not None and session.identity.user_id != identity.user_id:
            # one socket, one voter: what is limited or logged by socket stays one person's
            raise Refusal("FORBIDDEN", "This socket belongs to another user; open a new one.")

    async def _greet(self, session: Session, identity: Identity) -> None:
        try:
            remaining = await self._hub.remaining(identity)
        except Exception as error:
            # fails open: the voter is known, what is left will be said by the first VOTE_ACK
            remaining = None
            if not self._blind:
                _log.warning("remaining_unknown", error=repr(error))
            self._blind = True
        else:
            self._blind = False
        self._accept(session, identity, remaining)

    def _accept(self, session: Session, identity: Identity, remaining: dict[str, int] | None) -> None:
        session.reply(
            AuthOk(
                identity.user_id,
                sorted(identity.roles),
                identity.organisation,
                iso(identity.expires_ms),
                remaining,
            )
        )

    def _permit(self, session: Session, channel: str) -> None:
        self._signed_in(session)
        private = channel == channels.CONTROL and session.path == CONTROL
        if not private and not channels.is_public(channel):
            raise Refusal("UNSUPPORTED", f"There is no channel {channel!r} here.")

    def _signed_in(self, session: Session) -> None:
        """On the control room's path nothing is said before AUTH, whose token must hold the role."""
        if session.path == CONTROL and session.identity is None:
            raise Refusal("UNAUTHENTICATED")
