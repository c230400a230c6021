"""One socket of an ActionCable app: its subscriptions to VotingChannel, and what its client may ask.

What a client asks wrongly is passed over, as ActionCable does, and counted as a bad message. Only a subscription is
always answered, confirmed or rejected, because a client that hears neither asks again twice a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs

import structlog
from msgspec import UNSET

from broadcast_sync.errors import Refusal
from broadcast_sync.hub import closes
from broadcast_sync.hub.channels import Place
from broadcast_sync.hub.router import UNREADABLE
from broadcast_sync.hub.session import Session
from broadcast_sync.wire import cable as wire
from broadcast_sync.wire.delivery import Delivery
from broadcast_sync.wire.formats import Deflated
from broadcast_sync.wire.prepared import Prepared

if TYPE_CHECKING:
    from broadcast_sync.hub.cable_feed import CableFeed

T = TypeVar("T")

_log = structlog.get_logger()

IDENTIFIER_BYTES: Final = 1_024
"""UTF-8 bytes of an identifier; a subscription with a longer one is rejected."""
QUERY_FIELDS: Final = 16

REASONS: Final = {
    **dict.fromkeys((closes.EXPIRED, closes.INVALID_TOKEN, closes.FORBIDDEN), "unauthorized"),
    **dict.fromkeys((closes.TOO_MANY_BAD, closes.CONNECTION_LIMIT), "invalid_request"),
    closes.REMOVED: "remote",
}
"""The close codes in ActionCable's words; all others are `server_restart`."""


def token_in(target: str, authorization: list[str]) -> str | None:
    """PURE. The token of a request: its Bearer token, or `token` in its query, as browsers cannot set headers."""
    for value in authorization:
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
    try:
        fields = parse_qs(target.partition("?")[2], max_num_fields=QUERY_FIELDS)
    except ValueError:
        return None
    return fields.get("token", [None])[-1]


def _read(decode: Callable[[bytes | str], T], text: bytes | str) -> T:
    try:
        return decode(text)
    except UNREADABLE as error:
        raise Refusal("BAD_MESSAGE") from error


class Subscription:
    """A member of channels for one identifier of one socket; it is served as the socket is."""

    __slots__ = ("_session", "channels", "format")

    acked: Final = None  # ActionCable has no word for it

    def __init__(self, session: CableSession, format: wire.Addressed) -> None:
        self._session = session
        self.format: Final = format
        self.channels: dict[str, Place] = {}

    @property
    def ready(self) -> bool:
        return self._session.ready

    @property
    def write(self) -> Callable[[bytes], None]:
        return self._session.write

    def send(self, prepared: Prepared) -> None:
        key = (f"{prepared.channel} {self.format.identifier}", prepared.type)
        self._session.put(prepared.delivery, key, prepared.frame_for(self.format))

    def sees_counts(self) -> bool:
        """The cable is for apps of the public: whoever they are, they see what everybody sees."""
        return False

    def close(self, code: int, reason: str = "") -> None:
        self._session.close(code, reason)


class CableSession(Session):
    """A session on `/cable`. It is told nothing until `open`."""

    __slots__ = ("_phase", "_subscriptions")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._phase: int | None = None
        self._subscriptions: dict[str, Subscription] = {}

    @property
    def _feed(self) -> CableFeed:
        return self._hub.cable

    @property
    def _agreed(self) -> bool:
        return isinstance(self.format, Deflated)

    # --- its life ---------------------------------------------------------------------------------------------

    def open(self, token: str | None, now_ms: int) -> None:
        """Welcomes the client; or, with a token that is refused, sends it away for good. None may watch as well."""
        if not self.is_open:
            return
        if token is not None:
            try:
                self.identity = self._hub.tokens.check(token)
                if self.identity.organisation != self._hub.settings.show.organisation:
                    raise Refusal("FORBIDDEN", "This token belongs to another organisation.")
            except Refusal as refusal:
                self.close(closes.FORBIDDEN if refusal.code == "FORBIDDEN" else closes.INVALID_TOKEN)
                return
            expires_ms = self.identity.expires_ms + self.identity.leeway_ms
            self._hub.watch.authenticated(self, (expires_ms - now_ms) / 1000)
        self._reply(wire.WELCOME)
        self._phase = self._feed.begin_beats(self)

    def close(self, code: int, reason: str = "") -> None:
        """As any session's; before it the client hears why, and whether to come back."""
        if self.is_open:
            self.write(wire.disconnect(REASONS.get(code, "server_restart"), closes.advice(code)))
        super().close(code, reason)

    def ended(self, code: int) -> None:
        super().ended(code)
        for identifier in list(self._subscriptions):
            self._forget(identifier)
        if self._phase is not None:
            self._feed.end_beats(self, self._phase)
            self._phase = None

    # --- what it says -----------------------------------------------------------------------------------------

    def understand(self, payload: bytes, received_ms: int) -> None:
        try:
            command = _read(wire.decode_command, payload)
            if command.command == "subscribe":
                self._subscribe(command.identifier)
            elif command.command == "unsubscribe":
                self._unsubscribe(command.identifier)
            elif command.command == "message":
                self._perform(command)
            else:
                raise Refusal("UNSUPPORTED")
        except Refusal as refusal:
            self.bad(refusal)
        except Exception:
            # a fault of ours: the client comes back and subscribes anew
            _log.exception("cable_failed", session=self.id)
            self.close(closes.SERVER_ERROR)

    def _subscribe(self, identifier: str) -> None:
        """Again is confirmed again, and changes nothing: the client may have missed it."""
        if identifier not in self._subscriptions:
            try:
                names = self._wanted(identifier)
            except Refusal as refusal:
                self._reply(wire.rejection(identifier))
                if refusal.code == "BAD_MESSAGE":
                    raise
                return
            subscription = Subscription(self, self._feed.addresses.take(identifier, self._agreed))
            self._subscriptions[identifier] = subscription
            self._reply(wire.confirmation(identifier))
            for name in names:
                self._hub.channels.join(subscription, name, ("", 0))
            for made in self._feed.greeting(names):
                subscription.send(made)
        else:
            self._reply(wire.confirmation(identifier))

    def _wanted(self, identifier: str) -> list[str]:
        if len(self._subscriptions) >= self._hub.settings.hub.channels_per_socket:
            raise Refusal("UNSUPPORTED", "This socket has all the subscriptions it may have.")
        if len(identifier.encode()) > IDENTIFIER_BYTES:
            raise Refusal("BAD_MESSAGE", f"An identifier may have {IDENTIFIER_BYTES} bytes.")
        return self._feed.wanted(_read(wire.decode_params, identifier))

    def _unsubscribe(self, identifier: str) -> None:
        subscription = self._subscriptions.get(identifier)
        if subscription is not None:
            for name in list(subscription.channels):
                self._hub.channels.leave(subscription, name)
            self._forget(identifier)

    def _perform(self, command: wire.Command) -> None:
        subscription = self._subscriptions.get(command.identifier)
        if subscription is None or command.data is UNSET:
            raise Refusal("BAD_MESSAGE")
        action = _read(wire.decode_action, command.data)
        if action.action != "request_update":
            raise Refusal("UNSUPPORTED")
        results = self._feed.results(action.episode_id)
        if results is not None:
            subscription.send(results)

    # --- inside -----------------------------------------------------------------------------------------------

    def _reply(self, made: bytes) -> None:
        self.put(Delivery.REPLY, (None, ""), made)

    def _forget(self, identifier: str) -> None:
        subscription = self._subscriptions.pop(identifier)
        self._hub.channels.forget(subscription)
        self._feed.addresses.release(subscription.format, self._agreed)
