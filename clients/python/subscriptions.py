"""Where the client is in each channel: what was missed is asked for by epoch and offset, what came before is not taken
again, and the server is told how far the client has got.

Must-arrive messages of a channel are numbered without a gap. One that skips a number was overtaken or the one before
it was lost: it is not taken, and everything since the client's place is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from broadcast_sync.wire.client import ClientMessage, Position, Subscribe
from broadcast_sync.wire.delivery import DELIVERY, Delivery
from broadcast_sync.wire.server import Subscribed
from clients.python.timers import Timers

ACK_WITHIN_S: Final = 5.0
"""What must arrive is acknowledged within this, each client in its own time: a million at once would be a flood."""
HEAL_EACH_S: Final = 1.0
"""Gaps are healed no more often than this: a server that numbers badly must not be asked without end."""


class SubscriptionWay(Protocol):
    """What subscriptions need of their client."""

    def say(self, message: ClientMessage) -> bool: ...
    def ping(self) -> None:
        """Takes acknowledgements along when nothing else does."""
        ...


class Subscriptions:
    """The places in `channels`; they outlive connections. Without an answer in `answer_s` SUBSCRIBE is said again."""

    def __init__(
        self, channels: Sequence[str], way: SubscriptionWay, *, answer_s: float, random: Callable[[], float]
    ) -> None:
        self.channels = list(channels)
        self._way = way
        self._answer_s = answer_s
        self._random = random
        self._timers = Timers()
        self._places: dict[str, Position] = {}
        self._asked: set[str] = set()
        """Channels whose SUBSCRIBED is to come."""
        self._unacked: dict[str, Position] = {}

    def opened(self) -> None:
        """A connection is up: its channels, with what was missed of them."""
        self._ask(self.channels)

    def lost(self) -> None:
        """The connection is gone; the places stay."""
        self._timers.cancel_all()
        self._asked.clear()
        self._unacked.clear()

    def forget(self) -> None:
        """The next SUBSCRIBE gets snapshots."""
        self._places.clear()

    def ask_anew(self) -> None:
        """Asks for the whole state of all channels, as somebody who is new does."""
        self.forget()
        self._ask(self.channels)

    def epoch(self, channel: str | None) -> str | None:
        """The epoch that the client is in."""
        place = self._places.get(channel) if channel is not None else None
        return None if place is None else place.epoch

    def take(self, type: str, channel: str | None, epoch: str | None, offset: int | None) -> bool:
        """Whether a message is new; if so the place moves to it. Messages without an offset (snapshots, ticks) always
        are. Another epoch is a new count."""
        if channel is None or epoch is None or offset is None:
            return True
        place = self._places.get(channel)
        must = DELIVERY.get(type) is Delivery.MUST_ARRIVE
        if place is not None and place.epoch == epoch:
            if offset <= place.offset:
                return False
            if must and offset > place.offset + 1:
                self._heal(channel)
                return False
        self._places[channel] = Position(epoch, offset)
        if must:
            self._reached(channel)
        return True

    def subscribed(self, answer: Subscribed) -> None:
        """Recovered: what was missed follows, and moves the place. Not recovered: a snapshot follows, that stands for
        the server's place; or for less than the client has, on a node that lags."""
        channel = answer.channel
        self._asked.discard(channel)
        if not self._asked:
            self._timers.cancel("ask")
        place = self._places.get(channel)
        ahead = place is not None and place.epoch == answer.epoch and place.offset >= answer.offset
        if not answer.recovered and not ahead:
            self._places[channel] = Position(answer.epoch, answer.offset)
        if not answer.recovered or ahead:
            self._reached(channel)

    def refused(self) -> None:
        """An ERROR that may be the answer to SUBSCRIBE: better the whole state again than none; if that was refused,
        none."""
        asked = list(self._asked)
        if not asked:
            return
        with_places = any(channel in self._places for channel in asked)
        self._asked.clear()
        self._timers.cancel("ask")
        if with_places:
            for channel in asked:
                self._places.pop(channel, None)
            self._ask(asked)

    def take_acks(self) -> dict[str, Position]:
        """What the next message takes along: how far the client has got since the last one."""
        acks, self._unacked = self._unacked, {}
        self._timers.cancel("ack")
        return acks

    def _reached(self, channel: str) -> None:
        self._unacked[channel] = self._places[channel]
        if "ack" not in self._timers:
            self._timers.after("ack", ACK_WITHIN_S * self._random(), self._way.ping)

    def _heal(self, channel: str) -> None:
        if channel in self._asked:
            return
        self._asked.add(channel)
        if "healed" not in self._timers:
            self._timers.after("healed", HEAL_EACH_S, _nothing)
            self._ask(sorted(self._asked))
        elif "ask" not in self._timers:
            self._timers.after("ask", HEAL_EACH_S, lambda: self._ask(sorted(self._asked)))

    def _ask(self, channels: Sequence[str]) -> None:
        if not channels:
            return
        self._asked.update(channels)
        since = {channel: self._places[channel] for channel in channels if channel in self._places}
        self._way.say(Subscribe(list(channels), since))
        wait_s = self._answer_s * (0.75 + 0.5 * self._random())
        self._timers.after("ask", wait_s, lambda: self._ask(sorted(self._asked)))


def _nothing() -> None:
    """What a timer does that is only looked at."""
