"""Whether there is room for one more socket. PURE: the time, in seconds of any steady clock, is an argument.

A crowd at the door must not disturb those inside, so what comes too fast or is too much is turned away by one cheap
answer before its handshake, each with a time of its own to come back.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import IPv6Address
from math import ceil
from typing import Final, NamedTuple

from broadcast_sync.hub.limits import Limit
from broadcast_sync.settings import Hub

RETRY_S: Final = (5, 60)
"""Those turned away are told to come back within so many seconds: at least the first, however few they are, at most
the second, however many."""


class Refused(NamedTuple):
    """The answer to a handshake that is turned away. `retry_after_s` is each one's own; 0: none."""

    status: HTTPStatus
    text: str
    retry_after_s: int


class Admission:
    """Counts the sockets of a node and of each address, and how fast they come. Full or closed, it turns away; it
    never closes a socket to make room for another."""

    def __init__(self, limits: Hub, chance: Callable[[], float] = random.random) -> None:
        self._max_sockets = limits.max_sockets
        self._per_address = limits.sockets_per_address
        self._rate = Limit(limits.handshakes_per_second, limits.handshakes_burst)
        self._chance = chance
        self._level = 0.0
        self._turned_away = 0.0
        self._addresses: dict[str, int] = {}
        self.sockets = 0
        self.open = True
        """False once the node lets nobody in any more."""

    def admit(self, address: str, now: float) -> Refused | None:
        """None if a socket from `address` ("" if it has none) may come in now; it counts once it has `entered`."""
        if not self.open or self.sockets >= self._max_sockets:
            return self.busy(now, "No room for another socket here now.")
        if self._per_address and address and self._addresses.get(_network(address), 0) >= self._per_address:
            words = f"There are {self._per_address} sockets from this address."
            return Refused(HTTPStatus.TOO_MANY_REQUESTS, words, self._retry_after(now))
        level = self._rate.spend(self._level, now)
        if self._rate.excess(level, now) > 0:
            return self.busy(now, "Too many come at once.")
        self._level = level
        return None

    def entered(self, address: str) -> None:
        """A socket is open; it counts until it has `left`."""
        self.sockets += 1
        network = _network(address)
        self._addresses[network] = self._addresses.get(network, 0) + 1

    def left(self, address: str) -> None:
        self.sockets -= 1
        network = _network(address)
        count = self._addresses[network] - 1
        if count:
            self._addresses[network] = count
        else:
            del self._addresses[network]

    def busy(self, now: float, text: str) -> Refused:
        """The answer to somebody for whom there is no room."""
        return Refused(HTTPStatus.SERVICE_UNAVAILABLE, text, self._retry_after(now))

    def _retry_after(self, now: float) -> int:
        """A moment within the time that all who were turned away lately would need to come in one after another."""
        self._turned_away = self._rate.spend(self._turned_away, now)
        least, most = RETRY_S
        within = min(max(self._turned_away - now, least), most)
        return max(1, ceil(self._chance() * within))


def _network(address: str) -> str:
    """What counts as one address: of IPv6 the /64, which one subscriber has to himself."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped is not None else f"{int(parsed) >> 64:x}::/64"
