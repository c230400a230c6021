"""Requests a minute of many, in bounded memory: token buckets (GCRA), the least recently used of them forgotten."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address

from broadcast_sync.hub.limits import Limit


class Buckets:
    """A bucket a key, at most `most` of them, on this node alone. Beyond `most` the one unused for longest is forgotten
    and begins full again (fails open): a flood of new keys costs the old ones their memory, never their service."""

    def __init__(self, per_minute: int, most: int) -> None:
        self._limit = Limit(per_minute / 60, per_minute)
        self._most = most
        self._levels: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str, now_s: float) -> float:
        """Takes one; the seconds to wait if there was none, else 0. What is refused costs nothing."""
        level = self._limit.spend(self._levels.get(key, 0.0), now_s)
        excess = self._limit.excess(level, now_s)
        if excess > 0:
            self._levels.move_to_end(key)
            return excess
        self._levels[key] = level
        self._levels.move_to_end(key)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return 0.0


def network_of(host: str) -> str:
    """PURE. What an address limit counts by: an IPv4 address, or an IPv6 network of 64 bits: one customer's."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else address.exploded[:19]
