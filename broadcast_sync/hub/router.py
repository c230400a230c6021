"""A client's message to its registered handler, and what becomes of it: an answer, a refusal, never a lost socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import msgspec
import structlog
from msgspec import UNSET, Struct

from broadcast_sync.errors import Refusal
from broadcast_sync.hub.limits import Limit
from broadcast_sync.wire.client import ClientMessage
from broadcast_sync.wire.codecs import JSON, MSGPACK, Codec

if TYPE_CHECKING:
    from broadcast_sync.hub.session import Session

MAX_PENDING: Final = 32
"""Asynchronous handlers at work for one session; a message beyond gets BUSY."""
ID_LENGTH: Final = 64
LINES_PER_SECOND: Final = 5.0

M = TypeVar("M", bound=ClientMessage)
Handler: TypeAlias = "Callable[[Session, M, int], Awaitable[None] | None]"
"""Takes the session, the message and when its frame arrived (Unix ms). What a plain function does happens before the
next message is read; an awaitable it returns is finished in a task. It may raise Refusal in both."""

_log = structlog.get_logger()

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
"""What decoding hostile bytes may raise: not in the format, not UTF-8, nested too deep, a number too long."""


class _Ids(Struct, frozen=True, rename="camel"):
    """Whatever can be read of a message that is otherwise wrong."""

    id: Any = None
    cue_id: Any = None
    data: Any = None


_IDS: Final[dict[str, Any]] = {
    JSON.name: msgspec.json.Decoder(_Ids),
    MSGPACK.name: msgspec.msgpack.Decoder(_Ids),
}


def identify(codec: Codec, payload: bytes) -> tuple[str | None, str | None]:
    """The `id` and `cueId` of a message that is wrong or not wanted, as far as they can be read."""
    try:
        read = _IDS[codec.name].decode(payload)
    except UNREADABLE:
        return None, None
    nested = read.data if isinstance(read.data, dict) else {}
    return _sane(read.id, nested.get("id")), _sane(read.cue_id, nested.get("cueId"))


def _sane(*candidates: object) -> str | None:
    return next((value for value in candidates if isinstance(value, str) and 0 < len(value) <= ID_LENGTH), None)


class Route:
    """Where messages of one type go, and who may send them from where. Empty `roles`: anybody; None: all paths."""

    __slots__ = ("count", "handler", "message", "paths", "roles")

    def __init__(
        self, message: type[ClientMessage], handler: Handler[Any], roles: frozenset[str], paths: frozenset[str] | None
    ) -> None:
        self.message = message
        self.handler = handler
        self.roles = roles
        self.paths = paths
        self.count = 0

    def check(self, session: Session, received_ms: int) -> None:
        """Raises Refusal UNSUPPORTED, UNAUTHENTICATED, FORBIDDEN or TOKEN_EXPIRED."""
        if self.paths is not None and session.path not in self.paths:
            raise Refusal("UNSUPPORTED", f"{self.message.TYPE} is not taken on {session.path}.")
        if self.roles:
            if session.identity is None:
                raise Refusal("UNAUTHENTICATED")
            if not session.identity.has(*self.roles):
                raise Refusal("FORBIDDEN")
            session.identity.heed_expiry(received_ms)


class Router:
    """Handlers by message type. Register before the server starts."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unknown = 0
        self.faults = 0
        """Handlers that raised something that was no Refusal."""
        self._lines = Limit(LINES_PER_SECOND, LINES_PER_SECOND)
        self._line_level = 0.0

    def register(
        self,
        message: type[M],
        handler: Handler[M],
        *,
        roles: frozenset[str] = frozenset(),
        paths: frozenset[str] | None = None,
    ) -> None:
        """Gives all messages of a type to `handler`: from sessions that hold one of `roles` by a token that has not
        expired (empty: from anybody, AUTH or not) on one of `paths` (None: on all). Raises ValueError if the type has
        a handler."""
        if message.TYPE in self._routes:
            raise ValueError(f"{message.TYPE} has a handler already")
        self._routes[message.TYPE] = Route(message, handler, roles, paths)

    def counts(self) -> dict[str, int]:
        """Messages by type; those of unknown type or beyond reading as `other`."""
        return {**{type: route.count for type, route in self._routes.items()}, "other": self._unknown}

    def dispatch(self, session: Session, payload: bytes, received_ms: int) -> None:
        """Reads one message and hands it on. Never raises."""
        codec = session.codec
        try:
            head = codec.decode_head(payload)
            route = self._routes.get(head.type)
            if route is None:
                self._unknown += 1
                session.bad(Refusal("UNSUPPORTED", f"There is no message {head.type!r}."), *identify(codec, payload))
                return
            message = codec.decode(route.message, payload, head)
        except UNREADABLE as error:
            self._unknown += 1
            session.bad(Refusal("BAD_MESSAGE", _explain(error)), *identify(codec, payload))
            return
        route.count += 1
        if head.ack is not UNSET:
            session.acknowledge(head.ack)
        try:
            if route.roles or route.paths is not None:
                self._check(route, session, received_ms)
            rest = route.handler(session, message, received_ms)
        except Refusal as refusal:
            session.refuse(refusal, *_ids(message))
        except Exception:
            self._fault(session, message)
        else:
            if rest is not None:
                self._spawn(session, message, rest)

    def _check(self, route: Route, session: Session, received_ms: int) -> None:
        """As Route.check, with a line for a message that asks for a role which the session has not shown: a cue from a
        phone is worth a look. Of a flood the rest is only answered."""
        try:
            route.check(session, received_ms)
        except Refusal as refusal:
            now = monotonic()
            level = self._lines.spend(self._line_level, now)
            if route.roles and self._lines.excess(level, now) <= 0:
                self._line_level = level
                user = session.identity.user_id if session.identity else None
                _log.warning(
                    "message_not_allowed", type=route.message.TYPE, session=session.id, user=user,
                    address=session.address, code=refusal.code,
                )
            raise

    async def settle(self) -> None:
        """Returns when the asynchronous handlers that are at work now have come to their end."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def finish(self) -> None:
        """Cancels the asynchronous handlers at work."""
        late = set(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _spawn(self, session: Session, message: ClientMessage, rest: Awaitable[None]) -> None:
        if session.pending >= MAX_PENDING:
            if asyncio.iscoroutine(rest):
                rest.close()
            session.refuse(Refusal("BUSY", "Wait for the answers first.", retry_after=1.0), *_ids(message))
            return
        session.pending += 1
        task = asyncio.get_running_loop().create_task(self._await(session, message, rest))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _await(self, session: Session, message: ClientMessage, rest: Awaitable[None]) -> None:
        try:
            await rest
        except Refusal as refusal:
            session.refuse(refusal, *_ids(message))
        except Exception:
            self._fault(session, message)
        finally:
            session.pending -= 1

    def _fault(self, session: Session, message: ClientMessage) -> None:
        """A fault of ours. What was done is unknown, so the client is told to ask again with the same id."""
        self.faults += 1
        _log.exception("handler_failed", type=message.TYPE, session=session.id)
        session.refuse(Refusal("TRY_AGAIN"), *_ids(message))


def _ids(message: ClientMessage) -> tuple[str | None, str | None]:
    return getattr(message, "id", None), getattr(message, "cue_id", None)


def _explain(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The message is nested too deep."
    return f"{str(error)[:300]}."
