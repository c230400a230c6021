"""When to connect again and after how long, and when a connection counts as dead. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

DENIED: Final = frozenset({401, 403})
"""HTTP statuses of the handshake that another attempt would meet again."""


class Backoff(Struct, frozen=True):
    """Exponential backoff with full jitter: a million clients that lost one server come back spread out.

    Seconds. `settled_s` is how long a connection must have lived for the next loss to count as the first.
    """

    base_s: float = 0.5
    cap_s: float = 20.0
    settled_s: float = 5.0

    def delay_s(self, attempt: int, random: float) -> float:
        """The wait before attempt `attempt` (0 is the first after a loss); `random` is uniform in [0, 1)."""
        return random * min(self.cap_s, self.base_s * 2.0 ** min(attempt, 30))


BACKOFF: Final = Backoff()
"""For clients that say nothing else."""


class Heartbeat(Struct, frozen=True):
    """A network that vanished sends no close: silence is what tells. Seconds without a message until the server is
    asked for one, and until the connection counts as lost."""

    ask_s: float = 8.0
    lost_s: float = 14.0


HEARTBEAT: Final = Heartbeat()
"""For clients that say nothing else."""


def may_reconnect(close_code: int | None) -> bool:
    """4500-4999 say "do not"; every other close code, or none (a lost network), is worth another attempt: of the
    RFC's own, 1002, 1003, 1007 and 1009 say that the server found fault with one message, not with the client."""
    return close_code is None or not 4500 <= close_code <= 4999


def retry_after_s(header: str | None) -> float:
    """Seconds of a Retry-After header; 0 when there is none, or a date, which no server of ours sends."""
    text = (header or "").strip()
    return min(float(text), 3600.0) if text.isascii() and text.isdigit() else 0.0
