"""Who may send Open Sound Control, how often, and when a line in the log is worth it. Pure.

OSC knows no signature and UDP no sender that could not be forged: the list of addresses keeps mistakes out, not
attackers. It belongs on a network that only the control room is on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from broadcast_sync.errors import StartError
from broadcast_sync.hub.limits import Limit

SOURCES: Final = 1_024
"""Addresses remembered; the one unheard of longest is forgotten first, with what was logged of it."""
LINES_PER_SECOND: Final = 1.0
LINES_BURST: Final = 20.0
"""Lines of log in all: forged addresses are new ones each time."""


class Verdict(Enum):
    """STRANGER: not on the list, gets no answer. FLOOD: too fast, gets none either but to the first (FLOOD_BEGINS)."""

    PASS = "pass"
    STRANGER = "stranger"
    FLOOD = "flood"
    FLOOD_BEGINS = "flood_begins"


class _Source:
    __slots__ = ("flooding", "level", "logged")

    def __init__(self) -> None:
        self.level = 0.0
        self.flooding = False
        self.logged: set[str] = set()


class Gate:
    """For one port, UDP and TCP together. Times are seconds of any clock that does not go back."""

    def __init__(self, allow: Sequence[str], per_second: float, total_per_second: float) -> None:
        """Without `allow`, this machine alone may send. A second's worth may come at once. Raises StartError for what
        is no address and no network."""
        try:
            self._networks: list[IPv4Network | IPv6Network] = [
                ip_network(one, strict=False) for one in allow or ("127.0.0.0/8", "::1")
            ]
        except ValueError as error:
            raise StartError(f"osc.allow: {error}; give addresses or networks, 10.0.0.0/8", exit_code=2) from None
        self._each = Limit(per_second, max(1.0, per_second))
        self._all = Limit(total_per_second, max(1.0, total_per_second))
        self._total = 0.0
        self._lines = Limit(LINES_PER_SECOND, LINES_BURST)
        self._line_level = 0.0
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def allowed(self, address: str) -> bool:
        """Whether `address` is on the list."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            return any(parsed.ipv4_mapped in network for network in self._networks)
        return any(parsed in network for network in self._networks)

    def judge(self, address: str, now: float, cost: int = 1) -> Verdict:
        """Counts `cost` messages of `address`. What is refused is not counted: a source is heard again as soon as it
        slows down, and one that floods takes nothing from the others."""
        if not self.allowed(address):
            return Verdict.STRANGER
        source = self._source(address)
        level, total = self._each.spend(source.level, now, cost), self._all.spend(self._total, now, cost)
        if self._each.excess(level, now) > 0 or self._all.excess(total, now) > 0:
            began, source.flooding = not source.flooding, True
            return Verdict.FLOOD_BEGINS if began else Verdict.FLOOD
        if source.flooding and self._each.excess(level, now) < -self._each.window / 2:
            source.flooding = False  # calm for long enough that the next flood is another one
        source.level, self._total = level, total
        return Verdict.PASS

    def worth_a_line(self, address: str, reason: str, now: float) -> bool:
        """True the first time that `address` gives this reason for a line, while there are not too many in all."""
        logged = self._source(address).logged
        if reason in logged:
            return False
        level = self._lines.spend(self._line_level, now)
        if self._lines.excess(level, now) > 0:
            return False
        self._line_level = level
        logged.add(reason)
        return True

    def _source(self, address: str) -> _Source:
        source = self._sources.pop(address, None) or _Source()
        self._sources[address] = source
        if len(self._sources) > SOURCES:
            self._sources.popitem(last=False)
        return source
