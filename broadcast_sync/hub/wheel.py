"""One timer for all sessions: pings spread over time, pong and AUTH deadlines, token expiry, clients that take
nothing, closes not answered.

A session hangs on the wheel once, at the earliest of its times, and is hung again when it has been looked at.
"""

from __future__ import annotations

import asyncio
from math import inf
from random import random
from time import monotonic
from typing import Final, Generic, TypeVar

import structlog

from broadcast_sync.hub.closes import AUTH_TIMEOUT, EXPIRED, NO_PONG, SLOW_CONSUMER
from broadcast_sync.hub.outbox import Progress
from broadcast_sync.hub.session import Session

TICK_S: Final = 0.1
CLOSE_S: Final = 5.0
"""How long a client may take to answer a close frame, or to take it."""
LOOKS: Final = 4
"""How often within its drain timeout a client that does not keep up is looked at."""
STRIDE: Final = 64
"""Sessions looked at between two turns of the loop."""
MISSED: Final = 2
"""Unanswered pings after which the next one is a close (4002)."""

T = TypeVar("T")

_log = structlog.get_logger()


class Wheel(Generic[T]):
    """Items hung at times; `turn` gives those that are due, at most one tick late. PURE: the time is an argument."""

    def __init__(self, now: float, tick: float = TICK_S) -> None:
        self._tick = tick
        self._turned = int(now / tick)
        self._slots: dict[int, list[T]] = {}

    def hang(self, item: T, at: float) -> None:
        """Hangs an item; a time in the past is due at the next turn. An item may hang more than once."""
        slot = max(int(at / self._tick) + 1, self._turned + 1)
        self._slots.setdefault(slot, []).append(item)

    def turn(self, now: float) -> list[T]:
        """Takes everything due by `now` off the wheel, earliest first."""
        due: list[T] = []
        upto = int(now / self._tick)
        if upto - self._turned > len(self._slots):  # after a long sleep: fewer slots than ticks
            slots = sorted(slot for slot in self._slots if slot <= upto)
        else:
            slots = [slot for slot in range(self._turned + 1, upto + 1) if slot in self._slots]
        for slot in slots:
            due += self._slots.pop(slot)
        self._turned = max(self._turned, upto)
        return due

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))


class Watch:
    """Looks at each session when something of it is due. `run` is the one task; all else is called from the loop."""

    def __init__(self, ping_interval_s: float, drain_timeout_s: float, message_timeout_s: float) -> None:
        self._interval = ping_interval_s
        self._drain_timeout = drain_timeout_s
        self._message_timeout = message_timeout_s
        self._wheel: Wheel[Session] = Wheel(monotonic())

    def welcome(self, session: Session, auth_timeout_s: float | None) -> None:
        """Takes a new session: its first ping at a time of its own within the interval, so that pings spread."""
        now = monotonic()
        session.next_ping = now + self._interval * random()
        if auth_timeout_s is not None:
            session.auth_by = now + auth_timeout_s
        self._hang(session)

    def authenticated(self, session: Session, expires_in_s: float) -> None:
        """The session's AUTH deadline is met; it is closed in `expires_in_s` unless this is called again before."""
        session.auth_by = inf
        session.expires_at = monotonic() + expires_in_s
        self._hang(session)

    def receiving(self, session: Session) -> None:
        """A message of the session has begun and is not whole: it has its time from now on."""
        session.whole_by = monotonic() + self._message_timeout
        self._hang(session)

    def stalled(self, session: Session) -> None:
        """The session's client does not keep up. It has `drain_timeout_s` to take something, and again after each
        thing it takes; one that takes nothing is closed (4001) a quarter of that later at most."""
        now = monotonic()
        session.progress = Progress(session.unsent(), now)
        session.look_at = now + self._drain_timeout / LOOKS
        self._hang(session)

    def closing(self, session: Session) -> None:
        """The session has `CLOSE_S` to complete its closing handshake."""
        if session.close_by == inf:
            session.close_by = monotonic() + CLOSE_S
            self._hang(session)

    async def run(self) -> None:
        """Turns the wheel until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            now = monotonic()
            for number, session in enumerate(self._wheel.turn(now), 1):
                if number % STRIDE == 0:
                    await asyncio.sleep(0)  # all tokens of an evening may end in one tick
                if session.wake_at > now:
                    continue  # it was hung anew since: this place is stale
                try:
                    self._look(session, now)
                except Exception:
                    # a fault with one session must not stop the timer of all
                    _log.exception("watch_failed", session=session.id)

    def _look(self, session: Session, now: float) -> None:
        session.wake_at = inf
        if now >= session.close_by:
            session.abort()
            return
        if session.is_open:
            if now >= session.expires_at:
                session.close(EXPIRED)
            elif now >= session.auth_by:
                session.close(AUTH_TIMEOUT)
            elif session.progress is not None and now >= session.look_at:
                self._drain(session, session.progress, now)
            elif now >= session.whole_by:
                session.close(NO_PONG, "message not complete")
            elif now >= session.next_ping:
                self._ping(session, now)
        self._hang(session)

    def _drain(self, session: Session, progress: Progress, now: float) -> None:
        if progress.stuck_s(session.unsent(), now) >= self._drain_timeout:
            session.close(SLOW_CONSUMER)
        session.look_at = now + self._drain_timeout / LOOKS

    def _ping(self, session: Session, now: float) -> None:
        if session.unanswered >= MISSED:
            session.close(NO_PONG)
            return
        session.ping()
        session.next_ping = max(session.next_ping + self._interval, now)

    def _hang(self, session: Session) -> None:
        """Hangs the session at its earliest time, unless it hangs there or earlier already."""
        at = session.close_by
        if session.is_open:
            at = min(
                at, session.next_ping, session.auth_by, session.expires_at, session.look_at, session.whole_by
            )
        if at < session.wake_at:
            session.wake_at = at
            self._wheel.hang(session, at)
