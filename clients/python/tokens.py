"""Who the client is to the server: says AUTH, and gets the next token in time, on the same connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from broadcast_sync.wire.client import Auth, ClientMessage
from broadcast_sync.wire.times import parse_iso
from clients.python.connection import Backoff
from clients.python.timers import Timers

Refresh: TypeAlias = "Callable[[], Awaitable[str | None]]"
"""Gives the next token, or None when there is none."""

REFRESH_BEFORE_S: Final = 60.0
"""A token is asked for anew this long before it ends, or halfway through a short life."""
CODES: Final = frozenset({"UNAUTHENTICATED", "TOKEN_EXPIRED", "FORBIDDEN"})
"""Refusals of a token: asking again with the same one is of no use."""

_log: Final = logging.getLogger("broadcast_sync.client")


class TokenWay(Protocol):
    """What tokens need of their client."""

    def say(self, message: ClientMessage) -> bool: ...
    def now_ms(self) -> float: ...
    def token_gone(self, code: str) -> None:
        """The token is of no use any more, and there is no other."""
        ...


class Tokens:
    """`token` None only watches; `refresh` is asked for the next one shortly before it ends and when it is refused.
    AUTH is said again without an answer after `answer_s`."""

    def __init__(
        self, token: str | None, refresh: Refresh | None, way: TokenWay, *, answer_s: float, backoff: Backoff,
        random: Callable[[], float],
    ) -> None:
        self.token = token
        self.accepted = False
        """True while the server holds the client for who the token says."""
        self._refresh = refresh
        self._way = way
        self._answer_s = answer_s
        self._backoff = backoff
        self._random = random
        self._timers = Timers()
        self._asking: asyncio.Task[None] | None = None

    @property
    def renewable(self) -> bool:
        """True if a request that met the end of the token may wait for the next one."""
        return self._refresh is not None and self.token is not None

    def set(self, token: str | None) -> None:
        """Another token from now on, on the same connection."""
        self.lost()
        self.token = token
        self._say()

    def opened(self) -> None:
        """A connection is up. While a new token is being asked for, the old one is not worth saying."""
        if self._asking is None:
            self._say()

    def lost(self) -> None:
        """The connection is gone, and with it what the server knew of the client."""
        self.accepted = False
        self._timers.cancel_all()

    def close(self) -> None:
        """Nobody is asked any more."""
        self.lost()
        self._refresh = None
        if self._asking is not None:
            self._asking.cancel()

    def ok(self, expires_at: str) -> None:
        """AUTH_OK."""
        self.accepted = True
        self._timers.cancel("say")
        left_s = (parse_iso(expires_at) - self._way.now_ms()) / 1000.0
        if self._refresh is not None and left_s > 0:
            wait_s = max(left_s / 2, left_s - REFRESH_BEFORE_S * (1 + self._random()))
            self._timers.after("refresh", wait_s, lambda: self._ask("TOKEN_EXPIRED"))

    def refused(self, code: str) -> None:
        """The token was refused, or is over: the next one, if there is somebody to ask."""
        if self.token is None:
            return
        self.accepted = False
        self._timers.cancel("say")
        if self._refresh is None or code == "FORBIDDEN":
            self.end(code)
        else:
            self._ask(code)

    def end(self, code: str) -> None:
        """The token is not sent again."""
        self.token = None
        self.lost()
        self._way.token_gone(code)

    def _say(self) -> None:
        if self.token is not None and self._way.say(Auth(self.token)):
            self._timers.after("say", self._answer_s * (0.75 + 0.5 * self._random()), self._say)

    def _ask(self, code: str, attempt: int = 0) -> None:
        """Once at a time. A failure is tried again; none, or the same token, and there is nothing more to try."""
        if self._asking is None and self._refresh is not None:
            self._asking = asyncio.get_running_loop().create_task(self._renew(self._refresh, code, attempt))

    async def _renew(self, refresh: Refresh, code: str, attempt: int) -> None:
        old, token = self.token, None
        failed = False
        try:
            token = await refresh()
        except Exception as error:
            # the application's: whatever it is, the next attempt may fare better
            _log.warning("no new token came, it is asked for again: %r", error)
            failed = True
        finally:
            self._asking = None
        if self.token != old or self._refresh is None:
            return  # closed, or the application gave one itself
        if failed:
            wait_s = self._backoff.delay_s(attempt, self._random())
            self._timers.after("refresh", wait_s, lambda: self._ask(code, attempt + 1))
        elif token is not None and token != old:
            self.set(token)
        elif not self.accepted:
            self.end(code)
